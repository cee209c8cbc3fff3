"""Statements: runs what is built once on the driver's own cursor. Takes a statement and values, yields rows.

SQLAlchemy looks a statement up, binds it and wraps its rows at each call, and takes many times as long for that as
SQLite for the answer. Here a statement becomes text once for each kind of database; what it takes and yields is the
same. Errors of a database come as SQLAlchemy's, for `storage.dialect` to explain.

A statement goes SQLAlchemy's way where it takes a list for `IN`, whose length is part of its text, and where somebody
listens to the engine's statements.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import Select

from assay.storage.readers import lend, take_back

Statement = Select[Any] | UpdateBase
Values = Mapping[str, object]


class Done(NamedTuple):
    """The rows that a statement yields, and how many it found or changed."""

    rows: list[Any]
    matched: int

    @property
    def first(self) -> Any:
        """The first row, or None where there is none."""
        return self.rows[0] if self.rows else None

    @property
    def value(self) -> Any:
        """The first column of the first row, or None where there is none."""
        return self.rows[0][0] if self.rows else None


class _Prepared(NamedTuple):
    """A statement's text, what it binds by itself, the names of its places (None: by name), and what makes a row."""

    text: str
    constants: Values
    places: tuple[str, ...] | None
    row: Callable[[Sequence[Any]], Any]

    def bound(self, values: Values) -> Sequence[object] | Values:
        """The values as the driver takes them. Raises KeyError where one is missing."""
        named = {**values, **self.constants}
        return named if self.places is None else [named[place] for place in self.places]


def read(engine: Engine, query: Select[Any], values: Values) -> list[Any]:
    """All rows of a query, read in a transaction of its own; columns are attributes, in order."""
    prepared = _prepared_for(query, engine.dialect)
    if prepared is None or engine.dispatch.before_cursor_execute:
        with engine.connect() as opened:
            return list(opened.execute(query, values))
    try:
        connection = lend(engine)
        try:
            cursor = connection.cursor()
            cursor.execute(prepared.text, prepared.bound(values))
            rows = [prepared.row(row) for row in cursor.fetchall()]
        except BaseException:
            connection.close()
            raise
        take_back(engine, connection)
        return rows
    except engine.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(prepared.text, None, error) from error


def run(connection: Connection, statement: Statement, values: Values) -> Done:
    """Run a statement within a transaction that has begun; columns are attributes, in order."""
    prepared = _prepared_for(statement, connection.dialect)
    if prepared is None or connection.engine.dispatch.before_cursor_execute:
        done = connection.execute(statement, values)
        return _done(list(done)) if done.returns_rows else Done([], done.rowcount)
    try:
        cursor = connection.connection.cursor()
        cursor.execute(prepared.text, prepared.bound(values))
        if cursor.description:
            return _done([prepared.row(row) for row in cursor.fetchall()])
        return Done([], cursor.rowcount)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(prepared.text, None, error) from error


def _done(rows: list[Any]) -> Done:
    return Done(rows, len(rows))


def _prepared_for(statement: Statement, dialect: Dialect) -> _Prepared | None:
    """The statement for one kind of database; None where it takes a list."""
    kind: Any = type(dialect)  # a class is hashable, whatever this one's stubs say
    return _prepared(statement, kind)


@cache
def _prepared(statement: Statement, kind: Callable[[], Dialect]) -> _Prepared | None:
    dialect = kind()
    compiled = statement.compile(dialect=dialect)
    if compiled.post_compile_params:
        return None
    constants = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
    places = tuple(compiled.positiontup or ()) if compiled.positional else None
    return _Prepared(str(compiled), constants, places, _row_of(list(statement.exported_columns), dialect))


def _row_of(columns: Sequence[ColumnElement[Any]], dialect: Dialect) -> Callable[[Sequence[Any]], Any]:
    """What makes a row with names of what the driver yields; SQLite yields numbers for what is true or false."""
    names = [column.key or "" for column in columns]
    make: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]
    types = [column.type.result_processor(dialect, None) if _is_boolean(column) else None for column in columns]
    if not any(types):
        return lambda found: make(*found)
    return lambda found: make(*(value if of is None else of(value) for value, of in zip(found, types, strict=True)))


def _is_boolean(column: ColumnElement[Any]) -> bool:
    return isinstance(column.type, Boolean)
