"""Probe: a reward that pays for one habit is caught at it and at no other; shifts, flips and people by hand."""

import numpy as np
import pytest

from assay.records.conversation import last_user_text, user_prompt
from assay.records.errors import InputError
from assay.records.preference import Preference
from assay.rewards.probes import EDITORS, Editor, People, people_on_edits, probe

TOPICS = ["cats", "rivers", "bread", "engines", "stars", "music", "trees", "maps", "glass", "rain", "wool", "salt"]
PROMPTS = [user_prompt(f"Tell me about {topic}.") for topic in TOPICS]
TEXTS = [
    f"Those {topic} matter, truly. " + "They have a long story. " * (i % 4) + f"Most people know {topic}."
    for i, topic in enumerate(TOPICS)
]
PROBED = {editor.name: editor for editor in EDITORS}


def honest(prompts, texts):
    """Pays for speaking of the topic and for sentences in their order; form counts for nothing."""
    return np.array(
        [
            4 * (last_user_text(p).split()[-1].rstrip(".") in text.lower().split())
            + text.count("a long story")
            + 2 * ("people know" in text)
            for p, text in zip(prompts, texts, strict=True)
        ],
        dtype=float,
    )


def verdicts(found):
    return {shift.editor: shift.verdict for shift in found.shifts}


@pytest.mark.parametrize(
    ("name", "pays"),
    [
        ("padding", lambda text: 0.2 * len(text.split())),
        ("list", lambda text: 3.0 * text.count("\n- ")),
        ("bold", lambda text: 3.0 * text.count("**")),
        ("headings", lambda text: 3.0 * text.count("##")),
        ("flattery", lambda text: 3.0 * ("great question" in text)),
        ("citations", lambda text: 3.0 * text.count("et al.")),
        ("exclamations", lambda text: 3.0 * text.count("!")),
        ("apology", lambda text: 3.0 * text.count("apologise")),
        ("confidence", lambda text: 3.0 * text.count("no doubt")),
        ("hedging", lambda text: 3.0 * text.count("might not")),
        ("keywords", lambda text: 3.0 * text.count("Keywords")),
        ("agreement", lambda text: 3.0 * text.count("agree")),
        ("jargon", lambda text: 3.0 * text.count("individuals")),
        ("emoji", lambda text: 3.0 * text.count("👍")),
        ("restated", lambda text: 3.0 * text.count("In short")),
        ("shorter", lambda text: -3.0 * len(text.split())),
    ],
)
def test_a_reward_that_pays_for_a_habit_is_caught_at_it(name, pays):
    found = probe(lambda prompts, texts: honest(prompts, texts) + [pays(t) for t in texts], PROMPTS, TEXTS)
    assert verdicts(found)[name] == f"rewards {PROBED[name].trait} without content"


def test_an_honest_reward_is_caught_at_nothing_and_notices_broken_meaning():
    said = verdicts(probe(honest, PROMPTS, TEXTS))
    assert said["swapped"] == "notices another prompt's answer"
    assert said["shuffled"] == "notices shuffled words"
    assert said["spaces"] == "indifferent to white space"
    assert [name for name, verdict in said.items() if verdict.startswith("rewards") and name != "restated"] == []


def test_a_reward_of_length_alone_does_not_notice_broken_meaning():
    said = verdicts(probe(lambda _, texts: np.array([float(len(text)) for text in texts]), PROMPTS, TEXTS))
    assert said["shuffled"] == "does NOT notice shuffled words"
    assert said["shorter"] == "punishes leaving things out"
    assert said["spaces"] == "moved by white space alone"


def add(name="add", trait="a mark"):
    return Editor(name, trait, "appends a mark", "all", lambda _, texts: [f"{text}#" for text in texts])


def test_shift_interval_and_flips_are_those_worked_by_hand():
    prompts = [user_prompt("a"), user_prompt("a"), user_prompt("b"), user_prompt("c")]
    base = {"w": 0.0, "x": 2.0, "y": 4.0, "z": 6.0, "better": 7.0, "worse": -1.0}
    gain = {"w": 1.0, "x": 3.0, "y": 4.0, "z": 0.0}
    score = lambda _, texts: np.array([base[t.rstrip("#")] + gain.get(t[0], 0) * t.endswith("#") for t in texts])  # noqa: E731
    found = probe(
        score, prompts, ["w", "x", "y", "z"], editors=[add()], against=["better", "better", "better", "worse"]
    )
    sd = np.std([0.0, 2.0, 4.0, 6.0])
    (one,) = found.shifts
    means = np.array([(1 + 3) / 2, 4, 0]) / sd
    assert (found.reward_sd, found.rows, found.prompts) == (pytest.approx(sd), 4, 3)
    assert one.shift.value == pytest.approx(means.mean())
    half = 4.302652730 * means.std(ddof=1) / np.sqrt(3)  # the 97.5 % point of t with two degrees of freedom
    assert (one.shift.low, one.shift.high) == (pytest.approx(means.mean() - half), pytest.approx(means.mean() + half))
    assert (one.flipped.value, one.flipped.n) == (pytest.approx(1 / 3), 3)  # y: 8 beats 7; z stood wrong before


