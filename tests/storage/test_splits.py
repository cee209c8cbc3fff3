"""Splits: training opens training splits only, evaluation its own, and a prompt stays where it belongs."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.records.conversation import user_prompt
from assay.records.errors import FirewallError, SplitError
from assay.records.judgement import Demonstration
from assay.storage import EvaluationView, SplitName, Workspace
from assay.storage.splits import assign_split

SHARES = ((SplitName.TRAIN, 0.6), (SplitName.WATCH, 0.1), (SplitName.HELD_OUT, 0.2), (SplitName.SEALED, 0.1))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace(tmp_path / "project")
    for name in SplitName:
        record = Demonstration(
            annotator="anna", prompt=user_prompt("hi"), completion=name, created_at=datetime(2026, 1, 1, tzinfo=UTC)
        )
        opened.records.put(record, split=name)
    yield opened
    opened.close()


@pytest.mark.parametrize("split", [SplitName.TRAIN, SplitName.WATCH])
def test_training_reads_its_splits_and_nothing_else_of_them(workspace: Workspace, split: SplitName) -> None:
    assert [one.completion for one in workspace.training.all(Demonstration, split)] == [split.value]


@pytest.mark.parametrize("split", [SplitName.HELD_OUT, SplitName.SEALED])
def test_training_that_tries_to_read_held_out_or_sealed_data_is_refused(workspace: Workspace, split: SplitName) -> None:
    with pytest.raises(SplitError, match=f"{split.value!r}, asked for by training code") as caught:
        workspace.training.all(Demonstration, split)
    assert isinstance(caught.value, FirewallError)


def test_evaluation_reads_held_out_data_and_sealed_data_only_when_told_so(workspace: Workspace) -> None:
    assert [one.completion for one in workspace.evaluation.all(Demonstration, SplitName.HELD_OUT)] == ["held_out"]
    for split in (SplitName.TRAIN, SplitName.WATCH, SplitName.SEALED):
        with pytest.raises(SplitError, match="asked for by evaluation code"):
            workspace.evaluation.all(Demonstration, split)
    released = EvaluationView(workspace.records, may_open_sealed=True)
    assert [one.completion for one in released.all(Demonstration, SplitName.SEALED)] == ["sealed"]


@pytest.mark.parametrize("split", ["held_out", "sealed", "no such split"])
def test_a_split_given_as_plain_text_is_refused_with_the_same_error(workspace: Workspace, split: str) -> None:
    with pytest.raises(SplitError):
        workspace.training.all(Demonstration, split)


@settings(deadline=None)
@given(key=st.text(), salt=st.text(), others=st.lists(st.text()))
def test_a_key_stays_in_its_split_whatever_else_there_is(key: str, salt: str, others: list[str]) -> None:
    before = assign_split(key, salt=salt, shares=SHARES)
    for other in others:
        assign_split(other, salt=salt, shares=SHARES)
    assert assign_split(key, salt=salt, shares=SHARES) is before


def test_the_assignment_never_changes_between_versions() -> None:
    found = [assign_split(key, salt="assay", shares=SHARES).value for key in "achjk"]
    assert found == ["train", "watch", "sealed", "held_out", "held_out"], "SHA-256 points 0.09, 0.67, 0.94, 0.89, 0.72"


def test_shares_are_met_within_four_standard_errors() -> None:
    count = 5000
    found = Counter(assign_split(str(number), salt="s", shares=SHARES) for number in range(count))
    for name, share in SHARES:
        assert abs(found[name] / count - share) < 4 * (share * (1 - share) / count) ** 0.5


def test_another_salt_makes_other_splits() -> None:
    keys = [str(number) for number in range(200)]
    one, other = ([assign_split(key, salt=salt, shares=SHARES) for key in keys] for salt in ("one", "other"))
    assert one != other
