"""The engine and its two kinds of transaction. SQLite in WAL mode, durable at each commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, create_engine, event, true
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from dicom_node.errors import NodeError, StoreWriteError

_BUSY_SECONDS = 30  # several processes write; each write is a few milliseconds
_READ = {"dicom_node_read": True}


def engine_for(path: Path) -> Engine:
    """Open (or create) the database file."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: committed at the end, rolled back on any error.

    Raises
    ------
    StoreWriteError
        The disk or the database does not accept it. Nothing was written, the audit lines of the
        same step included.
    """
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        raise StoreWriteError(f"{engine.url.database} cannot be written: {error}") from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent snapshot, without a lock that a writer waits for; NodeError if it fails."""
    try:
        with engine.connect().execution_options(**_READ) as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        raise NodeError(f"{engine.url.database} cannot be read: {error}") from error


def finds(engine: Engine, query: Select[Any]) -> bool:
    """Whether the query has a row; takes no write lock."""
    with reading(engine) as connection:
        return connection.execute(query).first() is not None


def of(column: ColumnElement[str], value: str | None) -> ColumnElement[bool]:
    """Rows whose column has the value; every row for None."""
    return true() if value is None else column == value


def _prepare(raw: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    raw.isolation_level = None  # `_begin` says which BEGIN
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit is on disk when it returns
        "foreign_keys=ON",
    ):
        raw.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    options: dict[str, Any] = dict(connection.get_execution_options())
    # A writer takes its lock at once: SQLite does not wait for a lock that is upgraded later.
    begin = "BEGIN" if options.get("dicom_node_read") else "BEGIN IMMEDIATE"
    connection.exec_driver_sql(begin)
