"""Serving: the same reward by every door, over real HTTP; what may not be optimised or cannot be read is refused."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient
from scipy.special import expit
from typer import Typer
from typer.testing import CliRunner

from assay.cli.reward_serve import serve
from assay.records.conversation import Message, user_prompt
from assay.records.errors import FirewallError, InputError, ModelError, StorageError
from assay.records.identity import ScorerIdentity
from assay.records.policy import PolicyVersion
from assay.records.preference import Preference
from assay.records.provenance import Provenance
from assay.records.reward import RewardVersion
from assay.rewards import RewardSettings, read_features, train_reward
from assay.rewards.serving import (
    RewardScorer,
    create_app,
    open_scorer,
    read_pairs,
    read_queries,
    reward_function,
    verl_batch_function,
    verl_function,
)
from assay.rewards.shaping import Shaping, par
from assay.storage.firewall import Registration

PROMPTS = ["Why is the sky blue?", "How do I sleep better?", "What is the capital of France?"]
TEXTS = ["The air scatters short waves of light.", "Walk.", "Paris is the capital of France and its largest city."]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROVENANCE = Provenance(seed=0, data_hash="", code_version="", config_hash="")


@pytest.fixture(scope="module")
def lm(tiny_model_dir):
    from assay.lm import load

    return load(str(tiny_model_dir))


@pytest.fixture(scope="module")
def trained(lm):
    rng = np.random.default_rng(0)
    words = " ".join(TEXTS).split()
    rows = [(f"Question {i}?", " ".join(rng.choice(words, 9)), " ".join(rng.choice(words, 3))) for i in range(16)]
    preferences = [
        Preference(
            created_at=NOW,
            prompt=user_prompt(prompt),
            chosen=chosen,
            rejected=rejected,
            margin=1.0,
            standard_error=0.5,
            probability=0.8,
            judgements=(f"j{i}",),
            annotators=("ann",),
            aggregation="a",
        )
        for i, (prompt, chosen, rejected) in enumerate(rows)
    ]
    return train_reward(lm, preferences, RewardSettings(directions=4), seed=1)


@pytest.fixture(scope="module")
def ensemble(trained):
    return trained.ensemble


@pytest.fixture(scope="module")
def known(lm, ensemble):
    """What the ensemble itself says of the three pairs."""
    return ensemble.score(read_features(lm, [user_prompt(p) for p in PROMPTS], TEXTS, layers=ensemble.layers))


@pytest.fixture(scope="module")
def scorer(lm, ensemble):
    return RewardScorer(ensemble, lm, name="proxy")


@pytest.fixture(scope="module")
def client(scorer):
    with running(create_app(scorer)) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@contextmanager
def running(app):
    """The app behind a real server on a free port of this host."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def chat(prompt):
    return [{"role": "user", "content": prompt}]


def rendered(prompt, *, system=None):
    """A prompt as OpenRLHF renders it by the tiny model's template."""
    opening = "" if system is None else f"<|im_start|>system\n{system}<|im_end|>\n"
    return f"{opening}<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"


def close(rewards, expected):
    np.testing.assert_allclose(rewards, expected, atol=1e-4)


def test_trl_gets_the_ensembles_own_rewards_for_texts_and_for_messages(lm, ensemble, known):
    score = reward_function(ensemble, lm)
    assert score.__name__ == "assay_reward"
    texts = score(prompts=PROMPTS, completions=TEXTS, completion_ids=[[1]] * 3, answer=["x"] * 3, trainer_state=None)
    assert all(type(reward) is float for reward in texts)
    close(texts, known.reward)
    said = [[{"role": "assistant", "content": text}] for text in TEXTS]
    close(score(prompts=[chat(p) for p in PROMPTS], completions=said), known.reward)
    assert score(prompts=[], completions=[]) == []


def test_the_function_keeps_the_aggregation_it_is_given(lm, ensemble, known):
    score = reward_function(ensemble.with_aggregation("wco"), lm, name="careful")
    close(score(prompts=PROMPTS, completions=TEXTS), known.members.min(1))
    assert score.__name__ == "careful"


