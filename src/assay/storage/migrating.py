"""Migrating: brings a database to the newest revision, all of it or none. Takes a connection or a URL.

A migration is one transaction: a killed process, a full disk or a fault in a revision leaves the database as it was. Of
an SQLite file a copy of before is kept beside it, as `FILE.before-REVISION`.

Catches: what fails while it migrates. Does not catch: a server of before that goes on with the tables it knew; stop it
first. There is no way back but the copy, or the backup of a PostgreSQL.
"""

from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from assay.storage import schema
from assay.storage.copying import keep_copy
from assay.storage.dialect import open_engine, storage_errors, without_password, writing

MIGRATIONS = Path(__file__).parent / "migrations"
_alembic = Lock()  # it keeps what it works on in globals


class Migration(NamedTuple):
    """From which revision (None: from nothing) to which, and the copy of before, where one was kept."""

    before: str | None
    after: str
    copy: Path | None


def migrate(url: str) -> Migration:
    """Bring the database of a URL to the newest revision. Raises StorageError where it stays as it was."""
    where, engine = without_password(url), open_engine(url)
    newest = schema.newest()
    try:
        with ExitStack() as unless_done, storage_errors(where):
            with writing(engine, schema.SCHEMA_LOCK) as connection:
                found = schema.standing_of(connection, where)
                if found.revision == newest and found.is_stated:
                    return Migration(newest, newest, None)
                copy = None
                if engine.url.database and engine.dialect.name == "sqlite" and found.revision not in (None, newest):
                    copy = keep_copy(Path(engine.url.database), before=newest)
                    unless_done.callback(copy.unlink)
                upgrade(connection)
            unless_done.pop_all()
        return Migration(found.revision, newest, copy)
    finally:
        engine.dispose()


def upgrade(connection: Connection) -> None:
    """Take every step to the newest revision in the connection's own transaction, which the caller ends."""
    settings = {"script_location": MIGRATIONS, "version_locations": schema.REVISIONS, "path_separator": "newline"}
    config = Config(attributes={"connection": connection})
    for name, value in settings.items():
        config.set_main_option(name, str(value).replace("%", "%%"))  # or it would stand for another setting
    with _alembic:
        command.upgrade(config, "head")
