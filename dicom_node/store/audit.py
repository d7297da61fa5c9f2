"""The audit log: append-only; each line's hash covers the line before it."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, desc, func, insert, select

from dicom_node.domain.audit import AuditEvent, AuditKind, AuditRecord
from dicom_node.errors import AuditLineAltered
from dicom_node.fail_points import fail_point
from dicom_node.store import schema
from dicom_node.store.database import reading, without_nul, writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection, Engine, RowMapping

    from dicom_node.ports import Clock

#: What the first line chains to.
GENESIS = "0" * 64

_LAST = (
    select(schema.audit.c.sequence, schema.audit.c.hash)
    .order_by(desc(schema.audit.c.sequence))
    .limit(1)
)
_INSERT = insert(schema.audit)
_POSITIONS = schema.audit_positions


class AuditLog:
    """The audit log in the database; implements `dicom_node.ports.Audit` and `AuditReader`."""

    def __init__(self, engine: Engine, clock: Clock, rows_at_a_time: int = 1000) -> None:
        self._engine = engine
        self._clock = clock
        self._rows_at_a_time = rows_at_a_time  # when the whole log is walked

    def append(self, *events: AuditEvent) -> None:
        """Write the events in one transaction; raises StoreWriteError if that fails."""
        with writing(self._engine) as connection:
            write(connection, self._clock(), events)

    def tail(self, count: int) -> list[AuditRecord]:
        """The last ``count`` lines, oldest first."""
        query = select(schema.audit).order_by(desc(schema.audit.c.sequence)).limit(count)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [_record(row) for row in reversed(rows)]

    def of_study(self, study_instance_uid: str) -> list[AuditRecord]:
        """Every line of one study, oldest first."""
        query = (
            select(schema.audit)
            .where(schema.audit.c.study_instance_uid == study_instance_uid)
            .order_by(schema.audit.c.sequence)
        )
        with reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def after(self, sequence: int, count: int) -> list[AuditRecord]:
        """At most ``count`` lines that follow this one, oldest first.

        An altered line is replaced by an AUDIT_BROKEN event. Raising instead would let one spoiled
        line stop everything after it from being sent.
        """
        line = schema.audit.c.sequence
        query = select(schema.audit).where(line > sequence).order_by(line).limit(count)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [_record_or_alert(row, self._clock()) for row in rows]

    def head(self) -> tuple[int, str]:
        """Number and hash of the last line; 0 and zeros if the log is empty."""
        with reading(self._engine) as connection:
            last = connection.execute(_LAST).first()
        return (last.sequence, last.hash) if last else (0, GENESIS)

    def hash_at(self, sequence: int) -> str | None:
        """Hash of a line, or None if there is no such line."""
        query = select(schema.audit.c.hash).where(schema.audit.c.sequence == sequence)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar()

    def position(self, name: str) -> int:
        """The last line that was sent to ``name``; 0 if none was."""
        query = select(_POSITIONS.c.sequence).where(_POSITIONS.c.name == name)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar() or 0

    def advance(self, name: str, sequence: int) -> None:
        """Record that every line up to this one was sent to ``name``."""
        with writing(self._engine) as connection:
            connection.execute(delete(_POSITIONS).where(_POSITIONS.c.name == name))
            connection.execute(insert(_POSITIONS).values(name=name, sequence=sequence))

    def all(self) -> Iterator[AuditRecord]:
        """Every line, oldest first."""
        return map(_record, self._rows())

    def since(self, at: datetime) -> Iterator[AuditRecord]:
        """Every line written at this time or later, oldest first."""
        first = select(func.min(schema.audit.c.sequence)).where(schema.audit.c.at >= schema.iso(at))
        with reading(self._engine) as connection:
            sequence = connection.execute(first).scalar()
        return iter(()) if sequence is None else map(_record, self._rows(sequence - 1))

    def verify(self, after: int = 0) -> list[str]:
        """Walk the chain; return a sentence for every line that was edited, deleted or inserted.

        ``after`` skips the lines up to this one, which were verified before. Lines cut off at the
        end leave no trace in the table; `dicom_node.audit.checkpoints` finds those.
        """
        known = self.hash_at(after) if after else GENESIS
        problems = [f"line {after}: missing"] if known is None else []
        expected, previous = after + 1, known
        for row in self._rows(after):
            if row["sequence"] < 1:
                problems.append(f"line {row['sequence']}: before the first")
                continue
            if row["sequence"] != expected:
                problems.append(f"line {expected} to {row['sequence'] - 1}: missing")
            elif row["previous_hash"] != previous:
                problems.append(f"line {row['sequence']}: does not follow the line before it")
            if row["hash"] != _hash(row):
                problems.append(f"line {row['sequence']}: content does not match its hash")
            expected, previous = row["sequence"] + 1, row["hash"]
        return problems

    def _rows(self, after: int = 0) -> Iterator[RowMapping]:
        """Every row in order, or those after a line, read a page at a time."""
        page = select(schema.audit).order_by(schema.audit.c.sequence).limit(self._rows_at_a_time)
        query = page.where(schema.audit.c.sequence > after) if after else page
        while True:
            with reading(self._engine) as connection:
                rows = connection.execute(query).mappings().all()
            if not rows:
                return
            yield from rows
            query = page.where(schema.audit.c.sequence > rows[-1]["sequence"])


def write(connection: Connection, at: datetime, events: Iterable[AuditEvent]) -> None:
    """Append events inside the caller's transaction.

    Only one process can be here: `writing` holds the database's write lock from its start.
    """
    last = connection.execute(_LAST).first()
    newest, previous = (last.sequence, last.hash) if last else (0, GENESIS)
    rows = []
    for sequence, event in enumerate(events, newest + 1):
        row = {
            "sequence": sequence,
            "at": schema.iso(at),
            "kind": event.kind.value,
            # As it is stored on every database, so that the hash fits.
            "study_instance_uid": _text(event.study_instance_uid),
            "sop_instance_uid": _text(event.sop_instance_uid),
            "detail": _canonical(event.detail),
            "previous_hash": previous,
        }
        previous = _hash(row)
        rows.append({**row, "hash": previous})
    if rows:
        connection.execute(_INSERT, rows)
        fail_point("audit.appended")


_HASHED = (
    "previous_hash", "sequence", "at", "kind", "study_instance_uid", "sop_instance_uid", "detail"
)  # fmt: skip


def _hash(row: Mapping[Any, Any]) -> str:
    """SHA-256 over the hash of the line before and every column of this line."""
    # The node writes no bytes; a tampered row may hold them, and must still get a hash.
    columns = [each.hex() if isinstance(each := row[column], bytes) else each for column in _HASHED]
    body = _canonical(columns)
    return hashlib.sha256(body.encode()).hexdigest()


def _text(uid: str | None) -> str | None:
    return None if uid is None else without_nul(uid)


def _canonical(value: object) -> str:
    """JSON in one spelling, ASCII only; raises ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _record(row: RowMapping) -> AuditRecord:
    """A row as a record; raises AuditLineAltered if it cannot be read."""
    try:
        return _readable(row)
    except (TypeError, ValueError) as error:
        message = f"audit line {row['sequence']} was altered: {error}; see `audit verify`"
        raise AuditLineAltered(message) from error


