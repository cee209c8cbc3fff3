"""Time: recent judgements weigh more by the stated half-life, and a change of mind is found with its date."""

from datetime import timedelta

import numpy as np
import pytest
from judgement_panels import NOW, judge

from assay.preferences import aggregate_jointly, expectation_drift
from assay.preferences.decay import decay_weights
from assay.preferences.drift import find_break
from assay.preferences.incremental import refit
from assay.records.errors import ConfigError, InputError


def said(days, **fields):
    return judge(**fields).model_copy(update={"created_at": NOW + timedelta(days=days)})


def test_a_judgement_one_half_life_older_weighs_half():
    weights = decay_weights([said(0), said(30, annotator="bob"), said(60, annotator="eve")], half_life_days=30)
    assert weights == pytest.approx([0.25, 0.5, 1.0])
    with pytest.raises(ConfigError, match="above 0"):
        decay_weights([said(0)], half_life_days=0)


def test_with_a_half_life_the_later_view_wins_and_without_one_the_larger():
    old = [said(0, choice="first", annotator=f"o{n}", first_shown=("left", "right")[n % 2]) for n in range(6)]
    new = [said(90, choice="second", annotator=f"n{n}", first_shown=("left", "right")[n % 2]) for n in range(4)]
    (plain,) = aggregate_jointly(old + new, split="train", now=NOW).preferences
    report, (recent,) = aggregate_jointly(old + new, split="train", now=NOW, half_life_days=30)
    assert (plain.chosen, recent.chosen) == ("one", "two")
    assert "30 days older" in report.notes[-1]


def test_the_statistic_of_two_halves_is_largest_between_them():
    # Ten units say 1 before 0.5 and -1 after it: nothing exchanged is as far apart.
    time = np.tile(np.linspace(0, 1, 10), 10)
    found = find_break(
        np.where(time < 0.5, 1.0, -1.0), np.repeat(np.arange(10), 10), time, rng=np.random.default_rng(0)
    )
    assert found.p_value == pytest.approx(1 / 401)
    assert 0.4 < found.at < 0.5


def test_a_break_is_rarely_found_where_there_is_none():
    rng = np.random.default_rng(1)
    p_values = [
        find_break(
            rng.choice([-1.0, 1.0], 120), rng.integers(0, 20, 120), rng.random(120), rng=rng, permutations=60
        ).p_value
        for _ in range(100)
    ]
    # 100 tests at 10%: 10 expected, more than 20 once in a thousand.
    assert sum(p <= 0.1 for p in p_values) <= 20


def test_nothing_to_compare_is_no_break():
    rng = np.random.default_rng(0)
    assert find_break(np.ones(3), np.arange(3), np.arange(3.0), rng=rng) is None
    assert find_break(np.ones(4), np.zeros(4, dtype=int), np.ones(4), rng=rng) is None
    with pytest.raises(InputError, match="different times"):
        expectation_drift([judge(), judge(annotator="bob", choice="second")], rng=rng)


def test_a_growing_liking_for_length_is_found_with_its_date_though_no_pair_is_judged_twice():
    rng = np.random.default_rng(3)
    judgements = []
    for number in range(400):
        lengths = rng.integers(5, 200, size=2)
        is_longer_first = lengths[0] > lengths[1]
        likes = rng.random() < (0.5 if number < 240 else 0.9)
        judgements.append(
            said(
                number / 4,
                prompt=f"p {number}",
                first="x" * int(lengths[0]),
                second="y" * int(lengths[1]),
                choice="first" if is_longer_first == likes else "second",
                annotator=f"a{number % 8}",
                first_shown=("left", "right")[int(rng.random() < 0.5)],
            )
        )
    (found,) = (one for one in expectation_drift(judgements, rng=rng) if one.subject == "log characters")
    assert found.p_value < 0.05
    assert abs((found.at - NOW).days - 60) <= 12


def test_a_refit_with_new_labels_finds_the_same_mode_in_fewer_steps():
    rng = np.random.default_rng(0)
    judgements = [
        judge(f"p {n % 60}", f"x {n % 60}", f"y {n % 60}", ("first", "second")[int(rng.random() < 0.3)],
              annotator=f"a{n % 7}", first_shown=("left", "right")[int(rng.random() < 0.5)], occurrence=n)
        for n in range(600)
    ]  # fmt: skip
    last = refit(judgements[:590])
    warm, cold = refit(judgements, last=last), refit(judgements)
    assert warm.fit.converged
    assert warm.fit.iterations < cold.fit.iterations
    assert warm.fit.difference == pytest.approx(cold.fit.difference, abs=0.03)
