"""Thresholds of the site: proposed, adopted by a person, reverted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, desc, insert, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import NodeError
from dicom_node.store import audit, site_schema
from dicom_node.store.database import reading, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, RowMapping, Select

    from dicom_node.domain.reading import Stage
    from dicom_node.domain.site_threshold import Networks, Proposal
    from dicom_node.ports import Clock

_TABLE = site_schema.site_thresholds
#: Of a proposal's evidence: what has a column of its own, and studies, which would outlive removal.
_LEFT_OUT = ("differ", "stage", "threshold", "networks", "wanted")
_STAGES: tuple[Stage, ...] = ("pneumonia", "covid19")


class ThresholdTable:
    """Proposals and thresholds in use in the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def propose(self, proposal: Proposal, user: str) -> None:
        """Keep a proposal, so that it can be adopted by its digest."""
        values = {
            "digest": proposal.digest,
            "stage": proposal.stage,
            "threshold": proposal.threshold,
            "networks": proposal.networks.as_json(),
            "wanted": proposal.as_json()["wanted"],
            "evidence": _evidence(proposal),
            "proposed_at": self._clock(),
            "proposed_by": user,
        }
        same = _TABLE.c.digest == proposal.digest
        with writing(self._engine) as connection:
            if connection.execute(select(_TABLE).where(same, *_OPEN)).first() is None:
                connection.execute(delete(_TABLE).where(same))
                connection.execute(insert(_TABLE).values(values))

    def adopt(self, digest: str, networks: Networks | None, user: str) -> dict[str, Any]:
        """Put a proposal in use, and write THRESHOLD_ADOPTED with its figures.

        Parameters
        ----------
        digest
            Of the proposal, or its first characters.
        networks
            Those in use; None: nothing was read by them yet.

        Raises
        ------
        NodeError
            There is no such proposal, it is of other networks, or it was adopted before.
        """
        now = self._clock()
        with writing(self._engine) as connection:
            row = _the_one(connection, digest)
            if networks is None or row["networks"] != networks.as_json():
                raise NodeError(
                    f"{digest} was proposed for the networks {row['networks']['version']}, which "
                    "are not those in use: a threshold never crosses versions"
                )
            if row["adopted_at"] is not None:
                raise NodeError(f"{digest} was adopted already; propose again")
            change = {"adopted_at": now, "adopted_by": user}
            connection.execute(update(_TABLE).where(_TABLE.c.id == row["id"]).values(change))
            _write(connection, AuditKind.THRESHOLD_ADOPTED, row, user, self._clock)
            return dict(row) | change

    def revert(self, stage: Stage, networks: Networks | None, user: str) -> dict[str, Any] | None:
        """Take the threshold in use out of use, the one before it returns; None if there is none.

        Writes THRESHOLD_REVERTED.
        """
        with writing(self._engine) as connection:
            row = _in_use(connection, stage, networks)
            if row is None:
                return None
            ended = {"ended_at": self._clock()}
            connection.execute(update(_TABLE).where(_TABLE.c.id == row["id"]).values(ended))
            _write(connection, AuditKind.THRESHOLD_REVERTED, row, user, self._clock)
            return dict(row) | ended

    def in_use(self, networks: Networks | None) -> dict[str, float]:
        """The adopted thresholds of these networks, by stage."""
        with reading(self._engine) as connection:
            found = {stage: _in_use(connection, stage, networks) for stage in _STAGES}
        return {stage: row["threshold"] for stage, row in found.items() if row is not None}

    def listed(self) -> list[dict[str, Any]]:
        """Every proposal as a row, the newest first."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(_TABLE).order_by(desc(_TABLE.c.id))).mappings().all()
        return [dict(row) for row in rows]


_OPEN = (_TABLE.c.adopted_at.is_not(None), _TABLE.c.ended_at.is_(None))


def _in_use(connection: Connection, stage: Stage, networks: Networks | None) -> RowMapping | None:
    if networks is None:
        return None
    query: Select[Any] = select(_TABLE).where(_TABLE.c.stage == stage, *_OPEN)
    rows = connection.execute(query.order_by(desc(_TABLE.c.adopted_at), desc(_TABLE.c.id)))
    wanted = networks.as_json()
    return next((row for row in rows.mappings() if row["networks"] == wanted), None)


def _the_one(connection: Connection, digest: str) -> RowMapping:
    rows = connection.execute(select(_TABLE).order_by(desc(_TABLE.c.id))).mappings().all()
    found = [row for row in rows if digest and row["digest"].startswith(digest.lower())]
    if len(found) != 1:
        how_many = "several proposals begin" if found else "no proposal begins"
        raise NodeError(f"{how_many} with {digest}: dicom-node thresholds show")
    return found[0]


def _evidence(proposal: Proposal) -> dict[str, Any]:
    values = proposal.as_json()
    kept = {name: value for name, value in values.items() if name not in _LEFT_OUT}
    return kept | {"decided_differently": len(proposal.found.differ)}


def _write(
    connection: Connection, kind: AuditKind, row: RowMapping, user: str, clock: Clock
) -> None:
    detail: dict[str, object] = {
        "stage": row["stage"], "threshold": row["threshold"], "digest": row["digest"],
        "version": row["networks"]["version"], "wanted": row["wanted"], "user": user,
        "evidence": row["evidence"],
    }  # fmt: skip
    audit.write(connection, clock(), [AuditEvent(kind=kind, detail=detail)])
