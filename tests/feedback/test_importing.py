"""Importing: all or nothing, the same twice as once, and evaluation shares neither prompt nor annotator."""

import sqlite3

import pytest

from assay.feedback import Folds, Imported, import_judgements
from assay.records.conversation import user_prompt
from assay.records.errors import ConfigError, SplitError, StorageError
from assay.records.judgement import Demonstration, Judgement
from assay.storage import SplitName

PEOPLE = ("ada", "bob", "cem", "dan", "eve")


def _panel(now, people=PEOPLE, prompts=60):
    return [
        Judgement(
            campaign="c",
            annotator=name,
            prompt=user_prompt(f"prompt {n}"),
            first="a",
            second="b",
            choice="first",
            first_shown="left",
            created_at=now,
        )
        for n in range(prompts)
        for name in people
    ]


def _imported(judgements, demonstrations=()):
    return Imported("assay", list(judgements), list(demonstrations), ["a note"])


def _in(workspace, *splits):
    return [j for split in splits for j in workspace.records.all(Judgement, split=split)]


def test_evaluation_rows_share_neither_prompt_nor_annotator_with_training_rows(workspace, now):
    summary = import_judgements(workspace.records, _imported(_panel(now)), folds=Folds())
    training, evaluation = _in(workspace, "train", "watch"), _in(workspace, "held_out", "sealed")
    assert training
    assert evaluation
    assert not {j.annotator for j in training} & {j.annotator for j in evaluation}
    assert not {j.prompt_id for j in training} & {j.prompt_id for j in evaluation}
    assert {j.annotator for j in evaluation} == set(summary.held_out_annotators)
    assert len(training) + len(evaluation) + summary.unused == 300
    assert summary.unused == workspace.records.count(Judgement, split="unused") > 0


def test_the_summary_counts_what_was_done(workspace, now):
    demonstration = Demonstration(annotator="unknown", prompt=user_prompt("p"), completion="x", created_at=now)
    given = _imported(_panel(now, people=("ada",), prompts=10), [demonstration])
    summary = import_judgements(workspace.records, given, folds=Folds())
    assert (summary.judgements, summary.demonstrations, summary.added) == (10, 1, 11)
    assert sum(summary.splits.values()) == 11
    assert (summary.unused, summary.held_out_annotators, summary.notes) == (0, (), ("a note",))
    assert workspace.records.count(Judgement, subject="ada") == 10


def test_the_same_file_twice_is_the_same_as_once(workspace, now):
    first = import_judgements(workspace.records, _imported(_panel(now)), folds=Folds())
    again = import_judgements(workspace.records, _imported(_panel(now)), folds=Folds(salt="other"))
    assert again.added == 0
    assert (again.judgement_set, again.splits) == (first.judgement_set, first.splits)


def test_a_later_batch_of_the_same_panel_keeps_prompts_and_people_apart(workspace, now):
    import_judgements(workspace.records, _imported(_panel(now, prompts=30)), folds=Folds())
    later = _panel(now, people=(*PEOPLE, "fay", "gus", "hal"), prompts=60)
    import_judgements(workspace.records, _imported(later), folds=Folds(salt="other"))
    training, evaluation = _in(workspace, "train", "watch"), _in(workspace, "held_out", "sealed")
    assert not {j.annotator for j in training} & {j.annotator for j in evaluation}
    assert not {j.prompt_id for j in training} & {j.prompt_id for j in evaluation}


def test_without_held_out_annotators_nothing_is_unused(workspace, now):
    folds = Folds(held_out_annotators="none")
    summary = import_judgements(workspace.records, _imported(_panel(now)), folds=folds)
    assert "unused" not in summary.splits
    assert summary.unused == 0


def test_training_code_cannot_open_what_is_held_out(workspace, now):
    import_judgements(workspace.records, _imported(_panel(now)), folds=Folds())
    with pytest.raises(SplitError):
        workspace.training.all(Judgement, SplitName.HELD_OUT)


def test_a_refused_held_out_annotator_stores_nothing(workspace, now):
    with pytest.raises(ConfigError):
        import_judgements(workspace.records, _imported(_panel(now)), folds=Folds(held_out_annotators=("zed",)))
    assert workspace.records.kinds() == {}


@pytest.mark.sqlite
def test_a_database_that_fails_in_the_middle_keeps_nothing(workspace, now):
    with sqlite3.connect(workspace.directory / "assay.db") as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON record WHEN (SELECT count(*) FROM record) > 700 "
            "BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    connection.close()
    with pytest.raises(StorageError, match="disk is full"):
        import_judgements(workspace.records, _imported(_panel(now, prompts=200)), folds=Folds())
    assert workspace.records.kinds() == {}


def test_an_import_of_nothing_is_nothing(workspace):
    summary = import_judgements(workspace.records, _imported([]), folds=Folds())
    assert (summary.added, summary.splits) == (0, {})