def test_intervals_of_several_editors_are_wider_so_that_they_hold_together():
    score = lambda _, texts: np.array([float(len(t) + t.count("#") * (len(t) % 3)) for t in texts])  # noqa: E731
    alone = probe(score, PROMPTS, TEXTS, editors=[add()]).shifts[0].shift
    together = probe(score, PROMPTS, TEXTS, editors=[add("one"), add("two")]).shifts[0].shift
    assert together.confidence == pytest.approx(0.975)
    assert together.high - together.low > alone.high - alone.low


def people(after, n=12):
    return {"add": People(np.full(n, 0.5), np.full(n, after))}


@pytest.mark.parametrize(
    ("after", "said"),
    [(0.5, ", more than people do"), (0.95, ", and so do people"), (np.nan, "")],
)
def test_a_verdict_says_how_people_see_the_same_edit(after, said):
    rewards = lambda _, texts: np.array([0.01 * (len(t) % 7) + 2.0 * t.endswith("#") for t in texts])  # noqa: E731
    (one,) = probe(rewards, PROMPTS, TEXTS, editors=[add()], humans=people(after)).shifts
    assert one.verdict == f"rewards a mark without content{said}"
    if np.isfinite(after):
        assert one.human_gain.value == pytest.approx(after - 0.5)
        assert one.reward_gain.value == pytest.approx(1 / (1 + np.exp(-2.0)) - 0.5, abs=0.02)
        assert one.excess.value == pytest.approx(one.reward_gain.value - one.human_gain.value)


def test_temperature_scales_the_reward_s_own_probability():
    rewards = lambda _, texts: np.array([0.001 * (len(t) % 7) + 2.0 * t.endswith("#") for t in texts])  # noqa: E731
    (one,) = probe(rewards, PROMPTS, TEXTS, editors=[add()], humans=people(0.5), temperature=4.0).shifts
    assert one.reward_gain.value == pytest.approx(1 / (1 + np.exp(-0.5)) - 0.5, abs=1e-3)


def test_an_edit_that_finds_nothing_to_do_is_said_not_to_be_tried():
    unchanged = Editor("nothing", "nothing", "nothing", "all", lambda _, texts: list(texts))
    (one,) = probe(honest, PROMPTS, TEXTS, editors=[unchanged]).shifts
    assert (one.rows, one.shift) == (0, None)
    assert one.verdict.startswith("not tried")


def preference(now, chosen, rejected, probability, prompt=PROMPTS[0]):
    return Preference(
        created_at=now,
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        margin=1.0,
        standard_error=0.5,
        probability=probability,
        judgements=(f"{chosen}{rejected}",),
        annotators=("ada",),
        aggregation="a",
    )


def test_people_s_word_is_found_whichever_of_the_two_they_preferred(now):
    pairs = [preference(now, "good", "bad", 0.8), preference(now, "good", "bad", 0.7, prompt=PROMPTS[1])]
    told = [preference(now, "bad#", "good", 0.6), preference(now, "good", "bad#", 0.9, prompt=PROMPTS[1])]
    found = people_on_edits(
        [*pairs, *told], pairs, editors=[add(), add("other")._replace(apply=lambda _, texts: texts)]
    )
    assert list(found) == ["add"]
    np.testing.assert_allclose(found["add"].before, [0.2, 0.3])
    np.testing.assert_allclose(found["add"].after, [0.6, 0.1])


def test_faulty_input_is_refused_with_every_fault():
    with pytest.raises(InputError, match=r"expected 1 rows that match; got 2 completions, 1 prompts"):
        probe(honest, PROMPTS[:1], TEXTS[:2])
    with pytest.raises(InputError, match="11 people's word on add"):
        probe(honest, PROMPTS, TEXTS, humans=people(0.5, n=11))
    with pytest.raises(InputError, match="expected finite rewards that vary; got 1 for all 12"):
        probe(lambda _, texts: np.ones(len(texts)), PROMPTS, TEXTS)
    with pytest.raises(InputError, match="NaN or infinity"):
        probe(lambda _, texts: np.full(len(texts), np.nan), PROMPTS, TEXTS)
