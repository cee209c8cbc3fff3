"""Engine: one language model behind a queue: company changes nothing, a closed stream stops, a full queue says so."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from assay import lm
from assay.deployment.gateway import Ask
from assay.deployment.gateway.engine import LazyEngines, LmEngine, load_engine
from assay.deployment.gateway.routing import BusyEngineError
from assay.records.conversation import user_prompt
from assay.records.errors import StorageError
from assay.records.release import Release

SKY = Ask(user_prompt("Why is the sky blue?"), max_tokens=12, temperature=0)


@pytest.fixture
def engine(tiny_lm):
    engine = LmEngine(tiny_lm, np.random.default_rng(0), gather_s=0.05)
    yield engine
    engine.close()


def test_an_answer_is_what_the_model_generates(engine, tiny_lm):
    (answer,) = engine.complete(SKY)
    (expected,) = lm.generate(tiny_lm, [SKY.prompt], lm.Sampling(max_tokens=12, temperature=0))
    assert (answer.text, answer.finish_reason, answer.tokens) == (
        expected.text,
        expected.finish_reason,
        len(expected.token_ids),
    )
    assert engine.count_tokens(SKY.prompt) == expected.prompt_tokens
    assert engine.context_length == 512


def test_requests_that_arrive_together_share_a_call_and_keep_their_answers(engine, monkeypatch):
    asks = [replace(SKY, prompt=user_prompt(text)) for text in ("Why?", "How do I sleep better?", "Paris", "Drink")]
    alone = [engine.complete(ask) for ask in asks]
    sizes = []
    generate = lm.generate
    monkeypatch.setattr(
        lm, "generate", lambda model, prompts, *a, **k: sizes.append(len(prompts)) or generate(model, prompts, *a, **k)
    )
    ready = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda ask: ready.wait() and None or engine.complete(ask), asks))
    assert together == alone
    assert sum(sizes) == 4 and len(sizes) < 4


def test_a_seeded_request_is_the_same_whoever_else_is_there(engine):
    seeded = replace(SKY, temperature=1.0, seed=5)
    alone = engine.complete(seeded)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(engine.complete, [seeded, replace(seeded, seed=None), replace(seeded, seed=6)]))
    assert together[0] == alone
    assert len({text for (answer,) in together for text in [answer.text]}) == 3


def test_several_answers_to_one_prompt_differ(engine):
    answers = engine.complete(replace(SKY, temperature=1.5, n=3))
    assert len({answer.text for answer in answers}) == 3


def test_a_stream_joins_to_the_whole_answer(engine):
    (answer,) = engine.complete(SKY)
    assert "".join(engine.stream(SKY)) == answer.text
    assert engine.count_text(answer.text) > 0


def test_a_stream_that_is_closed_stops_the_model(engine, monkeypatch):
    drawn, reading = [], threading.Event()

    def endless(*_):
        while True:
            drawn.append(1)
            yield "x"
            reading.wait(0.01)

    monkeypatch.setattr(lm, "stream", endless)
    pieces = engine.stream(SKY)
    assert next(pieces) == "x"
    pieces.close()
    monkeypatch.undo()
    (answer,) = engine.complete(SKY)
    assert answer.text and drawn


def test_a_failing_prompt_fails_alone(engine, monkeypatch):
    generate = lm.generate

    def picky(model, prompts, *args, **words):
        if any("bad" in prompt[0].content for prompt in prompts):
            raise RuntimeError("bad prompt")
        return generate(model, prompts, *args, **words)

    monkeypatch.setattr(lm, "generate", picky)
    with ThreadPoolExecutor(2) as pool:
        good = pool.submit(engine.complete, SKY)
        bad = pool.submit(engine.complete, replace(SKY, prompt=user_prompt("bad")))
    assert good.result()[0].text
    with pytest.raises(RuntimeError, match="bad prompt"):
        bad.result()


def test_a_stream_that_fails_tells_its_reader(engine, monkeypatch):
    def failing(*_):
        yield "x"
        raise RuntimeError("broke")

    monkeypatch.setattr(lm, "stream", failing)
    with pytest.raises(RuntimeError, match="broke"):
        list(engine.stream(SKY))


def test_a_full_queue_refuses_at_once(tiny_lm, monkeypatch):
    let_go, begun = threading.Event(), threading.Event()
    generate = lm.generate

    def waiting(*args, **words):
        begun.set()
        let_go.wait(30)
        return generate(*args, **words)

    monkeypatch.setattr(lm, "generate", waiting)
    engine = LmEngine(tiny_lm, np.random.default_rng(0), gather_s=0, max_waiting=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(engine.complete, SKY)
        assert begun.wait(30)
        second = engine.stream(SKY)
        with pytest.raises(BusyEngineError, match="1 requests waiting"):
            engine.complete(SKY)
        let_go.set()
        assert "".join(second) == first.result()[0].text
    engine.close()
    with pytest.raises(BusyEngineError, match="closed"):
        engine.complete(SKY)


@pytest.fixture
def tiny_releases(line, tiny_model_dir, now):
    """A line of three releases that all name the tiny model."""
    releases = []
    for label in ("one", "two", "three"):
        fields = line.reference.model_dump() | {"base_model": str(tiny_model_dir), "label": label}
        releases.append(Release.model_validate(fields))
        line.workspace.records.put(releases[-1])
    return releases


def lazy(line):
    rng = np.random.default_rng(0)
    return LazyEngines(line.workspace, line.rollout, lambda release: load_engine(line.workspace, release, rng))


def test_engines_are_loaded_once_by_what_the_release_names(line, tiny_releases, now):
    line.rollout.start(line.reference, now=now)
    engines = lazy(line)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(engines.__getitem__, [tiny_releases[0].id] * 2)
    assert one is two and one.complete(SKY)[0].text
    one.close()
    with pytest.raises(StorageError, match="artifact"):
        engines[line.tuned.id]


def test_engines_that_nobody_needs_are_closed_when_another_is_loaded(line, tiny_releases, now):
    line.rollout.start(line.reference, now=now)
    engines = lazy(line)
    engines[tiny_releases[0].id]
    forgotten = engines[tiny_releases[1].id]
    kept = engines[tiny_releases[2].id]
    forgotten._worker.join(30)
    with pytest.raises(BusyEngineError, match="closed"):
        forgotten.complete(SKY)
    assert kept.complete(SKY)[0].text
    kept.close()
