"""Workspace: its records stay in the database that it was made with, and it says where that is to nobody else."""

import stat

import pytest
from typer.testing import CliRunner

from assay.cli.app import app
from assay.cli.context import open_workspace
from assay.records.errors import ConfigError, StorageError
from assay.records.policy import PolicyVersion
from assay.storage import Workspace
from assay.storage.dialect import without_password
from assay.storage.workspace import is_workspace


@pytest.fixture
def url(tmp_path, database):
    return database or f"sqlite:///{tmp_path / 'elsewhere.db'}"


def test_a_workspace_remembers_its_database_and_keeps_it_from_others(tmp_path, url):
    directory = tmp_path / "w"
    assert not is_workspace(directory)
    Workspace(directory, database=url).close()
    again = Workspace(directory)
    assert is_workspace(directory)
    assert again.records.engine.url.render_as_string(hide_password=False) == url
    assert not (directory / "assay.db").exists()
    assert stat.S_IMODE((directory / "database.url").stat().st_mode) == 0o600
    again.close()
    Workspace(directory, database=url).close()


def test_records_of_a_workspace_do_not_move_to_another_database(tmp_path, url):
    Workspace(tmp_path / "here").close()
    Workspace(tmp_path / "there", database=url).close()
    for directory, wanted in (("here", url), ("there", "sqlite:///other.db")):
        with pytest.raises(StorageError, match="a new workspace for"):
            Workspace(tmp_path / directory, database=wanted)
    assert not (tmp_path / "here" / "database.url").exists()


def test_a_database_that_cannot_be_opened_makes_no_workspace(tmp_path):
    with pytest.raises(StorageError, match="to read and write postgresql"):
        Workspace(tmp_path / "w", database=f"postgresql+psycopg://nobody@/x?host={tmp_path}")
    assert not is_workspace(tmp_path / "w")
    with pytest.raises(ConfigError, match="a workspace in"):
        open_workspace(tmp_path / "w")


@pytest.mark.parametrize("way", ["option", "environment"])
def test_init_makes_a_workspace_in_a_database_by_url(tmp_path, url, way):
    command = ["init", "-w", str(tmp_path / "w"), *(["--database", url] if way == "option" else [])]
    done = CliRunner().invoke(app, command, env={} if way == "option" else {"ASSAY_DATABASE_URL": url})
    assert done.exit_code == 0, done.output
    opened = open_workspace(tmp_path / "w")
    assert opened.records.engine.dialect.name == without_password(url).split(":")[0].split("+")[0]
    assert opened.records.count(PolicyVersion) == 1
    opened.close()