def _record_or_alert(row: RowMapping, now: datetime) -> AuditRecord:
    """A row as a record, or an AUDIT_BROKEN record if its hash does not match."""
    try:
        if _hash(row) == row["hash"]:
            return _readable(row)
        reason = "content does not match its hash"
    except (TypeError, ValueError):
        reason = "cannot be read"
    detail: dict[str, object] = {"reason": f"audit line {row['sequence']}: {reason}"}
    return AuditRecord(
        sequence=row["sequence"],
        at=now,
        event=AuditEvent(kind=AuditKind.AUDIT_BROKEN, detail=detail),
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )


def _readable(row: RowMapping) -> AuditRecord:
    kind = AuditKind(row["kind"])
    return AuditRecord(
        sequence=row["sequence"],
        at=datetime.fromisoformat(row["at"]),
        event=AuditEvent(
            kind=kind,
            study_instance_uid=row["study_instance_uid"],
            sop_instance_uid=row["sop_instance_uid"],
            detail=json.loads(row["detail"]),
        ),
        previous_hash=row["previous_hash"],
        hash=row["hash"],
        former_kind=None if kind.value == row["kind"] else row["kind"],
    )


def as_json(record: AuditRecord) -> dict[str, object]:
    """A line as ``--json`` and `audit export` print it: as written, so that its hash fits."""
    return {
        "sequence": record.sequence,
        "at": schema.iso(record.at),
        "kind": record.former_kind or record.event.kind.value,
        "study_instance_uid": record.event.study_instance_uid,
        "sop_instance_uid": record.event.sop_instance_uid,
        "detail": record.event.detail,
        "previous_hash": record.previous_hash,
        "hash": record.hash,
    }
