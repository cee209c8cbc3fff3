"""Migrations: the steps lead to the tables that the code works with, one after another, on both databases."""

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from schema_cases import execute, layout_of
from sqlalchemy import create_engine

from assay.storage import RecordStore, schema
from assay.storage.lease_tables import metadata
from assay.storage.migrating import MIGRATIONS


@pytest.fixture
def url(tmp_path, database):
    return database or f"sqlite:///{tmp_path / 'assay.db'}"


def differences(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    engine.dispose()
    return found


def test_the_steps_lead_to_the_tables_of_the_code(url):
    RecordStore(url).close()
    assert differences(url) == []


def test_a_difference_would_be_found(url):
    RecordStore(url).close()
    execute(url, "DROP INDEX lease_by_end", "ALTER TABLE work DROP COLUMN wanted", "CREATE TABLE more (name TEXT)")
    assert sorted(one[0] for one in differences(url)) == ["add_column", "add_index", "remove_table"]


def test_the_steps_and_the_code_make_the_same_to_the_letter(url):
    engine = create_engine(url)
    metadata.create_all(engine)
    of_the_code = layout_of(url)
    metadata.drop_all(engine)
    engine.dispose()
    RecordStore(url).close()
    assert layout_of(url) == of_the_code


def test_revisions_are_numbered_without_a_gap_and_none_goes_back():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(schema.REVISIONS))
    steps = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    assert [step.revision for step in steps] == [f"{number:04d}" for number in range(1, len(steps) + 1)]
    assert [step.down_revision for step in steps] == [None, *(step.revision for step in steps[:-1])]
    assert steps[-1].revision == schema.newest()
    for step in steps:
        assert re.match(rf"{step.revision}_\w+\.py$", step.path.split("/")[-1])
        assert not hasattr(step.module, "downgrade")
