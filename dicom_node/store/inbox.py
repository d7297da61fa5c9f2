"""Received instances; implements `dicom_node.ports.Inbox`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from dicom_node.domain.audit import AuditEvent
from dicom_node.domain.values import Instance
from dicom_node.fail_points import fail_point
from dicom_node.store import audit, schema
from dicom_node.store.database import reading, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping

    from dicom_node.ports import Clock

UNDECIDED = "undecided"
_COLUMNS = [schema.instances.c[name] for name in Instance.__dataclass_fields__]


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

    def add(self, instance: Instance, *events: AuditEvent) -> bool:
        """Insert the row, update its study and write the events in one transaction.

        False, and nothing written, if another association stored the UID first.
        """
        known = select(schema.instances.c.sop_instance_uid).where(
            schema.instances.c.sop_instance_uid == instance.sop_instance_uid
        )
        with writing(self._engine) as connection:
            if connection.execute(known).first() is not None:
                return False
            _touch_study(connection, instance)
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


def _touch_study(connection: Connection, instance: Instance) -> None:
    """Record when the study last received an instance."""
    table = schema.studies
    touched = connection.execute(
        update(table)
        .where(table.c.study_instance_uid == instance.study_instance_uid)
        .values(last_received_at=instance.received_at)
    )
    if touched.rowcount == 0:
        connection.execute(
            insert(table).values(
                study_instance_uid=instance.study_instance_uid,
                first_received_at=instance.received_at,
                last_received_at=instance.received_at,
                revision=0,
            )
        )
