"""Schemas for tests: databases of before there were revisions, what a database holds, and revisions of a test's own."""

import re
import shutil

from sqlalchemy import create_engine, select, table, text

from assay.records.conversation import user_prompt
from assay.records.judgement import Demonstration
from assay.storage import schema

TABLES_OF_BEFORE = {
    "record": [
        "CREATE TABLE record (seq {seq} NOT NULL, id VARCHAR(64){by_bytes} NOT NULL, kind VARCHAR(40) NOT NULL,"
        " split VARCHAR(20), subject VARCHAR(200), body TEXT NOT NULL, PRIMARY KEY (seq))",
        "CREATE UNIQUE INDEX record_identity ON record (kind, id)",
        "CREATE INDEX record_by_split ON record (kind, split, seq)",
        "CREATE INDEX record_by_subject ON record (kind, subject, seq)",
    ],
    "schema_version": [
        "CREATE TABLE schema_version (version {version} NOT NULL, PRIMARY KEY (version))",
        "INSERT INTO schema_version VALUES (1)",
    ],
    "work": [
        "CREATE TABLE work (queue VARCHAR(80) NOT NULL, item VARCHAR(64) NOT NULL, split VARCHAR(20) NOT NULL,"
        " place BIGINT NOT NULL, wanted INTEGER, taken INTEGER NOT NULL, is_full BOOLEAN NOT NULL,"
        " is_check BOOLEAN NOT NULL, PRIMARY KEY (queue, item))",
        "CREATE INDEX work_in_order ON work (queue, is_check, is_full, place)",
        "INSERT INTO work VALUES ('q', 'one', 'train', 4611686018427387903, 2, 1, FALSE, FALSE)",
    ],
    "lease": [
        "CREATE TABLE lease (queue VARCHAR(80) NOT NULL, annotator VARCHAR(200) NOT NULL, item VARCHAR(64) NOT NULL,"
        " round INTEGER NOT NULL, state VARCHAR(10) NOT NULL, turn INTEGER NOT NULL, done INTEGER, until FLOAT,"
        " answer VARCHAR(64), PRIMARY KEY (queue, annotator, item, round))",
        "CREATE INDEX lease_by_item ON lease (queue, item)",
        "CREATE INDEX lease_by_end ON lease (queue, state, until)",
        "CREATE INDEX lease_by_turn ON lease (queue, annotator, turn)",
        "CREATE INDEX lease_by_done ON lease (queue, annotator, done)",
        "CREATE INDEX lease_by_state ON lease (queue, annotator, state, turn)",
        "INSERT INTO lease VALUES ('q', 'ada', 'one', 0, 'held', 1, NULL, 1767225600.5, NULL)",
    ],
    "work_level": [
        "CREATE TABLE work_level (queue VARCHAR(80) NOT NULL, item VARCHAR(64) NOT NULL, is_check BOOLEAN NOT NULL,"
        " level INTEGER NOT NULL, is_full BOOLEAN NOT NULL, place BIGINT NOT NULL, PRIMARY KEY (queue, item))",
        "CREATE INDEX level_in_order ON work_level (queue, is_check, level, is_full, place)",
        "INSERT INTO work_level VALUES ('q', 'one', FALSE, 2, FALSE, 4611686018427387903)",
    ],
    "level_tally": [
        "CREATE TABLE level_tally (queue VARCHAR(80) NOT NULL, level INTEGER NOT NULL, items INTEGER NOT NULL,"
        ' "full" INTEGER NOT NULL, PRIMARY KEY (queue, level))',
        "INSERT INTO level_tally VALUES ('q', 2, 1, 0)",
    ],
    "queue_tally": [
        "CREATE TABLE queue_tally (queue VARCHAR(80) NOT NULL, items INTEGER NOT NULL,"
        ' "full" INTEGER NOT NULL, PRIMARY KEY (queue))',
        "INSERT INTO queue_tally VALUES ('q', 1, 0)",
    ],
}
"""The tables that Assay made before there were revisions, each with a row, as its statements were then."""

TYPES = {
    "sqlite": {"seq": "INTEGER", "by_bytes": "", "version": "INTEGER"},
    "postgresql": {"seq": "BIGSERIAL", "by_bytes": ' COLLATE "C"', "version": "SERIAL"},
}

