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

from dicom_node.errors import AuditError, NodeError

_BUSY_SECONDS = 30  # several processes write; each write is a few milliseconds
_READ = {"dicom_node_read": True}

#: The columns of a lease that is given back.
FREE: dict[str, Any] = {"owner": None, "lease": None, "lease_until": None}


def engine_for(path: Path) -> Engine:
    """Open (or create) the database file."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction: committed at the end, rolled back by any error.

    Raises
    ------
    AuditError
        The disk or the database does not take it. Every write carries its audit lines, so that
        the trail could not be written either.
    """
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        raise AuditError(f"{engine.url.database} cannot be written: {error}") from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent look; takes no lock that a writer waits for. NodeError where it fails."""
    try:
        with engine.connect().execution_options(**_READ) as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        raise NodeError(f"{engine.url.database} cannot be read: {error}") from error


def finds(engine: Engine, query: Select[Any]) -> bool:
    """Whether there is anything to do: asked without a lock, since mostly there is not."""
    with reading(engine) as connection:
        return connection.execute(query).first() is not None


def of(column: ColumnElement[str], value: str | None) -> ColumnElement[bool]:
    """Rows whose column has the value; None means all rows."""
    return true() if value is None else column == value


def _prepare(raw: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    raw.isolation_level = None  # we say BEGIN ourselves
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit is on disk before it is answered for
        "foreign_keys=ON",
    ):
        raw.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    options: dict[str, Any] = dict(connection.get_execution_options())
    # A writer takes its lock at once: one that upgrades later may fail where it cannot wait.
    begin = "BEGIN" if options.get("dicom_node_read") else "BEGIN IMMEDIATE"
    connection.exec_driver_sql(begin)
