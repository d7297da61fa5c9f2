"""Versions that a person put in use, the newest first; a rollback ends the newest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import desc, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.store import audit, schema
from dicom_node.store.database import reading, writing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Engine, RowMapping

    from dicom_node.ports import Clock

_TABLE = schema.promotions


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A version that is in use in the place of the configured one."""

    id: int
    version: str
    digest: str
    folder: Path  # relative to node.data_dir


class PromotionTable:
    """Promotions in the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def active(self) -> Promotion | None:
        """The version in use; None if it is the configured one."""
        with reading(self._engine) as connection:
            row = _active(connection)
        return None if row is None else _promotion(row)

    def promote(
        self,
        version: str,
        digest: str,
        folder: Path,
        *,
        user: str,
        reason: str | None,
        evidence: Mapping[str, Any],
    ) -> None:
        """Put a version in use and write MODEL_PROMOTED, with the evidence and the reason."""
        now = self._clock()
        values = {
            "promoted_at": now,
            "promoted_by": user,
            "model_version": version,
            "model_digest": digest,
            "folder": folder.as_posix(),
            "reason": reason,
            "evidence": dict(evidence),
        }
        detail: dict[str, object] = {
            "version": version, "digest": digest, "user": user, "evidence": dict(evidence),
        }  # fmt: skip
        if reason is not None:
            detail["even_so"] = reason
        with writing(self._engine) as connection:
            connection.execute(insert(_TABLE).values(values))
            event = AuditEvent(kind=AuditKind.MODEL_PROMOTED, detail=detail)
            audit.write(connection, now, [event])

    def roll_back(self, user: str) -> Promotion | None:
        """End the newest promotion and write MODEL_ROLLED_BACK; None if there is none."""
        now = self._clock()
        with writing(self._engine) as connection:
            row = _active(connection)
            if row is None:
                return None
            connection.execute(update(_TABLE).where(_TABLE.c.id == row["id"]).values(ended_at=now))
            left = _promotion(row)
            detail: dict[str, object] = {
                "version": left.version, "digest": left.digest, "user": user,
            }  # fmt: skip
            event = AuditEvent(kind=AuditKind.MODEL_ROLLED_BACK, detail=detail)
            audit.write(connection, now, [event])
        return left

    def listed(self) -> list[dict[str, Any]]:
        """Every promotion as a row, the newest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(_TABLE).order_by(desc(_TABLE.c.id))).mappings().all()
        return [dict(row) for row in rows]


def _active(connection: Connection) -> RowMapping | None:
    query = select(_TABLE).where(_TABLE.c.ended_at.is_(None)).order_by(desc(_TABLE.c.id)).limit(1)
    return connection.execute(query).mappings().first()


def _promotion(row: RowMapping) -> Promotion:
    return Promotion(
        id=row["id"],
        version=row["model_version"],
        digest=row["model_digest"],
        folder=Path(row["folder"]),
    )
