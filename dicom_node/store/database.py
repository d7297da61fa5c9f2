"""The engine and its kinds of transaction, over SQLite or PostgreSQL; durable at each commit.

SQLite is in WAL mode. What PostgreSQL needs is in `dicom_node.store.postgresql`.
"""

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
from dicom_node.store.plain import DATABASE, SQLITE

_BUSY_SECONDS = 30  # several processes write; each write is a few milliseconds
# Execution options: what a transaction is for.
READS, CLAIMS = "dicom_node_read", "dicom_node_claim"
_SNAPSHOT: dict[str, dict[str, Any]] = {
    "sqlite": {READS: True},
    "postgresql": {READS: True, "isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def engine_for(data_dir: Path, url: str = SQLITE) -> Engine:
    """Open the database: the file of the data folder (made if needed), or the one at ``url``.

    Raises
    ------
    NodeError
        The URL is not understood, or the extra that it needs is not installed.
    """
    if url != SQLITE:
        return _postgresql(url)
    path = data_dir / DATABASE
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _postgresql(url: str) -> Engine:
    from dicom_node.store import libpq, postgresql

    try:
        return postgresql.engine_for(url)
    except ImportError as error:
        raise NodeError(libpq.MISSING) from error
    except SQLAlchemyError as error:
        raise NodeError(f"store.url cannot be used: {error}") from error


def place(engine: Engine) -> str:
    """The database's name for messages, without a password."""
    return engine.url.render_as_string() if engine.url.host else str(engine.url.database)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One write transaction, the only one at its time: committed, or rolled back on any error.

    Raises
    ------
    StoreWriteError
        The disk or the database does not accept it. Nothing was written, the audit lines of the
        same step included.
    """
    with _transaction(engine, {}) as connection:
        yield connection


@contextmanager
def claiming(engine: Engine) -> Iterator[Connection]:
    """A write transaction that only leases rows it has locked, and writes no audit line.

    On PostgreSQL several run at once; raises as `writing` does.
    """
    with _transaction(engine, {CLAIMS: True}) as connection:
        yield connection


@contextmanager
def _transaction(engine: Engine, options: dict[str, Any]) -> Iterator[Connection]:
    try:
        with engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        raise StoreWriteError(f"{place(engine)} cannot be written: {error}") from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent snapshot, without a lock that a writer waits for; NodeError if it fails."""
    try:
        options = _SNAPSHOT[engine.dialect.name]
        with engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        raise NodeError(f"{place(engine)} cannot be read: {error}") from error


def finds(engine: Engine, query: Select[Any]) -> bool:
    """Whether the query has a row; takes no write lock."""
    with reading(engine) as connection:
        return connection.execute(query).first() is not None


def announce(connection: Connection, channel: str) -> None:
    """Have other machines hear, at commit, that there is work; SQLite has no other machines."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {channel}")


def without_nul(text: str) -> str:
    """U+FFFD for each NUL: PostgreSQL stores none."""
    return text.replace("\0", "\ufffd")


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
    begin = "BEGIN" if options.get(READS) else "BEGIN IMMEDIATE"
    connection.exec_driver_sql(begin)