def test_a_shaped_reward_is_served_shaped_and_its_probability_is_that_of_the_unshaped(lm, ensemble, known):
    shaped = ensemble._replace(shaping=Shaping(name="par"), anchor=known.members)
    scored = RewardScorer(shaped, lm).score(read_pairs(lm, PROMPTS, TEXTS))
    close(scored.reward, par(known.reward, known.reward))
    close(scored.probability, expit(known.reward / ensemble.temperature))
    close(reward_function(shaped, lm)(PROMPTS, TEXTS), scored.reward)


def test_trl_logs_get_spread_and_outliers(lm, ensemble, known):
    metrics, columns = {}, {}
    reward_function(ensemble, lm)(PROMPTS, TEXTS, log_metric=metrics.__setitem__, log_extra=columns.__setitem__)
    assert metrics["assay_reward/spread"] == pytest.approx(known.disagreement.mean(), abs=1e-4)
    assert metrics["assay_reward/outlier_rate"] == known.outlier.mean()
    close(columns["assay_reward/spread"], known.disagreement)
    assert columns["assay_reward/is_outlier"] == known.outlier.tolist()


def test_of_several_messages_the_last_is_scored_and_the_others_are_context(lm):
    turns = [
        {"role": "assistant", "content": "Let me look."},
        {"role": "tool", "content": [{"type": "text", "text": "42"}]},
        {"role": "assistant", "content": "It is 42."},
    ]
    (pair,) = read_pairs(lm, [[{"role": "developer", "content": "Be brief."}, *chat("What?")]], [turns])
    assert pair.completion == "It is 42."
    assert [(m.role, m.content) for m in pair.prompt] == [
        ("system", "Be brief."),
        ("user", "What?"),
        ("assistant", "Let me look."),
        ("user", "42"),
    ]


def test_every_row_that_cannot_be_read_is_named(lm):
    bad = [[], [{"role": "king", "content": "x"}], [{"role": "user", "content": {"image": "x"}}], "Why?", "Why?"]
    said = ["a", "b", "c", [{"role": "user", "content": "me"}], "fine"]
    with pytest.raises(InputError) as caught:
        read_pairs(lm, bad, said)
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["row 0", "row 1", "row 2", "row 3"]
    assert "role 'king'" in caught.value.faults[1] and "neither text nor" in caught.value.faults[2]
    with pytest.raises(InputError, match="got 1 and 2"):
        read_pairs(lm, ["a"], ["b", "c"])


@pytest.mark.parametrize("ending", ["", "<|im_end|>", "<|im_end|><|im_end|>"])
def test_a_query_is_taken_apart_into_what_was_asked_and_what_was_said(lm, ending):
    prompts = [rendered(PROMPTS[0]), rendered(PROMPTS[1], system="Be kind."), PROMPTS[2]]
    pairs = read_queries(lm, [p + t + ending for p, t in zip(prompts, TEXTS, strict=True)], prompts)
    assert [pair.completion for pair in pairs] == TEXTS
    assert pairs[0].prompt == user_prompt(PROMPTS[0])
    assert pairs[1].prompt == (Message(role="system", content="Be kind."), Message(role="user", content=PROMPTS[1]))
    assert pairs[2].prompt == user_prompt(PROMPTS[2])


def test_earlier_turns_of_a_rendered_prompt_reach_the_reward_as_the_same_tokens(lm):
    from assay.lm import encode_prompt

    turns = [*chat("Why?"), {"role": "assistant", "content": "Because."}, *chat("And then?")]
    text = lm.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    (pair,) = read_queries(lm, [text + "Then."], [text])
    whole = tuple(Message(role=turn["role"], content=turn["content"]) for turn in turns)
    assert encode_prompt(lm, pair.prompt) == encode_prompt(lm, whole)


def test_a_query_without_its_prompt_is_refused(lm):
    with pytest.raises(InputError, match="row 1: the query does not hold its prompt"):
        read_queries(lm, ["ab", "xy"], ["a", "z"])


