"""Schema: at which revision a database is, and whether it may be opened. Takes an engine; yields nothing, or refuses.

`alembic_version` states the revision. A database of before there were revisions states `schema_version` 1, and has the
tables of the first revision, or those of them that it needed so far. Whoever opens one that is at the newest revision
does not wait for Alembic: it is imported where something has to be made.
"""

import os
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select

from assay.records.errors import StorageError, explain
from assay.storage.dialect import number_of, writing
from assay.storage.record_tables import schema_table

REVISIONS = Path(__file__).parent / "migrations" / "versions"
"""Where the revisions are: one file each, whose name begins with its number."""
FIRST = "0001"
SCHEMA_LOCK = number_of("schema")
_revision_table = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


class Standing(NamedTuple):
    """The revision that a database has the tables of, None for a new one, and whether the database states it."""

    revision: str | None
    is_stated: bool


def newest() -> str:
    """The revision that this Assay works with."""
    return _revisions()[-1]


def standing_of(connection: Connection, where: str) -> Standing:
    """Where a database stands. Raises StorageError for what this Assay does not know; nothing is changed."""
    if _has(connection, _revision_table):
        stated = list(connection.execute(select(_revision_table.c.version_num)).scalars())
        if len(stated) == 1 and stated[0] in _revisions():
            return Standing(stated[0], is_stated=True)
        if stated:
            todo = "open it with the Assay version that wrote it, or a newer one; it was left as it is"
            got = f"revision {', '.join(map(repr, stated))} at {where}"
            raise StorageError(explain(expected=f"a database of revision {newest()} at most", got=got, do=todo))
    versions: list[int] = []
    if _has(connection, schema_table):
        versions = list(connection.execute(select(schema_table.c.version)).scalars())
    if versions not in ([], [int(FIRST)]):
        todo = "open it with the Assay version that wrote it, or choose another directory"
        got = f"version {', '.join(map(str, versions))} at {where}"
        raise StorageError(explain(expected=f"a database of schema version {int(FIRST)}", got=got, do=todo))
    return Standing(FIRST if versions else None, is_stated=False)


def prepare(engine: Engine, where: str) -> None:
    """Make the tables of a new database; complete those of before there were revisions where the first is the newest.

    Raises StorageError, before anything is touched, for a database of another revision than the newest.
    """
    with engine.connect() as connection:
        if _is_ready(standing_of(connection, where), where):
            return
    from assay.storage.migrating import upgrade  # Alembic takes longer to import than a database to open

    with writing(engine, SCHEMA_LOCK) as connection:
        if not _is_ready(standing_of(connection, where), where):  # somebody else may have been first
            upgrade(connection)


def _is_ready(standing: Standing, where: str) -> bool:
    """Whether nothing is to be done. Raises StorageError where it takes a migration, which people ask for."""
    if standing.revision not in (None, newest()):
        todo = "stop what serves it and run `assay migrate --workspace DIR` on its workspace; nothing was changed"
        got = f"revision {standing.revision} at {where}"
        raise StorageError(explain(expected=f"a database of revision {newest()}", got=got, do=todo))
    return standing.is_stated


def _has(connection: Connection, table: Table) -> bool:
    return inspect(connection).has_table(table.name)


def _revisions() -> list[str]:
    """The numbers of the revisions, in their order."""
    return sorted(name.split("_")[0] for name in os.listdir(REVISIONS) if name[0].isdigit() and name.endswith(".py"))
