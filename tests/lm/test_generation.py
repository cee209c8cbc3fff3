"""Generation: exact log-probabilities, dropped rows, shared prefixes, seeds, stops and streams."""

import numpy as np
import pytest
import torch

from assay.lm import Sampling, completion_logprobs, encode_prompt, generate, stream
from assay.lm.chat import EncodedPair
from assay.lm.generation import pick
from assay.records.conversation import Message, user_prompt
from assay.records.errors import InputError

PROMPTS = [user_prompt(text) for text in ("Why is the sky blue?", "Sleep?", "What is the capital of France, please?")]


def naive_logprobs(lm, prompt, token_ids):
    """One full forward pass over prompt and completion, no cache, no padding."""
    ids = encode_prompt(lm, prompt)
    with torch.no_grad():
        logits = lm.model(torch.tensor([[*ids, *token_ids]])).logits[0].log_softmax(-1)
    return [float(logits[len(ids) - 1 + i, token]) for i, token in enumerate(token_ids)]


def test_log_probabilities_equal_those_of_a_plain_forward_pass(tiny_lm):
    completions = generate(tiny_lm, PROMPTS, Sampling(max_tokens=12, seed=3), n=3)
    assert len(completions) == 9
    for i, completion in enumerate(completions):
        expected = naive_logprobs(tiny_lm, PROMPTS[i // 3], completion.token_ids)
        assert completion.logprobs == pytest.approx(expected, abs=1e-4)


def test_scoring_a_sample_gives_the_log_probabilities_it_was_sampled_with(tiny_lm):
    completions = generate(tiny_lm, PROMPTS, Sampling(max_tokens=10, seed=5), n=2)
    pairs = [EncodedPair(encode_prompt(tiny_lm, PROMPTS[i // 2]), list(c.token_ids)) for i, c in enumerate(completions)]
    for scored, completion in zip(completion_logprobs(tiny_lm, pairs), completions, strict=True):
        assert scored == pytest.approx(np.array(completion.logprobs), abs=1e-4)


def test_greedy_completions_do_not_depend_on_the_company_in_the_batch(tiny_lm):
    together = generate(tiny_lm, PROMPTS, Sampling(max_tokens=10, temperature=0))
    alone = [generate(tiny_lm, [prompt], Sampling(max_tokens=10, temperature=0))[0] for prompt in PROMPTS]
    assert [c.token_ids for c in together] == [c.token_ids for c in alone]


def test_the_same_seed_gives_the_same_completions_and_another_seed_others(tiny_lm):
    one, two, other = (generate(tiny_lm, PROMPTS, Sampling(max_tokens=10, seed=s)) for s in (1, 1, 2))
    assert one == two
    assert one != other


def test_a_row_that_ends_is_dropped_and_the_others_go_on(tiny_lm):
    completions = generate(tiny_lm, PROMPTS, Sampling(max_tokens=200, seed=0), n=8)
    lengths = {len(c.token_ids) for c in completions if c.finish_reason == "stop"}
    assert len(lengths) > 1
    for completion in completions:
        ended = completion.token_ids[-1] in tiny_lm.eos_ids
        assert ended == (completion.finish_reason == "stop")
        assert not set(completion.token_ids[:-1]) & tiny_lm.eos_ids


def test_the_pieces_of_a_stream_join_to_the_completion(tiny_lm):
    sampling = Sampling(max_tokens=40, seed=11)
    pieces = list(stream(tiny_lm, PROMPTS[0], sampling))
    assert "".join(pieces) == generate(tiny_lm, PROMPTS[:1], sampling)[0].text
    assert len(pieces) > 1


def test_a_stop_text_ends_the_completion_and_is_not_part_of_it(tiny_lm):
    free = generate(tiny_lm, PROMPTS[:1], Sampling(max_tokens=40, seed=11))[0].text
    stop = free[5:7]
    sampling = Sampling(max_tokens=40, seed=11, stop=(stop,))
    stopped = generate(tiny_lm, PROMPTS[:1], sampling)[0]
    assert stopped.text == free[: free.index(stop)]
    assert stopped.finish_reason == "stop"
    assert "".join(stream(tiny_lm, PROMPTS[0], sampling)) == stopped.text


def test_a_prompt_longer_than_the_context_is_refused_with_its_number(tiny_lm):
    with pytest.raises(InputError, match="prompt 1: "):
        generate(tiny_lm, [PROMPTS[0], (Message(role="user", content="word " * 600),)], Sampling(max_tokens=10))


def test_sampling_follows_the_distribution():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2, 0.0]])).repeat(20000, 1)
    drawn = pick(logits, Sampling(), torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=4) / len(drawn)
    assert share.tolist() == pytest.approx([0.5, 0.3, 0.2, 0.0], abs=0.015)
    assert share[3] == 0


def test_top_p_cuts_the_tail_and_keeps_the_token_that_crosses_it():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).repeat(5000, 1)
    drawn = pick(logits, Sampling(top_p=0.6), torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=3) / len(drawn)
    assert share.tolist() == pytest.approx([0.625, 0.375, 0.0], abs=0.03)