LAYOUT = {
    "sqlite": ["SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"],
    "postgresql": [
        "SELECT table_name, column_name, ordinal_position, data_type, character_maximum_length, is_nullable,"
        " column_default, collation_name FROM information_schema.columns WHERE table_schema = current_schema()",
        "SELECT replace(indexdef, schemaname || '.', '') FROM pg_indexes WHERE schemaname = current_schema()",
    ],
}

REVISION = """
from alembic import op
from sqlalchemy import Column, String

revision, down_revision = "{number}", "{before}"


def upgrade():
{steps}
"""

WIDER = """    with op.batch_alter_table("record", recreate="always") as record:
        record.add_column(Column("origin", String(20)))
    op.execute("UPDATE record SET origin = 'before'")
    op.create_table("later", Column("name", String(20), primary_key=True))
    op.drop_index("lease_by_turn", "lease")
"""
"""Steps of a revision that rebuilds the table of records, changes its rows, makes a table and drops an index."""


MIGRATE = """
import resource, sys
from pathlib import Path
from assay.records.errors import StorageError
from assay.storage import schema
from assay.storage.migrating import migrate
schema.REVISIONS = Path(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    migrate(sys.argv[1])
except StorageError as error:
    print(error)
"""
"""Takes a URL, a directory of revisions and how large a file may grow in bytes (-1: as it likes)."""


def a_demonstration(words, now):
    return Demonstration(annotator="anna", prompt=user_prompt("hello"), completion=words, created_at=now)


def make_before(url, records, tables=tuple(TABLES_OF_BEFORE)):
    """A database of before there were revisions, of these tables, with these records."""
    engine = create_engine(url)
    insert = text("INSERT INTO record (id, kind, split, subject, body) VALUES (:id, :kind, 'train', 'anna', :body)")
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        for statement in (one for name in tables for one in TABLES_OF_BEFORE[name]):
            connection.exec_driver_sql(statement.format(**TYPES[engine.dialect.name]))
        for one in records:
            connection.execute(insert, {"id": one.id, "kind": one.kind, "body": one.model_dump_json()})
    engine.dispose()


def layout_of(url):
    """Every table, column and index of a database, however its statements were spaced and quoted."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = [row for query in LAYOUT[engine.dialect.name] for row in connection.exec_driver_sql(query)]
    engine.dispose()
    spaced = {tuple(re.sub(r"\s*([(),\s])\s*", r"\1", str(value).replace('"', "")) for value in row) for row in rows}
    return {row for row in spaced if not any("alembic_version" in value for value in row)}


def rows_of(url, tables=tuple(TABLES_OF_BEFORE)):
    """Every row of these tables."""
    engine = create_engine(url)
    with engine.connect() as connection:
        queries = {name: select(text("*")).select_from(table(name)) for name in tables}
        found = {name: sorted(map(tuple, connection.execute(query))) for name, query in queries.items()}
    engine.dispose()
    return found


def execute(url, *statements):
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def use_the_first_alone(monkeypatch, directory):
    """Make this Assay one that knows the first revision alone: what is tested is how one gets to the next."""
    directory.mkdir()
    shutil.copy(next(schema.REVISIONS.glob("0001_*.py")), directory)
    monkeypatch.setattr(schema, "REVISIONS", directory)


def add_revision(directory, number, steps):
    """A directory of the revisions that there are, and another after them."""
    if not directory.exists():
        shutil.copytree(schema.REVISIONS, directory, ignore=shutil.ignore_patterns("__pycache__"))
    before = f"{int(number) - 1:04d}"
    content = REVISION.format(number=number, before=before, steps=steps)
    (directory / f"{number}_of_a_test.py").write_text(content, encoding="utf-8")
    return directory


def use_revision(monkeypatch, directory, steps, number="0002"):
    """Make this Assay one of the revisions in a directory, this one added to them."""
    monkeypatch.setattr(schema, "REVISIONS", add_revision(directory, number, steps))
    return directory


def standing(url):
    """All that a migration may not leave changed when it fails."""
    return layout_of(url), rows_of(url, (*TABLES_OF_BEFORE, "alembic_version"))


def copies(directory):
    """The names of copies of before, and of what is left of half-written ones."""
    return sorted(path.name for path in directory.iterdir() if ".before-" in path.name)
