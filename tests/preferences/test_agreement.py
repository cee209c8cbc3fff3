"""Agreement: alpha against Krippendorff's published example, and its limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judgement_panels import judge

from assay.preferences import krippendorff_alpha, tabulate
from assay.preferences.agreement import mean_kappa, percent_agreement, table_alpha

# Krippendorff (2011), section C: 12 units, 4 observers, values 1 to 5, some missing; nominal alpha = 0.743.
BY_UNIT = ["111", "2223", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]
UNITS = np.array([unit for unit, labels in enumerate(BY_UNIT) for _ in labels])
LABELS = np.array([int(label) for labels in BY_UNIT for label in labels])


def test_alpha_is_the_published_value_of_the_textbook_example():
    assert krippendorff_alpha(UNITS, LABELS) == pytest.approx(0.743, abs=5e-4)


def test_alpha_of_two_units_is_the_value_worked_by_hand():
    # Units aa and ab: observed 2/4 (per pairable value: (0 + 2) / 4), expected (16 - 9 - 1) / (4 * 3) = 1/2, alpha 0.
    assert krippendorff_alpha(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])) == pytest.approx(0.0)
    # Units ab and ab: observed 1, expected (16 - 4 - 4) / 12 = 2/3, alpha -1/2.
    assert krippendorff_alpha(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])) == pytest.approx(-0.5)


def test_percent_agreement_counts_pairs_of_people():
    # One unit of three with two alike: 1 of 3 pairs; one unit of two alike: 1 of 1. Together 2 of 4.
    assert percent_agreement(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1])) == pytest.approx(0.5)


def test_units_with_one_label_say_nothing():
    assert krippendorff_alpha(np.array([0, 1, 2]), np.array([0, 1, 0])) is None
    assert percent_agreement(np.array([0, 1]), np.array([0, 0])) is None
    assert krippendorff_alpha(np.array([], dtype=int), np.array([], dtype=int)) is None


def test_one_label_everywhere_is_full_agreement():
    assert krippendorff_alpha(np.array([0, 0, 1, 1]), np.array([7, 7, 7, 7])) == 1.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-1, 1)), min_size=2, max_size=40), st.permutations([-1, 0, 1]))
def test_alpha_does_not_depend_on_the_names_of_labels_nor_on_order(rows, renamed):
    units, labels = (np.array(column) for column in zip(*rows, strict=True))
    other = np.array([renamed[label + 1] for label in labels])
    alpha, again = krippendorff_alpha(units, labels), krippendorff_alpha(units[::-1], other[::-1])
    assert (alpha is None and again is None) or alpha == pytest.approx(again, abs=1e-9)
    assert alpha is None or -1 <= alpha <= 1


def test_nobody_agrees_with_themselves():
    alone = tabulate([judge(occurrence=0), judge(occurrence=1)])
    together = tabulate([judge(), judge(annotator="bob")])
    assert table_alpha(alone) is None
    assert table_alpha(together) == 1.0


def test_kappa_is_that_of_two_people_worked_by_hand():
    # Ann says a a a b b, Ben a a b b b: 4 of 5 alike; by chance 3/5 2/5 + 2/5 3/5 = 0.48; (0.8 - 0.48) / 0.52.
    units, people = np.repeat(np.arange(5), 2), np.tile([0, 1], 5)
    labels = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0])
    assert mean_kappa(units, labels, people) == pytest.approx(0.32 / 0.52)


def test_kappa_weighs_couples_by_what_they_share_and_is_none_where_nobody_shares():
    # Ann and Ben agree on four units of two labels (kappa 1); Cid shares one unit with Dan, and they differ (kappa 0).
    units = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    labels = np.array([0, 0, 1, 1, 0, 0, 1, 1, 0, 1])
    people = np.array([0, 1] * 4 + [2, 3])
    assert mean_kappa(units, labels, people) == pytest.approx(4 / 5)
    assert mean_kappa(np.array([0, 1]), np.array([0, 0]), np.array([0, 1])) is None
