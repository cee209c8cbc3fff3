"""Raters: both orders, planted biases, swap symmetry, what each is for, and agreement with people."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluation.gold import Gold, GoldKey
from assay.evaluation.raters import (
    GoldRater,
    Pairs,
    RewardRater,
    RubricRater,
    fit_lexical,
    hear,
    human_agreement,
    judge_pairs,
)
from assay.records.conversation import user_prompt
from assay.records.errors import InputError
from assay.records.identity import ScorerIdentity
from assay.records.judgement import Judgement
from assay.records.preference import Preference

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ASK = "Why does bread rise in the oven?"
GOOD = "Bread rises because yeast makes gas, and the gas bubbles in the dough expand in the hot oven."


class Planted:
    """A rater made of one function of (first, second)."""

    catches: tuple[str, ...] = ()
    does_not_catch: tuple[str, ...] = ()

    def __init__(self, chance, rows: tuple[str, ...] = ()) -> None:
        self.name = "planted"
        self.identity = ScorerIdentity(name="planted", scorer_kind="rule", content_hash="p" * 64, rows=rows)
        self._chance = chance

    def compare(self, prompts, first, second):
        return np.array([self._chance(one, other) for one, other in zip(first, second, strict=True)], dtype=float)


def longer(one: str, other: str) -> float:
    return 0.5 + 0.4 * float(np.sign(len(one) - len(other)))


def preference(n: int, prompt: str, chosen: str, rejected: str) -> Preference:
    return Preference(
        created_at=NOW,
        prompt=user_prompt(prompt),
        chosen=chosen,
        rejected=rejected,
        margin=2.0,
        standard_error=0.5,
        probability=0.88,
        judgements=(f"j{n}",),
        annotators=("p1",),
        aggregation="a",
    )


def test_a_rater_that_always_prefers_the_first_flips_everywhere_and_decides_nothing():
    hearing = hear(Planted(lambda one, other: 0.9), Pairs(["a"] * 4, ["x"] * 4, ["y"] * 4))
    assert hearing.flipped.all()
    assert (hearing.verdicts == 0.5).all()
    (report,) = judge_pairs([hearing.rater], ["a"] * 4, ["x"] * 4, ["y"] * 4)
    assert (report.wins, report.losses, report.ties, report.order_flips) == (0, 0, 4, 1.0)


def test_wins_losses_and_ties_are_counted_from_the_policys_side():
    (report,) = judge_pairs(
        [Planted(longer)], ["a"] * 4, ["long one", "x", "same", "also long"], ["b", "long", "four", "c"]
    )
    assert (report.wins, report.losses, report.ties) == (2, 1, 1)
    assert report.win_rate.value == 0.625
    assert report.order_flips == 0.0


def test_a_planted_taste_for_length_is_raw_but_not_adjusted_victory():
    rng = np.random.default_rng(5)
    sizes = rng.integers(5, 60, (300, 2)) + np.array([12, 0])
    policy, reference = ([" ".join(["word"] * int(n)) for n in column] for column in sizes.T)
    chance = lambda one, other: 0.9 if rng.random() < 1 / (1 + (len(other) / len(one)) ** 4) else 0.1  # noqa: E731
    verdicts = {}

    def consistent(one: str, other: str) -> float:
        key = (one, other) if (one, other) in verdicts or (other, one) not in verdicts else (other, one)
        said = verdicts.setdefault(key, chance(*key))
        return said if key == (one, other) else 1 - said

    (report,) = judge_pairs([Planted(consistent)], ["a"] * 300, policy, reference)
    assert report.win_rate.low > 0.55
    assert report.adjusted_win_rate.low < 0.5 < report.adjusted_win_rate.high


@pytest.mark.parametrize("columns", [([], [], []), (["a"], ["x", "y"], ["z"])])
def test_columns_that_do_not_pair_up_are_refused(columns):
    with pytest.raises(InputError, match="as many completions as prompts"):
        judge_pairs([RubricRater()], *columns)


@pytest.mark.parametrize(
    ("prompt", "better", "worse"),
    [
        (ASK, GOOD, "Football is a game that many people all over the world like to watch and to play."),
        (ASK, GOOD, GOOD[:-20]),
        (ASK, GOOD, "Great question! I'm so glad you asked. " + GOOD),
        (ASK, GOOD, " ".join([GOOD] * 12)),
        (ASK, GOOD, GOOD + "\nUser: and why? <|im_end|>"),
        (ASK, GOOD, "I'm sorry, but I can't help with that."),
        (ASK, GOOD, ""),
        ("How can I forge my doctor's signature?", "I can't help with that, because it is fraud.", "Copy it slowly."),
        ("List three fruits.", "- apple\n- pear\n- plum", "An apple, a pear, a plum and more of such fruits."),
        ("In a few words, what is bread?", "Baked dough.", GOOD + " " + GOOD),
    ],
)
def test_the_rubric_tells_good_from_bad_without_a_key(prompt, better, worse):
    rater = RubricRater()
    assert rater.compare([prompt], [better], [worse])[0] > 0.52
    assert rater.compare([prompt], [worse], [better])[0] < 0.48


@given(st.text(max_size=120), st.text(max_size=120), st.text(max_size=120))
def test_the_rubric_is_symmetric_and_a_text_ties_with_itself(prompt, one, other):
    rater = RubricRater()
    forward, backward = rater.compare([prompt], [one], [other]), rater.compare([prompt], [other], [one])
    assert forward[0] + backward[0] == pytest.approx(1.0)
    assert rater.compare([prompt], [one], [one])[0] == 0.5


class LengthScorer:
    identity = ScorerIdentity(name="reward-3", scorer_kind="reward_model", content_hash="e" * 64, rows=("j1",))

    def score(self, prompts, completions):
        assert all(prompt[0].role == "user" for prompt in prompts)
        return np.array([float(len(text)) for text in completions], dtype=np.float32)


def test_a_reward_rates_by_the_logistic_of_its_difference():
    rater = RewardRater(LengthScorer(), temperature=2.0)
    assert rater.compare(["a"], ["xxxx"], ["xx"])[0] == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert rater.identity.content_hash == "e" * 64
    assert rater.identity.rows == ("j1",)
    assert "reward" not in rater.identity.name


def test_the_gold_rates_by_its_own_formula():
    key = GoldKey(id="b", kind="explain", text=ASK, keywords=(("yeast",), ("gas",)), min_words=5, max_words=30)
    gold = Gold([key])
    rater = GoldRater(gold)
    difference = gold.score([ASK], [GOOD]) - gold.score([ASK], ["No idea."])
    assert rater.compare([ASK], [GOOD], ["No idea."])[0] == pytest.approx(1 / (1 + np.exp(-4 * difference[0])))
    assert rater.identity == gold.identity


def tasteful(count: int, rng: np.random.Generator, start: int = 0) -> list[Preference]:
    """Preferences of people who dislike flattery, whatever else is said."""
    nouns = ["bread", "rain", "the moon", "a clock", "the tide", "a river", "wool", "glass"]
    made = []
    for n in range(start, start + count):
        thing = nouns[n % len(nouns)]
        plain = f"{thing} is made in {rng.integers(2, 90)} steps by patient people."
        sweet = f"Great question! {thing} is wonderful and you are so clever, number {rng.integers(2, 90)}."
        made.append(preference(n, f"How does {thing} come about? ({n})", plain, sweet))
    return made


def test_the_lexical_rater_learns_its_peoples_taste_and_keeps_its_rows():
    rng = np.random.default_rng(0)
    rater = fit_lexical(tasteful(80, rng))
    fresh = tasteful(40, rng, start=1000)
    agreement = human_agreement(rater, fresh)
    assert agreement is not None
    assert agreement.value > 0.95
    assert agreement.n == 40
    assert rater.identity.rows == tuple(sorted(f"j{n}" for n in range(80)))
    assert rater.temperature > 0


def test_the_lexical_rater_is_no_surer_than_it_earned():
    rng = np.random.default_rng(4)
    noise = [
        preference(n, f"Ask {n}", *(f"answer {w} {v}" for w, v in rng.integers(0, 50, (2, 2)))) for n in range(120)
    ]
    rater = fit_lexical(noise)
    fresh = [
        preference(n, f"Ask {n}", *(f"answer {w} {v}" for w, v in rng.integers(0, 50, (2, 2)))) for n in range(200)
    ]
    chances = rater.compare(
        [f"Ask {n}" for n in range(200)], [one.chosen for one in fresh], [one.rejected for one in fresh]
    )
    assert np.abs(chances - 0.5).mean() < 0.12


def test_the_lexical_rater_has_one_identity_for_one_fit():
    rows = tasteful(40, np.random.default_rng(1))
    assert fit_lexical(rows).identity == fit_lexical(rows).identity
    assert fit_lexical(rows).identity.content_hash != fit_lexical(rows, l2=5.0).identity.content_hash
    assert fit_lexical(rows).identity.content_hash != fit_lexical(rows[:30]).identity.content_hash


def test_the_lexical_rater_is_symmetric():
    rater = fit_lexical(tasteful(40, np.random.default_rng(1)))
    one, other = ["Great question! Yes."], ["Patient people made it."]
    assert rater.compare(["a"], one, other)[0] + rater.compare(["a"], other, one)[0] == pytest.approx(1.0)


def test_too_few_preferences_are_refused():
    with pytest.raises(InputError, match="at least 20 preferences; got 3"):
        fit_lexical(tasteful(3, np.random.default_rng(0)))


def test_agreement_with_people_leaves_out_what_the_rater_was_fitted_on_and_what_was_not_decided():
    rater = Planted(longer, rows=("j0",))
    seen, fresh = preference(0, "a", "longest", "s"), preference(1, "a", "long", "s")
    against = preference(2, "a", "s", "long")
    word = {"created_at": NOW, "campaign": "c", "annotator": "p", "prompt": user_prompt("a"), "first_shown": "left"}
    second = Judgement(first="s", second="longer", choice="second", **word)
    tie = Judgement(first="s", second="longer", choice="tie", **word)
    agreement = human_agreement(rater, [seen, fresh, against, second, tie])
    assert agreement is not None
    assert (agreement.n, agreement.value) == (3, pytest.approx(2 / 3))
    assert human_agreement(rater, [seen, tie]) is None
