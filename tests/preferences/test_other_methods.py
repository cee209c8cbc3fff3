"""Other methods: Dawid-Skene and Crowd-BT have exact pieces, and find planted habits of people."""

import numpy as np
import pytest
from judgement_panels import NOW, Person, judge, planted_panel
from scipy.optimize import approx_fprime

from assay.preferences import cells_of, tabulate
from assay.preferences.crowd_bt import DISHONEST, HONEST, aggregate_by_crowd_bt, crowd_bt_loss
from assay.preferences.dawid_skene import aggregate_by_dawid_skene, find_truth

PEOPLE = [Person("careful-1", 3.0), Person("careful-2", 3.0), Person("careful-3", 3.0), Person("opposite", -3.0)]


@pytest.fixture(scope="module")
def panel():
    return planted_panel([*PEOPLE, Person("spam", 0.0)], prompts=120, tie_band=0.2, seed=4)


def test_the_gradient_of_crowd_bt_is_that_of_its_value(panel):
    cells = cells_of(tabulate(panel.judgements[:40]))
    point = np.random.default_rng(0).normal(size=cells.items + cells.people)
    numeric = approx_fprime(point, lambda x: crowd_bt_loss(x, cells)[0], 1e-7)
    assert crowd_bt_loss(point, cells)[1] == pytest.approx(numeric, abs=2e-5)


def test_the_value_of_crowd_bt_at_equal_scores_is_worked_by_hand():
    # Equal scores give each choice one half whatever eta; the prior adds (8 + 2) log 2 at eta one half.
    cells = cells_of(tabulate([judge()]))
    assert crowd_bt_loss(np.zeros(3), cells)[0] == pytest.approx(np.log(2) * (1 + HONEST + DISHONEST))


def test_the_first_truth_of_two_equal_votes_is_worked_by_hand():
    # One pair, two people, both for a on the left. By symmetry of the people the posterior is that of their answers:
    # with truth left they said left once each on top of (2, 0.5, 1), with truth right on top of (1, 0.5, 2).
    found = find_truth(cells_of(tabulate([judge(), judge(annotator="bob")])))
    chance = 1 / (1 + np.exp(-found.log_odds[0]))
    for_left = (2 + chance) / (3.5 + chance)
    for_right = (1 + (1 - chance)) / (3.5 + (1 - chance))
    assert found.log_odds[0] == pytest.approx(2 * np.log(for_left / for_right), abs=1e-4)


@pytest.mark.parametrize("aggregate", [aggregate_by_dawid_skene, aggregate_by_crowd_bt])
def test_careless_and_opposite_people_are_told_from_careful_ones(panel, aggregate):
    report, preferences = aggregate(panel.judgements, split="train", now=NOW)
    assert report.converged
    reliability = {person.annotator: person.reliability for person in report.annotators}
    careful = [reliability[f"careful-{number}"] for number in (1, 2, 3)]
    assert reliability["opposite"] < -0.3 < abs(reliability["spam"]) < 0.7 < min(careful)
    right = [panel.better[p.prompt[0].content] == p.chosen for p in preferences]
    assert np.mean(right) > 0.85


def test_a_habit_of_one_side_is_no_word_against_either_completion_to_dawid_skene():
    sides = ("left", "right") * 10
    judgements = [
        judge(f"p {n}", annotator=who, first_shown=side) for n, side in enumerate(sides) for who in ("a", "b")
    ]
    lefty = [
        judge(f"p {n}", choice="first" if side == "left" else "second", annotator="lefty", first_shown=side)
        for n, side in enumerate(sides)
    ]
    table = tabulate(judgements + lefty)
    found = find_truth(cells_of(table))
    assert np.ptp(found.log_odds) < 0.8
    assert found.log_odds.min() > 2