def test_openrlhf_gets_its_reply_over_http(client, known, ensemble):
    prompts = [rendered(prompt) for prompt in PROMPTS]
    query = [p + t + "<|im_end|>" for p, t in zip(prompts, TEXTS, strict=True)]
    reply = client.post("/get_reward", json={"query": query, "prompts": prompts, "labels": [None, "a", 3]})
    assert reply.status_code == 200
    body = reply.json()
    assert set(body) == {"rewards", "scores", "extra_logs"}
    close(body["rewards"], known.reward)
    close(body["scores"], expit(known.reward / ensemble.temperature))
    close(body["extra_logs"]["spread"], known.disagreement)
    assert body["extra_logs"]["is_outlier"] == known.outlier.astype(float).tolist()
    one = client.post("/get_reward", json={"query": query[:1], "prompts": prompts[:1], "labels": [None]}).json()
    close(one["rewards"], known.reward[:1])
    assert all(len(column) == 1 for column in one["extra_logs"].values())


def test_score_tells_all_that_is_known_of_each_row(client, known):
    reply = client.post("/score", json={"prompts": [PROMPTS[0], chat(PROMPTS[1]), PROMPTS[2]], "completions": TEXTS})
    rows = reply.json()["scores"]
    assert reply.json()["reward_id"] == "proxy"
    close([row["reward"] for row in rows], known.reward)
    close([row["mean"] for row in rows], known.members.mean(1))
    close([row["members"] for row in rows], known.members)
    assert [row["is_outlier"] for row in rows] == known.outlier.tolist()
    assert set(rows[0]) == {"reward", "probability", "mean", "spread", "is_outlier", "members"}


def test_health_names_the_reward(client, lm):
    body = client.get("/healthz").json()
    assert (body["status"], body["reward"], body["backbone"]) == ("ok", "proxy", lm.id)
    assert (body["members"], body["aggregation"], body["shaping"]) == (5, "uwo", "none")


def test_many_callers_at_once_each_get_their_own_rewards(client, known):
    def ask(row):
        body = {"prompts": [PROMPTS[row]], "completions": [TEXTS[row]]}
        return client.post("/score", json=body).json()["scores"][0]["reward"]

    rows = [0, 1, 2] * 8
    with ThreadPoolExecutor(12) as pool:
        close(list(pool.map(ask, rows)), known.reward[rows])


def test_all_faults_of_a_request_are_told_together(client):
    def faults(path, body):
        reply = client.post(path, json=body)
        assert reply.status_code == 400, reply.text
        return " | ".join(reply.json()["error"]["faults"])

    assert "query" in faults("/get_reward", {}) and "prompts" in faults("/get_reward", {})
    told = faults("/score", {"prompts": ["a", 5], "completions": []})
    assert "prompts.1" in told and "completions" in told
    told = faults("/score", {"prompts": [[{"role": "king"}], "b", [{"role": "a"}]], "completions": ["x", "y", "z"]})
    assert "row 0" in told and "row 2" in told and "row 1" not in told
    told = faults("/score", {"prompts": ["a", "b", "c"], "completions": ["word " * 600, "y", "word " * 700]})
    assert "row 0, to " in told and "row 2, to " in told and "tokens" in told


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"query": "text", "prompts": NaN}', b'{"query": ["\\ud800"]}', b"1" * 99],
)
def test_a_body_that_cannot_be_read_is_a_fault_of_the_caller(client, content):
    reply = client.post("/get_reward", content=content)
    assert reply.status_code == 400
    assert reply.json()["error"]["faults"]


def test_too_much_at_once_is_refused(client, scorer):
    rows = 1025
    reply = client.post("/score", json={"prompts": ["a"] * rows, "completions": ["b"] * rows})
    assert reply.status_code == 400 and reply.json()["error"]["fault_count"] == 2
    small = TestClient(create_app(scorer, max_body_bytes=40))
    assert small.post("/score", content=b"x" * 41).status_code == 413
    assert client.get("/score").status_code == 405
    assert client.get("/nothing").status_code == 404


def test_a_failure_inside_says_nothing_of_the_inside(scorer, monkeypatch):
    monkeypatch.setattr(scorer, "score", lambda _pairs: 1 / 0)
    broken = TestClient(create_app(scorer), raise_server_exceptions=False)
    reply = broken.post("/score", json={"prompts": ["a"], "completions": ["b"]})
    assert reply.status_code == 500
    assert "ZeroDivision" not in reply.text and "operator's log" in reply.json()["error"]["message"]


