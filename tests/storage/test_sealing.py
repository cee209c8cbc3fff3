"""Sealing: what a person wrote is unreadable in the file and without its key, and a record keeps its identity."""

import json
import sqlite3

import pytest

from assay.feedback.assignment import Pass
from assay.records.conversation import user_prompt
from assay.records.errors import StorageError
from assay.records.judgement import Critique, Demonstration, Edit, Judgement
from assay.storage import RecordStore, Workspace
from assay.storage.permission import permission
from assay.storage.sealing import KEYS_FILE, Seals, remnant

SECRET = "my neighbour Ottilie said so"


def judgement(now, **changes):
    fields = {
        "campaign": "k",
        "annotator": "ada",
        "prompt": user_prompt("p"),
        "first": "a",
        "second": "b",
        "choice": "first",
        "first_shown": "left",
        "consent_version": "v",
        "critiques": (Critique(completion="first", text="a", comment=SECRET),),
        "edit": Edit(position=0, text=SECRET),
        "reason": SECRET,
        "created_at": now,
    }
    return Judgement(**{**fields, **changes})


def bytes_of(workspace):
    """Everything that the database's files hold."""
    return b"".join(path.read_bytes() for path in workspace.directory.glob("assay.db*"))


def test_what_is_sealed_comes_back_whole_and_stands_in_no_file(workspace, now):
    said = judgement(now)
    workspace.records.put(said, subject="ada")
    assert workspace.records.get(Judgement, said.id) == said
    assert workspace.records.all(Judgement, subject="ada")[0].id == said.id
    if workspace.records.engine.dialect.name == "sqlite":
        assert SECRET.encode() not in bytes_of(workspace)


def test_without_its_key_a_record_keeps_identity_and_choice_and_nothing_that_was_written(workspace, now):
    said, noted = (
        judgement(now),
        Pass(campaign="k", annotator="ada", item="i", reason="other", note=SECRET, created_at=now),
    )
    other = judgement(now, annotator="bob")
    for one in (said, noted, other):
        workspace.records.put(one, subject=one.annotator)
    assert workspace.records.seals.destroy("ada", "k") == 1
    (left,) = workspace.records.all(Judgement, subject="ada")
    assert (left.id, left.choice, left.critiques, left.edit, left.reason) == (said.id, "first", (), None, None)
    assert workspace.records.get(Judgement, said.id).choice == "first"
    assert workspace.records.all(Pass)[0].note == ""
    assert workspace.records.get(Judgement, other.id) == other
    # Storing it once more, as a second try would, brings nothing back.
    workspace.records.put(said, subject="ada")
    assert workspace.records.get(Judgement, said.id).reason is None


def test_a_destroyed_key_is_gone_from_its_file_with_the_name(workspace, now):
    workspace.records.put(judgement(now), subject="ada")
    path = workspace.directory / KEYS_FILE
    with sqlite3.connect(path) as connection:
        (key,) = connection.execute("SELECT key FROM seal_key").fetchone()
    assert key in path.read_bytes() and (path.stat().st_mode & 0o077) == 0
    workspace.records.seals.destroy("ada")
    assert key not in path.read_bytes()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT key, person, scope FROM seal_key").fetchall() == [(None, None, None)]


def test_an_erased_demonstration_trains_nobody(workspace, now):
    shown = Demonstration(
        annotator="ada", prompt=user_prompt("p"), completion=SECRET, consent_version="v", created_at=now
    )
    workspace.records.put(shown, subject="ada")
    assert permission(workspace.records, "train").allows(shown)
    workspace.records.seals.destroy("ada", shown.id)
    (left,) = workspace.records.all(Demonstration)
    assert (left.id, left.completion) == (shown.id, "")
    assert not permission(workspace.records, "train").allows(left)


def test_what_came_from_elsewhere_stays_open(workspace, now):
    workspace.records.put(judgement(now, consent_version=None), subject="ada")
    assert not (workspace.directory / KEYS_FILE).exists()


def test_rows_of_before_there_were_keys_are_read_and_can_be_sealed(tmp_path, now):
    said = judgement(now)
    old = RecordStore(f"sqlite:///{tmp_path / 'assay.db'}")
    old.put(said, subject="ada")
    old.close()
    assert SECRET.encode() in b"".join(path.read_bytes() for path in tmp_path.glob("assay.db*"))
    workspace = Workspace(tmp_path)
    assert workspace.records.get(Judgement, said.id) == said
    rests = workspace.records.seal([said], subject="ada")
    assert workspace.records.get(Judgement, said.id) == said
    assert SECRET.encode() not in bytes_of(workspace)
    assert rests == {("judgement", said.id): workspace.records.remnant("judgement", said.id)}
    assert workspace.records.seal([said], subject="ada") == rests
    workspace.close()


def test_a_box_is_bound_to_its_record_and_a_lost_key_file_is_no_erasure(workspace, now):
    one, other = judgement(now), judgement(now, choice="second")
    for said in (one, other):
        workspace.records.put(said, subject="ada")
    seals = workspace.records.seals
    box = seals.seal("ada", "k", {"reason": "x"}, bound="judgement/1")
    assert seals.open(box, bound="judgement/1") == {"reason": "x"}
    with pytest.raises(StorageError, match="somebody changed the row"):
        seals.open(box, bound="judgement/2")
    (workspace.directory / KEYS_FILE).unlink()
    with pytest.raises(StorageError, match="not even a destroyed one"):
        workspace.records.get(Judgement, one.id)


def test_sealed_text_is_not_read_without_the_workspace(tmp_path, now):
    workspace = Workspace(tmp_path)
    said = judgement(now)
    workspace.records.put(said, subject="ada")
    workspace.close()
    bare = RecordStore(f"sqlite:///{tmp_path / 'assay.db'}")
    with pytest.raises(StorageError, match="keys of sealed text"):
        bare.get(Judgement, said.id)
    with pytest.raises(StorageError, match="keys to seal with"):
        bare.seal([said], subject="ada")
    bare.close()


def test_each_seal_is_another_and_a_person_who_comes_back_has_a_new_key(tmp_path):
    seals = Seals(tmp_path / "keys.db")
    first, second = (seals.seal("ada", "k", {"a": 1}, bound="x") for _ in range(2))
    assert first.key == second.key and first.box != second.box
    assert seals.destroy("ada", "other") == 0 and seals.destroy("ada", "k") == 1
    assert seals.open(first, bound="x") is None
    assert seals.seal("ada", "k", {"a": 1}, bound="x").key != first.key


def test_what_is_left_of_a_row_is_known_by_a_hash_that_the_box_does_not_enter():
    open_part = {"choice": "first"}
    assert remnant(json.dumps(open_part)) == remnant(json.dumps({**open_part, "sealed": {"key": "k", "box": "b"}}))
    assert remnant(json.dumps(open_part)) != remnant(json.dumps({"choice": "second"}))
