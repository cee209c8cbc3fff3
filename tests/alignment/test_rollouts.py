"""Rollouts: completions from a real HTTP server around the tiny model, exact log-probabilities, and every refusal."""

import numpy as np
import pytest
import torch
from alignment_cases import NOW
from rollout_server import serving

from assay.alignment import (
    GrpoSettings,
    OnlineDpoSettings,
    RolloutSettings,
    RunContext,
    ServedCompletions,
    TrainingRewards,
    Watched,
    run_grpo,
    run_online_dpo,
)
from assay.alignment.grpo import GrpoTask
from assay.alignment.sampling import PolicySampler
from assay.lm import LoraSettings, Sampling, add_lora, completion_logprobs, encode_prompt, load
from assay.lm.adapters import policy_parameters
from assay.lm.chat import EncodedPair
from assay.records.conversation import user_prompt
from assay.records.errors import TrainingError
from assay.storage import ArtifactStore

PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "How do I sleep better?", "Capital?")]
SAMPLING = Sampling(max_tokens=10, seed=3)
LORA = LoraSettings(r=4, alpha=8)


@pytest.fixture
def server(tiny_model_dir):
    with serving(tiny_model_dir) as (served, url):
        yield served, url


@pytest.fixture
def policy(tiny_model_dir):
    """The tiny model with an adapter that is far from the base."""
    lm = load(str(tiny_model_dir), dtype=torch.float32)
    add_lora(lm, LORA, seed=0)
    move(lm)
    return lm


def move(lm, by=0.2):
    with torch.no_grad():
        for parameter in policy_parameters(lm).values():
            parameter.add_(by)


def source(url, key=None, **settings):
    return ServedCompletions(RolloutSettings(url=url, model="tiny", **settings), key=key)


