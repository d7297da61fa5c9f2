"""Circuit breakers: which destinations get nothing for a while, and until when.

A destination without a row, or whose row was never opened, is used as usual.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.store import audit, schema
from dicom_node.store.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, Engine

    from dicom_node.ports import Clock

_BREAKERS = schema.breakers
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def closed(destination: ColumnElement[str]) -> ColumnElement[bool]:
    """Rows whose destination has a closed breaker."""
    return ~exists().where(
        _BREAKERS.c.destination == destination, _BREAKERS.c.opened_at.is_not(None)
    )


class BreakerTable:
    """Consecutive failures of each destination."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def failures(self, destination: str) -> int:
        """How many connections in a row have failed."""
        query = select(_BREAKERS.c.failures).where(_BREAKERS.c.destination == destination)
        with reading(self._engine) as connection:
            return connection.execute(query).scalar() or 0

    def failed(self, destination: str, reason: str, probe_at: datetime | None) -> None:
        """Count one more failed connection; with ``probe_at``, open the breaker or keep it open.

        Writes DESTINATION_DOWN when it opens.
        """
        now = self._clock()
        with writing(self._engine) as connection:
            row = _row(connection, destination)
            if row is None:
                connection.execute(
                    insert(_BREAKERS).values(destination=destination, failures=0, last_reason="")
                )
            was_open = row is not None and row["opened_at"] is not None
            values: dict[str, Any] = {"last_reason": reason, "failures": _BREAKERS.c.failures + 1}
            if probe_at is not None:
                values |= {"probe_at": probe_at} | ({} if was_open else {"opened_at": now})
            connection.execute(
                update(_BREAKERS).where(_BREAKERS.c.destination == destination).values(values)
            )
            if probe_at is not None and not was_open:
                detail: dict[str, object] = {"destination": destination, "reason": reason}
                down = AuditEvent(kind=AuditKind.DESTINATION_DOWN, detail=detail)
                audit.write(connection, now, [down])

    def answered(self, destination: str) -> None:
        """Close the breaker and forget its failures; writes DESTINATION_UP if it was open."""
        if not self.failures(destination):  # nearly always, and then nothing is written
            return
        with writing(self._engine) as connection:
            row = _row(connection, destination)
            connection.execute(delete(_BREAKERS).where(_BREAKERS.c.destination == destination))
            if row is not None and row["opened_at"] is not None:
                detail: dict[str, object] = {"destination": destination}
                up = AuditEvent(kind=AuditKind.DESTINATION_UP, detail=detail)
                audit.write(connection, self._clock(), [up])

    def probe_now(self) -> None:
        """Make every open breaker due for a probe now."""
        is_open = _BREAKERS.c.opened_at.is_not(None)
        with writing(self._engine) as connection:
            connection.execute(update(_BREAKERS).where(is_open).values(probe_at=self._clock()))

    def due(self, configured: Collection[str]) -> list[str]:
        """Destinations whose open breaker is to be probed now; at once if not ``configured``."""
        is_open = _BREAKERS.c.probe_at >= _LONG_AGO  # `is_not(None)` would not use the index
        query = select(_BREAKERS.c.destination, _BREAKERS.c.probe_at).where(is_open)
        now = self._clock()
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [name for name, probe_at in rows if name not in configured or probe_at <= now]


def _row(connection: Connection, destination: str) -> Any:
    query = select(_BREAKERS).where(_BREAKERS.c.destination == destination)
    return connection.execute(query).mappings().first()
