"""Layer stack: verdict and status apart, failure modes by fault injection, no state between threads."""

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.deployment.layers import ALLOW, Exchange, LayerManifest, LayerStack, LayerVerdict, build_layers, load_layers
from assay.deployment.layers.stack import REFUSAL, UNCHECKED
from assay.records.conversation import user_prompt

PROMPT = user_prompt("hello")


class Spoken:
    """A layer that says what it was told to, or raises it."""

    def __init__(self, word, name="spoken", **fields):
        fields = {"stage": "input", "mode": "enforce", "failure_mode": "closed", **fields}
        self.word = word
        self.manifest = LayerManifest(
            name=name, kind="spoken", version=1, owner="me", settings={}, catches=(), does_not_catch=(), **fields
        )

    def check(self, exchange):
        if isinstance(self.word, Exception):
            raise self.word
        return self.word(exchange) if callable(self.word) else self.word


DENY = LayerVerdict("deny", "no", "Please do not.")


def statuses(verdict):
    return [result.status for result in verdict.results]


def test_a_refusal_skips_the_layers_behind_it_and_gives_its_text():
    verdict = LayerStack((Spoken(ALLOW, "a"), Spoken(DENY, "b"), Spoken(ALLOW, "c"))).run(Exchange(PROMPT))
    assert statuses(verdict) == ["ok", "blocked", "skipped"]
    assert (verdict.verdict, verdict.text, verdict.blocked_by) == ("deny", "Please do not.", "b")
    assert verdict.results[2].verdict is None


def test_a_refusal_without_text_gets_a_plain_one():
    assert LayerStack((Spoken(LayerVerdict("deny")),)).run(Exchange(PROMPT)).text == REFUSAL


@pytest.mark.parametrize("mode", ["shadow", "warn"])
def test_a_layer_that_does_not_enforce_says_deny_and_blocks_nothing(mode):
    verdict = LayerStack((Spoken(DENY, mode=mode),)).run(Exchange(PROMPT))
    assert not verdict.is_blocked
    assert (verdict.results[0].verdict, verdict.results[0].status) == ("deny", "ok")
    assert [w.layer for w in verdict.warnings] == (["spoken"] if mode == "warn" else [])


def test_a_modified_prompt_is_what_the_next_layer_sees():
    changed = user_prompt("changed")
    seen = []
    second = Spoken(lambda exchange: seen.append(exchange.prompt) or ALLOW, "second")
    stack = LayerStack((Spoken(LayerVerdict("modify", replacement_prompt=changed), "first"), second))
    verdict = stack.run(Exchange(PROMPT))
    assert seen == [changed]
    assert (verdict.prompt, verdict.verdict, statuses(verdict)) == (changed, "modify", ["modified", "ok"])


def test_only_layers_of_the_stage_run():
    stack = LayerStack(
        (Spoken(DENY, "in"), Spoken(LayerVerdict("modify", replacement_text="x"), "out", stage="output"))
    )
    verdict = stack.run(Exchange(PROMPT, "text"))
    assert (verdict.completion, [r.layer for r in verdict.results]) == ("x", ["out"])


def test_an_escalation_blocks_and_says_so():
    verdict = LayerStack((Spoken(LayerVerdict("escalate", "odd", "Sorry."), stage="output"),)).run(
        Exchange(PROMPT, "t")
    )
    assert (verdict.verdict, verdict.text, statuses(verdict)) == ("escalate", "Sorry.", ["blocked"])


@pytest.mark.parametrize("fault", [ValueError("no"), RecursionError(), MemoryError(), KeyError("k")])
def test_a_layer_that_raises_takes_its_declared_failure_mode(fault):
    closed = LayerStack((Spoken(fault), Spoken(ALLOW, "next"))).run(Exchange(PROMPT))
    opened = LayerStack((Spoken(fault, failure_mode="open"), Spoken(ALLOW, "next"))).run(Exchange(PROMPT))
    assert (closed.verdict, closed.text, statuses(closed)) == ("error", UNCHECKED, ["errored", "skipped"])
    assert (opened.verdict, opened.text, statuses(opened)) == ("allow", None, ["errored", "ok"])
    assert closed.degraded and opened.degraded


@pytest.mark.parametrize("word", [None, "allow", LayerVerdict("modify")])
def test_a_layer_that_gives_no_proper_verdict_counts_as_failed(word):
    assert statuses(LayerStack((Spoken(word),)).run(Exchange(PROMPT))) == ["errored"]


def test_a_failed_layer_in_shadow_mode_blocks_nothing_and_still_shows():
    verdict = LayerStack((Spoken(ValueError("no"), mode="shadow"),)).run(Exchange(PROMPT))
    assert not verdict.is_blocked and verdict.degraded


@pytest.mark.parametrize("number", range(5))
def test_each_default_layer_fails_as_it_declares(number, monkeypatch):
    stack = load_layers()
    assert len(stack.layers) == 5
    layer = stack.layers[number]
    monkeypatch.setattr(type(layer), "check", lambda self, exchange: 1 / 0)
    completion = None if layer.manifest.stage == "input" else "text"
    verdict = stack.run(Exchange(PROMPT, completion))
    assert verdict.is_blocked == (layer.manifest.failure_mode == "closed")
    assert verdict.degraded
    assert {r.layer: r.status for r in verdict.results}[layer.manifest.name] == "errored"


def test_time_is_taken_for_each_layer_and_the_whole():
    ticks = iter(range(100))
    stack = LayerStack((Spoken(ALLOW, "a"), Spoken(ALLOW, "b")), timer=lambda: next(ticks) / 1000)
    verdict = stack.run(Exchange(PROMPT))
    assert [r.duration_ms for r in verdict.results] == pytest.approx([1, 1])
    assert verdict.duration_ms == pytest.approx(5)


def test_the_digest_changes_with_mode_order_and_number_of_layers():
    one, two = Spoken(ALLOW, "a"), Spoken(ALLOW, "b")
    digests = {
        LayerStack(layers).digest for layers in [(one, two), (two, one), (one,), (Spoken(ALLOW, "a", mode="warn"), two)]
    }
    assert len(digests) == 4
    assert LayerStack((one, two)).digest == LayerStack((Spoken(DENY, "a"), two)).digest


DECLARED = yaml.safe_load((files("assay.deployment.layers") / "default_layers.yaml").read_text(encoding="utf-8"))
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(["make a bomb", "write to a@b.de", "<|im_start|>", "4111 1111 1111 1111", "la " * 40, "hi"]),
    ),
    min_size=8,
    max_size=24,
)


@settings(max_examples=20, deadline=None)
@given(TEXTS)
def test_many_threads_get_the_verdicts_that_one_thread_gets(texts):
    stack, ready = (build_layers(DECLARED, source="default") for _ in range(2))

    def judged(on, text):
        both = on.run(Exchange(user_prompt(text))), on.run(Exchange(PROMPT, text))
        return [(v.verdict, v.prompt, v.completion, v.text, statuses(v)) for v in both]

    alone = [judged(ready, text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: judged(stack, text), texts * 3))
    assert together == alone * 3
