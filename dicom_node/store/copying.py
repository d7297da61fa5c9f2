"""Copies every row of the node's database into an empty one, batch by batch.

While rows are missing, the target has the table ``unfinished_copy``: no node starts over it, and a
copy that was cut off goes on after the last row that is there. Nothing may write to the source
meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, MetaData, String, Table, insert, inspect, select, text, tuple_

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import NodeError
from dicom_node.store import audit, migrations, schema
from dicom_node.store.audit import AuditLog
from dicom_node.store.database import engine_for, place, reading, writing
from dicom_node.store.site_schema import metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection, Engine, RowMapping

    from dicom_node.ports import Clock

_ROWS_AT_A_TIME = 500
_MARK = Table(
    migrations.UNFINISHED,
    MetaData(),
    Column("birth", String(64), nullable=False),  # hash of the source's first audit line
    Column("head", String(64), nullable=False),  # hash of its last one
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCopy:
    """How many rows of a table were copied now, and how many were there from an earlier run."""

    table: str
    copied: int
    earlier: int


def named_files(engine: Engine) -> dict[str, str | None]:
    """Every film and result that a row names, with its SHA-256 if it is a film."""
    films, results, seconds = schema.instances, schema.results, schema.conflicts
    with reading(engine) as connection:
        kept = select(seconds.c.path, seconds.c.sha256).where(seconds.c.path.is_not(None))
        named: dict[str, str | None] = dict(
            map(tuple, connection.execute(select(films.c.path, films.c.sha256)))
        )
        named |= map(tuple, connection.execute(kept))
        return named | dict.fromkeys(connection.execute(select(results.c.path)).scalars())


@dataclass(frozen=True, slots=True)
class StoreCopy:
    """The databases of one copy.

    Parameters
    ----------
    source, target
        Both at this version's schema.
    log, copied_log
        Their audit logs.
    """

    source: Engine
    target: Engine
    log: AuditLog
    copied_log: AuditLog
    _clock: Clock

    def rows(self) -> int:
        """How many rows the source has."""
        with reading(self.source) as connection:
            return sum(_count(connection, table) for table in metadata.sorted_tables)

    def begin(self) -> None:
        """Mark the target as unfinished, or find the mark of a copy that was cut off.

        If the source has changed since then, the copy begins again.

        Raises
        ------
        NodeError
            The target holds other rows or tables, or an unfinished copy of another node.
        """
        birth, head = self.log.hash_at(1) or audit.GENESIS, self.log.head()[1]
        with writing(self.target) as connection:
            tables = set(inspect(connection).get_table_names())
            if _MARK.name not in tables:
                _refuse_foreign(connection, tables, place(self.target))
                _MARK.create(connection)
                connection.execute(insert(_MARK).values(birth=birth, head=head))
                return
            mark = connection.execute(select(_MARK)).one()
            if mark.birth != birth:
                raise NodeError(f"{place(self.target)} has an unfinished copy of another node")
            if mark.head != head:
                _empty(connection)
                connection.execute(_MARK.update().values(head=head))

    def copy(self, advance: Callable[[int], object]) -> list[TableCopy]:
        """Copy what is missing, tables that others refer to first; report each batch's rows."""
        with reading(self.source) as connection:
            return [self._table(connection, each, advance) for each in metadata.sorted_tables]

    def differences(self) -> list[str]:
        """A sentence for each table whose rows are not the same in both databases."""
        with reading(self.source) as ours, reading(self.target) as theirs:
            return [
                f"table {table.name}: the copy differs"
                for table in metadata.sorted_tables
                if _digest(ours, table) != _digest(theirs, table)
            ]

    def named_files(self) -> dict[str, str | None]:
        """As the function `named_files`, of the source."""
        return named_files(self.source)

    def finish(self) -> None:
        """Take the mark away, and record the copy in the target's audit log."""
        sequence, head = self.log.head()
        detail: dict[str, object] = {"line": sequence, "hash": head}
        with writing(self.target) as connection:
            _count_on(connection)
            event = AuditEvent(kind=AuditKind.STORE_COPIED, detail=detail)
            audit.write(connection, self._clock(), [event])
            _MARK.drop(connection)

    def _table(self, ours: Connection, table: Table, advance: Callable[[int], object]) -> TableCopy:
        with reading(self.target) as theirs:
            last, earlier = _last(theirs, table), _count(theirs, table)
        advance(earlier)
        copied = 0
        for rows in _batches(ours, table, last):
            with writing(self.target) as connection:
                connection.execute(insert(table), [dict(row) for row in rows])
            copied += len(rows)
            advance(len(rows))
        return TableCopy(table=table.name, copied=copied, earlier=earlier)


@contextmanager
def store_copy(data_dir: Path, url: str, to: str, clock: Clock) -> Iterator[StoreCopy]:
    """Open both databases; make the tables of the target.

    Raises
    ------
    NodeError
        One of them cannot be used, or is of a newer version of the node.
    """
    source, target = engine_for(data_dir, url), engine_for(data_dir, to)
    try:
        migrations.upgrade(source, data_dir)
        with reading(target) as connection:
            tables = set(inspect(connection).get_table_names())
        if tables and "alembic_version" not in tables:
            _refuse_tables(tables, place(target))
        migrations.upgrade(target, data_dir, unfinished=True)
        log, copied_log = AuditLog(source, clock), AuditLog(target, clock)
        yield StoreCopy(source, target, log, copied_log, clock)
    finally:
        source.dispose()
        target.dispose()


def _refuse_foreign(connection: Connection, tables: set[str], where: str) -> None:
    """Raise NodeError unless there is nothing but the node's tables, and no row in them."""
    known = {*metadata.tables, "alembic_version"}
    if tables - known:
        _refuse_tables(tables - known, where)
    for table in metadata.sorted_tables:
        if _count(connection, table):
            raise NodeError(f"{where} is not empty: a node has run over it ({table.name} has rows)")


def _refuse_tables(tables: set[str], where: str) -> None:
    raise NodeError(f"{where} is not empty: it has the table {min(tables)}; make a new database")


def _empty(connection: Connection) -> None:
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())


def _count(connection: Connection, table: Table) -> int:
    query = f"SELECT count(*) FROM {table.name}"  # noqa: S608 - the schema's own names
    return int(connection.execute(text(query)).scalar_one())


def _key(table: Table) -> list[Column[Any]]:
    return list(table.primary_key.columns)


def _last(connection: Connection, table: Table) -> RowMapping | None:
    newest_first = [column.desc() for column in _key(table)]
    query = select(*_key(table)).order_by(*newest_first).limit(1)
    return connection.execute(query).mappings().first()


def _batches(
    connection: Connection, table: Table, last: RowMapping | None = None
) -> Iterator[list[RowMapping]]:
    """The rows after this key, in the order of their keys, which is the same in all databases."""
    key = _key(table)
    while True:
        query = select(table).order_by(*key).limit(_ROWS_AT_A_TIME)
        if last is not None:
            query = query.where(tuple_(*key) > tuple_(*(last[each.name] for each in key)))
        rows = list(connection.execute(query).mappings())
        if not rows:
            return
        yield rows
        last = rows[-1]


def _digest(connection: Connection, table: Table) -> str:
    """SHA-256 over every value of every row."""
    digest = hashlib.sha256()
    for rows in _batches(connection, table):
        for row in rows:
            digest.update(repr(tuple(row.values())).encode())
    return digest.hexdigest()


def _count_on(connection: Connection) -> None:
    """Have PostgreSQL number new rows after the copied ones; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        if "id" in table.columns:
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "  # noqa: S608
                f"(SELECT max(id) FROM {table.name}))"
            )
