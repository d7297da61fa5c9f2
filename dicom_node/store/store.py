"""Opens the node's database: migrates an older one, refuses a newer one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from dicom_node.dicom.blobs import Folder
from dicom_node.errors import NodeError, StoreWriteError
from dicom_node.store import clock_skew, migrations
from dicom_node.store.audit import AuditLog
from dicom_node.store.breakers import BreakerTable
from dicom_node.store.bucket import blobs_of
from dicom_node.store.commitment_requests import CommitmentRequestTable
from dicom_node.store.commitments import CommitmentTable
from dicom_node.store.copying import named_files
from dicom_node.store.database import engine_for, place
from dicom_node.store.drift import DriftTable
from dicom_node.store.inbox import InboxTable
from dicom_node.store.jobs import JobTable
from dicom_node.store.libpq import CANDIDATE, Leadership
from dicom_node.store.members import MemberTable
from dicom_node.store.outbox import OutboxTable
from dicom_node.store.plain import SQLITE
from dicom_node.store.promotions import PromotionTable
from dicom_node.store.retention import RetentionTable
from dicom_node.store.shadow import ShadowTable
from dicom_node.store.studies import Queries
from dicom_node.store.thresholds import ThresholdTable
from dicom_node.store.verdicts import VerdictTable

if TYPE_CHECKING:
    from datetime import timedelta

    from sqlalchemy import Engine

    from dicom_node.config import Config
    from dicom_node.dicom.blobs import Blobs
    from dicom_node.ports import Clock


@dataclass(frozen=True, slots=True)
class Store:
    """The node's database, one object for each use of it."""

    inbox: InboxTable
    jobs: JobTable
    outbox: OutboxTable
    commitments: CommitmentTable
    commitment_requests: CommitmentRequestTable
    breakers: BreakerTable
    retention: RetentionTable
    shadow: ShadowTable
    promotions: PromotionTable
    audit: AuditLog
    queries: Queries
    blobs: Blobs
    verdicts: VerdictTable
    members: MemberTable
    drift: DriftTable
    thresholds: ThresholdTable
    _engine: Engine
    _clock: Clock
    # None: the database is this machine's alone
    _leadership: Leadership | None
    _candidate: Leadership | None

    def close(self) -> None:
        """Close every connection."""
        for each in (self._leadership, self._candidate):
            if each is not None:
                each.close()
        self._engine.dispose()

    def named_files(self) -> set[str]:
        """The names of all films and results that a row names."""
        return set(named_files(self._engine))

    def leads(self) -> bool:
        """Whether this process does what one of all machines does, such as retention."""
        return self._leadership is None or self._leadership.leads()

    def has_the_candidate(self) -> bool:
        """Whether this process, and none of another machine, may read with the candidate."""
        return self._candidate is None or self._candidate.leads()

    def release(self, owner: str | None = None) -> int:
        """Free the leases of a process that died, or all expired ones; how many."""
        leased = (self.jobs, self.outbox, self.commitments, self.commitment_requests)
        return sum(each.release(owner) for each in leased)

    def repair_clock_skew(self, longest: timedelta) -> int:
        """Make due what a wrong clock postponed by more than ``longest``; return how many rows."""
        return clock_skew.repair_clock_skew(self._engine, self._clock, longest)


def store_of(config: Config, clock: Clock) -> Store:
    """Open the store of a configuration, as `open_store` does."""
    return open_store(config.node.data_dir, clock, config.store.url, blobs_of(config))


def open_store(
    data_dir: Path, clock: Clock, url: str = SQLITE, blobs: Blobs | None = None
) -> Store:
    """Open the database of a data folder, or the one at ``url``; create or migrate it if needed.

    Films and results are in ``blobs``; None: below the data folder.

    Raises
    ------
    NodeError
        The folder or the database cannot be used.
    """
    blobs = blobs or Folder(data_dir)
    engine = engine_for(data_dir, url)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        migrations.upgrade(engine, data_dir)
    except (OSError, SQLAlchemyError, StoreWriteError) as error:
        engine.dispose()
        raise NodeError(f"{place(engine)} cannot be used: {error}") from error
    except NodeError:
        engine.dispose()
        raise
    return Store(
        inbox=InboxTable(engine, clock),
        jobs=JobTable(engine, clock),
        outbox=OutboxTable(engine, clock),
        commitments=CommitmentTable(engine, clock),
        commitment_requests=CommitmentRequestTable(engine, clock),
        breakers=BreakerTable(engine, clock),
        retention=RetentionTable(engine, clock, blobs),
        shadow=ShadowTable(engine, clock),
        promotions=PromotionTable(engine, clock),
        audit=AuditLog(engine, clock),
        queries=Queries(engine, clock),
        blobs=blobs,
        verdicts=VerdictTable(engine, clock),
        members=MemberTable(engine, clock),
        drift=DriftTable(engine, clock),
        thresholds=ThresholdTable(engine, clock),
        _engine=engine,
        _clock=clock,
        _leadership=None if url == SQLITE else Leadership(url),
        _candidate=None if url == SQLITE else Leadership(url, CANDIDATE),
    )