def exact(lm, completions, n):
    """Log-probabilities under the policy of what was drawn."""
    pairs = [EncodedPair(encode_prompt(lm, PROMPTS[k // n]), list(c.token_ids)) for k, c in enumerate(completions)]
    return completion_logprobs(lm, pairs)


def test_a_draw_follows_the_policy_and_carries_its_exact_log_probabilities(server, policy, tmp_path):
    served, url = server
    draw = source(url, adapters=tmp_path)
    for _ in range(2):
        found = draw(policy, PROMPTS, SAMPLING, n=4)
        assert len(found) == 12
        for one, expected in zip(found, exact(policy, found, 4), strict=True):
            np.testing.assert_allclose(one.logprobs, expected, atol=1e-5)
            assert (one.finish_reason == "stop") == (one.token_ids[-1] in policy.eos_ids)
        move(policy, -0.1)
    asked = [name for name, _ in served.asked if name != "completions"]
    assert asked == ["load_lora_adapter", "unload_lora_adapter", "load_lora_adapter"]
    assert len(list(tmp_path.iterdir())) == 1
    assert len(served.models) == 2


def test_the_same_seed_draws_the_same_and_each_prompt_has_a_seed_of_its_own(server, policy, tmp_path):
    served, url = server
    draw = source(url, adapters=tmp_path)
    assert draw(policy, PROMPTS, SAMPLING, n=2) == draw(policy, PROMPTS, SAMPLING, n=2)
    seeds = [body["seed"] for name, body in served.asked if name == "completions"]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_text_alone_is_tokenised_again_and_ends_where_it_was_finished(server, policy, tmp_path):
    served, url = server
    served.tells_ids = False
    for one in source(url, server="openai", adapters=tmp_path)(policy, PROMPTS, SAMPLING, n=4):
        ids = policy.tokenizer(one.text, add_special_tokens=False)["input_ids"]
        assert list(one.token_ids) == ids + [policy.tokenizer.eos_token_id] * (one.finish_reason == "stop")
        assert len(one.logprobs) == len(one.token_ids)
    assert not any("top_k" in body for _, body in served.asked)


def test_the_key_goes_with_every_request(server, policy, tmp_path):
    served, url = server
    source(url, key="secret", adapters=tmp_path)(policy, PROMPTS, SAMPLING, n=1)
    assert served.keys == {"Bearer secret"}


def test_a_server_with_the_weights_of_another_policy_is_refused(server, policy):
    _, url = server
    with pytest.raises(TrainingError, match=r"at most 0.2 nats a token from .*got log-probabilities \d.* nats a token"):
        source(url)(policy, PROMPTS, SAMPLING, n=4)


def test_a_server_that_cannot_follow_has_to_show_whose_completions_these_are(server, policy):
    served, url = server
    served.tells_logprobs = False
    with pytest.raises(TrainingError, match="got none; set rollouts.adapters, so that it follows the policy"):
        source(url)(policy, PROMPTS, SAMPLING, n=1)


def test_a_server_that_is_away_is_told_in_a_sentence(policy):
    with pytest.raises(TrainingError, match=r"^expected an answer from http://127.0.0.1:9/v1; got none \(.*mend roll"):
        source("http://127.0.0.1:9/v1")(policy, PROMPTS, SAMPLING, n=1)


def test_a_wrong_model_is_told_in_a_sentence(server, policy):
    _, url = server
    wrong = ServedCompletions(RolloutSettings(url=url, model="other"))
    with pytest.raises(
        TrainingError, match=r"completions by 'other' from .*`other` does not exist.*set rollouts.model"
    ):
        wrong(policy, PROMPTS, SAMPLING, n=1)


def test_a_server_that_loads_no_adapters_is_told_how(server, policy, tmp_path):
    served, url = server
    served.takes_adapters = False
    with pytest.raises(
        TrainingError, match="adapter to be loaded from .*got status 404.*start vLLM with --enable-lora"
    ):
        source(url, adapters=tmp_path)(policy, PROMPTS, SAMPLING, n=1)


def drop_one(reply):
    return {"choices": reply["choices"][1:]}


def drop_the_text(reply):
    return {"choices": [{"index": 0, "finish_reason": "stop"}]}


def run_on(reply):
    return {"choices": [choice | {"token_ids": [5] * 99} for choice in reply["choices"]]}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (drop_one, "expected 2 completions of at most 10 tokens from .*; got 1, the longest of"),
        (run_on, "expected 2 completions of at most 10 tokens from .*; got 2, the longest of 99"),
        (drop_the_text, r"got a reply that breaks off or lacks a part \(KeyError: 'text'\); look at the server's log"),
        (lambda _: [], "got a reply that breaks off or lacks a part"),
    ],
)
def test_a_reply_that_is_not_whole_is_told_in_a_sentence(server, policy, spoil, said):
    served, url = server
    served.spoil = spoil
    with pytest.raises(TrainingError, match=said):
        source(url)(policy, PROMPTS, SAMPLING, n=2)


def test_a_connection_that_breaks_off_is_told_in_a_sentence(server, policy):
    served, url = server
    served.breaks_off = True
    with pytest.raises(TrainingError, match=r"expected an answer from .*; got none \(peer closed connection"):
        source(url)(policy, PROMPTS, SAMPLING, n=2)


def watched(proxy):
    return Watched(PROMPTS, TrainingRewards(proxy, None), (), None)


def test_the_online_loops_learn_from_the_server(server, proxy, tiny_model_dir, tmp_path):
    served, url = server
    shared = {"rounds": 2, "max_completion_length": 6, "learning_rate": 2e-2, "lora": LORA}
    for name, run, settings in (
        ("dpo", run_online_dpo, OnlineDpoSettings(**shared)),
        ("grpo", run_grpo, GrpoSettings(**shared)),
    ):
        draw = source(url, adapters=tmp_path / "adapters")
        place = tmp_path / name
        context = RunContext(name, ArtifactStore(place), place, seed=5, now=lambda: NOW, completions=draw)
        lm = load(str(tiny_model_dir), dtype=torch.float32)
        made = run(lm, settings, context, watched(proxy), start=None)
        values = [one.observation.values["alignment/kl"] for one in made.checkpoints]
        assert values[0] == pytest.approx(0, abs=1e-4)
        assert len(values) == 3
        assert values[-1] != 0
    assert sum(name == "load_lora_adapter" for name, _ in served.asked) == 6


def test_a_served_draw_has_ratios_of_one_before_the_first_step(server, proxy, policy, tmp_path):
    _, url = server
    draw = source(url, adapters=tmp_path)
    sampler = PolicySampler(policy, PROMPTS, SAMPLING, n=4, ref_adapter=None, source=draw)
    settings = GrpoSettings(max_completion_length=10, per_device_train_batch_size=6, kl_coef=0, lora=LORA)
    task = GrpoTask(policy, sampler, lambda step: np.arange(12.0), settings, seed=0)
    samples = sampler.at(0)
    task.loss(0)
    assert task.loss(0).metrics["clip_ratio/low_mean"] == 0
    for kept, drawn in zip(task.state()["round"]["old"], samples.logprobs, strict=True):
        assert sum(kept) == pytest.approx(drawn, abs=1e-5)