def test_verl_gets_a_score_with_its_doubts(scorer, known):
    compute_score = verl_function(scorer)
    reply = compute_score(
        data_source="x", solution_str=TEXTS[0], ground_truth=None, extra_info={"prompt": chat(PROMPTS[0]), "index": 1}
    )
    assert set(reply) == {"score", "spread", "is_outlier"}
    close(reply["score"], known.reward[0])
    batch = verl_batch_function(scorer, prompt_key="question")
    asked = [{"question": prompt} for prompt in PROMPTS]
    asked[1]["question"] = np.array(chat(PROMPTS[1]), dtype=object)
    replies = batch(data_sources=["x"] * 3, solution_strs=TEXTS, ground_truths=[None] * 3, extra_infos=asked)
    close([r["score"] for r in replies], known.reward)
    close([r["spread"] for r in replies], known.disagreement)
    with pytest.raises(InputError, match=r"extra_info\['prompt'\]; got rows without it: \[0\]"):
        compute_score("x", TEXTS[0], None, None)


@pytest.fixture
def store(workspace, trained, lm, now):
    """Puts the trained reward into the workspace, as a training reward unless told otherwise."""

    def store(name="proxy", *, side="training", backbone=lm.id):
        artifact = workspace.artifacts.add(trained.ensemble.save)
        identity = ScorerIdentity(name=name, scorer_kind="reward_model", content_hash=artifact, ancestors=(lm.id,))
        workspace.firewall.register(Registration(created_at=now, side=side, identity=identity))
        version = RewardVersion(
            created_at=now,
            name=name,
            artifact=artifact,
            backbone=backbone,
            layer=2,
            members=5,
            feature_maps=("mean-low",),
            aggregation="uwo",
            quality=trained.quality,
            member_accuracy=trained.member_accuracy,
            identity=identity,
            training_pairs=12,
            provenance=PROVENANCE,
        )
        workspace.records.put(version, subject=name)
        reference = PolicyVersion(
            created_at=now,
            name="reference",
            base_model=lm.source,
            adapter=None,
            ref_policy=None,
            method="reference",
            provenance=PROVENANCE,
        )
        workspace.records.put(reference)
        return version

    return store


def test_a_stored_reward_scores_as_it_did_when_it_was_trained(store, workspace, now, known):
    version = store()
    opened = open_scorer(workspace, version.short_id, now=now)
    assert opened.name == version.id
    scored = opened.score(read_pairs(opened.lm, PROMPTS, TEXTS))
    close(scored.reward, known.reward)
    close(scored.spread, known.disagreement)


def test_what_judges_or_watches_is_never_served(store, workspace, now):
    with pytest.raises(FirewallError, match="the watch-panel"):
        open_scorer(workspace, store("watch-panel").id, now=now)


def test_a_held_out_rater_is_never_served(store, workspace, now):
    with pytest.raises(FirewallError, match="training and evaluation apart"):
        open_scorer(workspace, store("held-out", side="evaluation").id, now=now)


def test_another_backbone_or_a_damaged_reward_is_refused(store, workspace, now):
    version = store(backbone="f" * 64)
    with pytest.raises(ModelError, match="expected the backbone ffffffffffff"):
        open_scorer(workspace, version.id, now=now)
    (workspace.artifacts.path(version.artifact) / "reward.json").write_text("{}")
    with pytest.raises(StorageError, match="unchanged"):
        open_scorer(workspace, version.id, now=now)
    with pytest.raises(StorageError, match="one reward 'abc'"):
        open_scorer(workspace, "abc", now=now)


def test_the_command_serves_the_stored_reward_and_says_what_is_next(store, workspace, monkeypatch, known):
    version, served = store(), {}

    def run(app, **settings):
        served.update(settings)
        body = {"prompts": PROMPTS, "completions": TEXTS}
        served["rewards"] = [row["reward"] for row in TestClient(app).post("/score", json=body).json()["scores"]]

    monkeypatch.setattr(uvicorn, "run", run)
    app = Typer()
    app.command()(serve)
    words = [version.short_id, "--workspace", str(workspace.directory), "--port", "5123"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert f"serving reward {version.id}" in result.output and "http://127.0.0.1:5123/healthz" in result.output
    assert (served["host"], served["port"]) == ("127.0.0.1", 5123)
    close(served["rewards"], known.reward)
