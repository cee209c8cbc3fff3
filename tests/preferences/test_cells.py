"""Cells: judgements add up by pair, annotator and side, and faulty arrays are refused with every fault."""

import numpy as np
import pytest
from judgement_panels import judge

from assay.preferences import cells_from, cells_of, tabulate
from assay.records.errors import InputError


def test_equal_questions_to_one_person_become_one_cell():
    cells = cells_from([0, 0, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1], [1, 0, 1, -1], [1, 1, -1, 1])
    # The third row calls the pair by the other letters: b won and stood right, so a lost and stood left.
    assert cells.annotator.tolist() == [0, 1]
    assert cells.total.tolist() == [3, 1]
    assert cells.lean.tolist() == [0, -1]
    assert cells.tied.tolist() == [1, 0]
    assert cells.side.tolist() == [1, 1]
    assert (cells.item_a.tolist(), cells.item_b.tolist()) == ([0], [1])


def test_weights_add_up_and_a_table_gives_the_numbers_of_its_pairs():
    table = tabulate([judge("p"), judge("q", choice="tie"), judge("q", choice="second", annotator="bob")])
    cells = cells_of(table, weight=np.array([0.5, 0.25, 2.0]))
    assert cells.total.tolist() == [0.5, 0.25, 2.0]
    assert cells.lean.tolist() == [0.5, 0.0, -2.0]
    assert cells.tied.tolist() == [0.0, 0.25, 0.0]
    assert cells.pair.tolist() == [0, 1, 1]


def test_all_faults_of_arrays_are_told_at_once():
    with pytest.raises(InputError) as caught:
        cells_from([0, -1], [0, 1], [1, 1], [2, 1], [1, 0])
    assert len(caught.value.faults) == 3
    with pytest.raises(InputError, match="no judgement"):
        cells_from([], [], [], [], [])
    with pytest.raises(InputError, match="lengths"):
        cells_from([0], [0, 1], [1, 2], [1, 1], [1, 1])
