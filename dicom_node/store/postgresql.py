"""What PostgreSQL needs and SQLite does not: a lock for the one writer, and text types.

Imported only if ``store.url`` names a PostgreSQL database; needs the extra ``cluster``.

A transaction that may write an audit line takes the writer's lock first, so that the audit log is
one chain and every rule of the store that holds with SQLite's single writer holds here. Claims of
readings take the lock shared: they run beside each other and skip rows that another claim holds.
"""

from __future__ import annotations

from typing import Any

from psycopg.abc import Buffer
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import TypeCompiler
from sqlalchemy.types import String

from dicom_node.store.database import CLAIMS, READS, without_nul
from dicom_node.store.libpq import SETTINGS, WRITER


def engine_for(url: str) -> Engine:
    """The engine of a database that exists; connections are tested before they are used."""
    engine = create_engine(url, connect_args=SETTINGS, pool_pre_ping=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


class _WithoutNul(StrDumperUnknown):
    """Text with U+FFFD for each NUL, which PostgreSQL does not store (and SQLite does)."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(without_nul(obj))


def _prepare(raw: Any, _entry: ConnectionPoolEntry) -> None:
    raw.adapters.register_dumper(str, _WithoutNul)


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get(READS):
        return
    shared = "_shared" if options.get(CLAIMS) else ""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock{shared}({WRITER})")


@compiles(String, "postgresql")
def _text(column_type: String, compiler: TypeCompiler, **more: Any) -> str:
    """Columns without a length and ordered by code point, as SQLite's are.

    The rooms that read check lengths; an audit line about an overlong value must be writable.
    """
    if more.get("type_expression") is None:  # a cast, not a column
        return "VARCHAR"
    return 'TEXT COLLATE "C"'
