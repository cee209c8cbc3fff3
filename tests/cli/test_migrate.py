"""Migrate command: an older workspace is refused with the command to run, and that command brings it here."""

import shutil

import pytest
from typer.testing import CliRunner

from assay.cli.app import app
from assay.cli.context import open_workspace
from assay.records.errors import BusyError, ConfigError, StorageError
from assay.records.policy import PolicyVersion
from assay.storage import schema
from assay.storage.lock import run_lock

NEWEST = schema.newest()
NEXT = f"{int(NEWEST) + 1:04d}"
LATER = f"""
from alembic import op
from sqlalchemy import Column, String

revision, down_revision = "{NEXT}", "{NEWEST}"


def upgrade():
    op.create_table("later", Column("name", String(20), primary_key=True))
"""


@pytest.fixture
def directory(tmp_path):
    made = CliRunner().invoke(app, ["init", "-w", str(tmp_path / "w")])
    assert made.exit_code == 0, made.output
    return tmp_path / "w"


@pytest.fixture
def later(directory, tmp_path, monkeypatch):
    """An Assay of one revision more than the workspace was made by."""
    shutil.copytree(schema.REVISIONS, tmp_path / "later")
    (tmp_path / "later" / f"{NEXT}_of_a_test.py").write_text(LATER)
    monkeypatch.setattr(schema, "REVISIONS", tmp_path / "later")


def run(*command):
    return CliRunner().invoke(app, [str(part) for part in command])


def test_an_older_workspace_is_brought_here_by_the_command_that_its_refusal_names(directory, later):
    refused = run("init", "--show", "-w", directory)
    assert isinstance(refused.exception, StorageError)
    assert "run `assay migrate --workspace DIR`" in str(refused.exception)
    done = run("migrate", "--workspace", directory)
    assert done.exit_code == 0, done.output
    assert f"went from revision {NEWEST} to {NEXT}" in done.output
    assert f"copy of before: {directory / 'assay.db.before-'}{NEXT}" in done.output
    assert f"assay init --show -w {directory}" in done.output
    shown = run("init", "--show", "-w", directory)
    assert shown.exit_code == 0, shown.output
    opened = open_workspace(directory)
    assert opened.records.count(PolicyVersion) == 1
    opened.close()


def test_a_workspace_that_is_here_already_is_left(directory):
    before = sorted(path.name for path in directory.iterdir())
    done = run("migrate", "-w", directory)
    assert (done.exit_code, f"at revision {NEWEST} already" in done.output) == (0, True)
    assert sorted(path.name for path in directory.iterdir()) == before


def test_a_directory_without_a_workspace_is_not_made_one(tmp_path):
    done = run("migrate", "-w", tmp_path / "nowhere")
    assert isinstance(done.exception, ConfigError)
    assert not (tmp_path / "nowhere").exists()


def test_a_workspace_in_which_a_run_goes_on_waits(directory, later):
    with run_lock(directory):
        done = run("migrate", "-w", directory)
    assert isinstance(done.exception, BusyError)
    assert not (directory / f"assay.db.before-{NEXT}").exists()
