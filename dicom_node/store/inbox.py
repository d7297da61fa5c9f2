"""Received instances; implements `dicom_node.ports.Inbox`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.conflicts import Conflict, ConflictOutcome, PatientKey
from dicom_node.domain.values import Instance
from dicom_node.fail_points import fail_point
from dicom_node.store import audit, schema
from dicom_node.store.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Engine, RowMapping

    from dicom_node.ports import Clock

UNDECIDED = "undecided"
_COLUMNS = [schema.instances.c[name] for name in Instance.__dataclass_fields__]


_BACKFILL = (
    AuditKind.BACKFILL_ASKED, AuditKind.BACKFILL_FETCHED, AuditKind.BACKFILL_FAILED,
)  # fmt: skip
_ASKING = timedelta(hours=6)  # a backfill that was killed asks no longer

_CONFLICT = set(Conflict.__dataclass_fields__) - {"outcome", "path"}


class InboxTable:
    """The table of received instances."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def find(self, sop_instance_uid: str) -> Instance | None:
        """The instance received earlier under this UID, or None."""
        query = select(*_COLUMNS).where(schema.instances.c.sop_instance_uid == sop_instance_uid)
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else instance_of(row)

    def is_own_result(self, sop_instance_uid: str) -> bool:
        """Whether this node composed the object with this UID."""
        column = schema.results.c.sop_instance_uid
        with reading(self._engine) as connection:
            return (
                connection.execute(select(column).where(column == sop_instance_uid)).first()
                is not None
            )

    def conflicts(self, sop_instance_uid: str) -> list[Conflict]:
        """The objects that arrived under this UID after the first one, oldest first."""
        table = schema.conflicts
        query = (
            select(table).where(table.c.sop_instance_uid == sop_instance_uid).order_by(table.c.id)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [
            Conflict(
                **{name: row[name] for name in _CONFLICT},
                outcome=ConflictOutcome(row["outcome"]),
                path=Path(row["path"]) if row["path"] else None,
            )
            for row in rows
        ]

    def add_conflict(self, conflict: Conflict, *events: AuditEvent) -> None:
        """Record such an object and the events: one transaction."""
        path = conflict.path.as_posix() if conflict.path else None
        values = {**asdict(conflict), "outcome": conflict.outcome.value, "path": path}
        with writing(self._engine) as connection:
            connection.execute(insert(schema.conflicts).values(values))
            audit.write(connection, self._clock(), events)

    def stored_bytes(self) -> dict[str, int]:
        """Bytes of all stored instances of each calling AE title."""
        table = schema.instances.c
        query = select(table.calling_ae_title, func.sum(table.size)).group_by(
            table.calling_ae_title
        )
        with reading(self._engine) as connection:
            return {title: int(size) for title, size in connection.execute(query)}

    def is_asked_for(self, study_instance_uid: str) -> bool:
        """Whether a backfill asks a PACS for this study now; see `AuditKind.BACKFILL_ASKED`."""
        line = schema.audit.c
        query = (
            select(line.kind)
            .where(
                line.study_instance_uid == study_instance_uid,
                line.kind.in_(_BACKFILL),
                line.at >= schema.iso(self._clock() - _ASKING),
            )
            .order_by(line.sequence.desc())
        )
        with reading(self._engine) as connection:
            newest = connection.execute(query.limit(1)).scalar()
        return newest == AuditKind.BACKFILL_ASKED

    def patient_of(self, study_instance_uid: str) -> PatientKey | None:
        """The patient of a study; None for a study that is not known."""
        with reading(self._engine) as connection:
            return _patient_of(connection, study_instance_uid)

    def add(
        self,
        instance: Instance,
        *events: AuditEvent,
        patient: PatientKey | None = None,
        accession: str = "",
    ) -> bool:
        """Insert the row, update its study and write the events in one transaction.

        False, and nothing written, if another association stored the UID first.
        """
        known = select(schema.instances.c.sop_instance_uid).where(
            schema.instances.c.sop_instance_uid == instance.sop_instance_uid
        )
        with writing(self._engine) as connection:
            if connection.execute(known).first() is not None:
                return False
            _touch_study(connection, instance, patient, accession)
            values = {**asdict(instance), "path": instance.path.as_posix(), "decision": UNDECIDED}
            connection.execute(insert(schema.instances).values(values))
            audit.write(connection, self._clock(), events)
            fail_point("receive.committing")
        return True


def instance_of(row: RowMapping) -> Instance:
    """A row as a value."""
    return Instance(
        **{**{column.name: row[column.name] for column in _COLUMNS}, "path": Path(row["path"])}
    )


def contested(connection: Connection, sop_instance_uids: Iterable[str]) -> frozenset[str]:
    """The UIDs under which another object arrived after the first."""
    column = schema.conflicts.c.sop_instance_uid
    query = select(column).where(column.in_(sop_instance_uids))
    return frozenset(connection.execute(query).scalars())


def _patient_of(connection: Connection, study_instance_uid: str) -> PatientKey | None:
    table = schema.studies.c
    query = select(table.patient_key).where(table.study_instance_uid == study_instance_uid)
    key = connection.execute(query).scalar()
    return PatientKey.read(key) if key else None


def _touch_study(
    connection: Connection, instance: Instance, patient: PatientKey | None, accession: str
) -> None:
    """Record when the study last received an instance, its patient and accession number."""
    table = schema.studies
    known = _patient_of(connection, instance.study_instance_uid)
    if known is not None:
        patient = known.completed(patient) if patient else known
    key = str(patient) if patient else None
    touched = connection.execute(
        update(table)
        .where(table.c.study_instance_uid == instance.study_instance_uid)
        .values(
            last_received_at=instance.received_at,
            patient_key=key,
            accession_key=func.coalesce(table.c.accession_key, accession or None),
        )
    )
    if touched.rowcount == 0:
        connection.execute(
            insert(table).values(
                study_instance_uid=instance.study_instance_uid,
                first_received_at=instance.received_at,
                last_received_at=instance.received_at,
                revision=0,
                patient_key=key,
                accession_key=accession or None,
            )
        )
