"""The node's side effects, each behind a Protocol small enough to fake in ten lines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from dicom_node.domain.audit import AuditEvent, AuditRecord
from dicom_node.domain.conflicts import Conflict, PatientKey
from dicom_node.domain.values import (
    Answer,
    FilmOutcome,
    Image,
    Instance,
    Job,
    Settlement,
    Shipment,
)

if TYPE_CHECKING:
    from dicom_node.domain.commitment import (
        CommitmentQuery,
        CommitmentReport,
        CommitmentRequest,
        Kept,
        Reference,
    )
    from dicom_node.domain.verdicts import Source, Tally, Verdict
    from models.reading import Look, ModelIdentity, Reading
    from models.thresholds import Thresholds

#: Aware UTC now. A clock is passed in wherever time matters, so that tests own it.
Clock: TypeAlias = Callable[[], datetime]


class Audit(Protocol):
    """The append-only audit log."""

    def append(self, *events: AuditEvent) -> None:
        """Write the events, durably, in order; raises StoreWriteError if that fails."""


class AuditReader(Protocol):
    """The audit log as the sender of audit messages reads it."""

    def after(self, sequence: int, count: int) -> list[AuditRecord]:
        """At most ``count`` lines that follow this one, oldest first."""

    def position(self, name: str) -> int:
        """The last line that was sent to ``name``; 0 if none was."""

    def advance(self, name: str, sequence: int) -> None:
        """Record that every line up to this one was sent to ``name``."""


class Inbox(Protocol):
    """The received instances, for reception."""

    def find(self, sop_instance_uid: str) -> Instance | None:
        """The instance received earlier under this UID, or None."""

    def is_own_result(self, sop_instance_uid: str) -> bool:
        """Whether this node composed the object with this UID."""

    def conflicts(self, sop_instance_uid: str) -> list[Conflict]:
        """The objects that arrived under this UID after the first one, oldest first."""

    def add_conflict(self, conflict: Conflict, *events: AuditEvent) -> None:
        """Record such an object and the events: one transaction."""

    def stored_bytes(self) -> dict[str, int]:
        """Bytes of all stored instances of each calling AE title."""

    def is_asked_for(self, study_instance_uid: str) -> bool:
        """Whether a backfill asks a PACS for this study now."""

    def patient_of(self, study_instance_uid: str) -> PatientKey | None:
        """The patient of a study; None for a study that is not known."""

    def add(
        self, instance: Instance, *events: AuditEvent, patient: PatientKey | None = None,
        accession: str = "",
    ) -> bool:  # fmt: skip
        """Insert the row, update its study and write the events in one transaction.

        ``accession`` is the digest of an accession number, see `accession_key`. False, and nothing
        written, if another association stored the UID first.
        """


class Verdicts(Protocol):
    """Where verdicts are kept."""

    def put(self, verdicts: Sequence[Verdict]) -> Tally:
        """Store verdicts; when this returns, they are durable."""

    def count(self, tally: Tally, sources: Iterable[Source]) -> None:
        """Write to the audit log what came to nothing."""


class Jobs(Protocol):
    """The queue of readings."""

    def open_ready(self, quiet_before: datetime, overdue_before: datetime | None = None) -> int:
        """Make a job of every study whose films were quiet, or have waited too long; how many."""

    def next_quiet(self, quiet_before: datetime) -> datetime | None:
        """When the study that is quiet next received its last instance; None if there is none."""

    def claim(self, owner: str, lease_until: datetime) -> Job | None:
        """Lease the oldest due job, urgent ones first; None if no job is due."""

    def finish(
        self, job: Job, outcomes: Sequence[FilmOutcome], destinations: Mapping[str, str]
    ) -> None:
        """Decide the instances, fill the outbox and close the job in one transaction.

        Raises LeaseLost, and writes nothing, if another process holds the job now.
        """

    def renew(self, job: Job, lease_until: datetime) -> None:
        """Extend the lease. Raises LeaseLost as `finish` does."""

    def split(self, job: Job) -> None:
        """Move half of the films to a new job; both are due now. Raises LeaseLost as `finish`."""

    def fail(self, job: Job, reason: str, due_at: datetime | None) -> None:
        """Schedule the next attempt, or park the job (None). Raises LeaseLost as `finish` does."""


class Outbox(Protocol):
    """The queue of deliveries."""

    def claim(
        self, owner: str, lease_until: datetime, destination: str | None = None
    ) -> Shipment | None:
        """Lease everything due for one study and destination, or None.

        With ``destination``, only what is due there.
        """

    def due(self) -> list[str]:
        """Destinations for which something is due now."""

    def renew(self, shipment: Shipment, lease_until: datetime, *events: AuditEvent) -> None:
        """Extend the lease and write the events; raises LeaseLost if another process holds it."""

    def settle(self, shipment: Shipment, settlements: Sequence[Settlement]) -> None:
        """Record what became of each delivery, with its audit line, in one transaction.

        Raises LeaseLost, and writes nothing, if another process holds the shipment now.
        """


class Commitments(Protocol):
    """The accepted objects, until it is known whether the destination keeps them."""

    def claim(
        self, owner: str, lease_until: datetime, destination: str | None = None
    ) -> CommitmentQuery | None:
        """Lease all objects of one study and destination that are to be verified now, or None.

        With ``destination``, only what was accepted there.
        """

    def due(self) -> list[str]:
        """Destinations that are to be asked now."""

    def request(self, query: CommitmentQuery) -> None:
        """Store the transaction before it is sent; raises LeaseLost."""

    def put_off(
        self, query: CommitmentQuery, reason: str, confirm_at: datetime | None, *, asked: bool
    ) -> None:
        """Verify again at ``confirm_at`` what is not known yet; None: never again."""

    def is_open(self, query: CommitmentQuery) -> bool:
        """Whether any object of the query is still unanswered."""

    def asked(self, transaction_uid: str) -> str | None:
        """The destination of a transaction; None if it is unknown."""

    def report(self, report: CommitmentReport, *, send_at: datetime, most: int) -> bool:
        """Apply a storage commitment report; False if its transaction is unknown."""

    def found(
        self, query: CommitmentQuery, kept: frozenset[str], by: str, *,
        send_at: datetime | None, most: int,
    ) -> None:  # fmt: skip
        """Settle a query by what was found; with ``send_at`` None, missing objects wait."""


class CommitmentRequests(Protocol):
    """The storage commitments that peers request from the node."""

    def keep(self, request: CommitmentRequest, *events: AuditEvent) -> Kept:
        """Store a request, durably, unless the peer has too many; only a new one is audited."""

    def claim(
        self, owner: str, lease_until: datetime, ae_title: str | None = None
    ) -> CommitmentRequest | None:
        """Lease the oldest request, of this peer or any, that is to be answered now, or None."""

    def due(self) -> list[str]:
        """AE titles of the peers that are to be answered now."""

    def known(self, references: Sequence[Reference]) -> dict[str, tuple[str, Path]]:
        """SOP Class UID and file of each SOP Instance UID that the node knows."""

    def reported(self, request: CommitmentRequest, kept: int, missing: int) -> None:
        """Close it: the peer has the answer; raises LeaseLost."""

    def put_off(self, request: CommitmentRequest, reason: str, due_at: datetime | None) -> None:
        """Try again at ``due_at``, or give up (None); raises LeaseLost."""


class Breakers(Protocol):
    """The circuit breakers of destinations that do not answer."""

    def failures(self, destination: str) -> int:
        """How many connections in a row have failed."""

    def failed(self, destination: str, reason: str, probe_at: datetime | None) -> None:
        """Count one more failure; with ``probe_at``, open the breaker or keep it open."""

    def answered(self, destination: str) -> None:
        """Close the breaker and forget its failures."""

    def due(self, configured: Collection[str]) -> list[str]:
        """Destinations whose open breaker is to be probed now; at once if not ``configured``."""


class Retention(Protocol):
    """Studies that have been kept long enough."""

    def removable(
        self, before: datetime, limit: int, stuck_before: datetime | None = None
    ) -> list[str]:
        """Studies unchanged since ``before``, delivered or stuck since ``stuck_before``."""

    def remove(
        self, study_instance_uid: str, before: datetime, stuck_before: datetime | None = None
    ) -> bool:
        """Remove a study with its files; False if it may not be removed any more."""


class Reader(Protocol):
    """The networks."""

    @property
    def identity(self) -> ModelIdentity:
        """Which networks these are."""

    def look(self, image: Image) -> Look:
        """Run the gate's network on a film; raises ModelError if the models have no gate."""

    def read(
        self,
        image: Image,
        *,
        thresholds: Thresholds = ...,
        force_stage3: bool = False,
        guided: bool = True,  # with Guided Grad-CAM
    ) -> Reading:
        """Run the cascade; ``force_stage3``: stage 3 below its threshold, too.

        Raises ModelError if the networks do not have such an operating point.
        """


class Sender(Protocol):
    """Sends files to a destination."""

    def send(
        self, destination: str, paths: Sequence[Path], before_each: Callable[[], None] = ...
    ) -> Generator[Answer, None, None]:
        """Send the files in their order; yield one answer for each.

        A file goes out only when its answer is taken. ``before_each`` is called right before;
        what it raises ends the sending. Closing the iterator releases the connection.
        """


__all__ = [
    "Audit",
    "AuditReader",
    "Breakers",
    "Clock",
    "CommitmentRequests",
    "Commitments",
    "Inbox",
    "Jobs",
    "Outbox",
    "Reader",
    "Retention",
    "Sender",
    "Verdicts",
]
