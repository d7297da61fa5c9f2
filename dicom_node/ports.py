"""The node's side effects, each behind a Protocol small enough to fake in ten lines."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from dicom_node.domain.audit import AuditEvent, AuditRecord
from dicom_node.domain.values import Answer, FilmOutcome, Image, Instance, Job, Settlement, Shipment

if TYPE_CHECKING:
    from dicom_node.domain.commitment import (
        CommitmentQuery,
        CommitmentReport,
        CommitmentRequest,
        Reference,
    )
    from models.reading import Look, ModelIdentity, Reading

#: Aware UTC now. A clock is passed in wherever time matters, so that tests own it.
Clock: TypeAlias = Callable[[], datetime]


class Audit(Protocol):
    """The append-only audit log."""

    def append(self, *events: AuditEvent) -> None:
        """Write the events, durably, in order; raises AuditError when that fails."""


class Trail(Protocol):
    """The audit log, read to send it elsewhere."""

    def after(self, sequence: int, count: int) -> list[AuditRecord]:
        """At most ``count`` lines that follow this one, oldest first."""

    def position(self, name: str) -> int:
        """The last line sent to ``name``; 0 if none was."""

    def advance(self, name: str, sequence: int) -> None:
        """Record that ``name`` has every line up to this one."""


class Inbox(Protocol):
    """What reception needs to know and to keep."""

    def find(self, sop_instance_uid: str) -> Instance | None:
        """The instance received earlier under this UID."""

    def is_own_result(self, sop_instance_uid: str) -> bool:
        """Whether this node composed the object of this UID."""

    def add(self, instance: Instance, *events: AuditEvent) -> bool:
        """Keep the row, wake its study, write the events: one transaction.

        False, and nothing written, where the UID is there already (a race lost).
        """


class Jobs(Protocol):
    """The readings to do."""

    def open_ready(self, quiet_before: datetime) -> int:
        """Make a job of every study with undecided instances and none newer than this; how many."""

    def claim(self, owner: str, lease_until: datetime) -> Job | None:
        """Lease the oldest due job, or None."""

    def finish(
        self,
        job: Job,
        outcomes: Sequence[FilmOutcome],
        destinations: Sequence[str],
        events: Iterable[AuditEvent],
    ) -> None:
        """Decide the instances, fill the outbox, close the job, write the events: one transaction.

        Raises LeaseLost, and writes nothing, where the job's lease has passed on.
        """

    def renew(self, job: Job, lease_until: datetime) -> None:
        """Keep the lease for longer. Raises LeaseLost as `finish` does."""

    def fail(self, job: Job, reason: str, due_at: datetime | None) -> None:
        """Try again at ``due_at``, or park the job (None). Raises LeaseLost as `finish` does."""


class Outbox(Protocol):
    """The objects on their way."""

    def claim(self, owner: str, lease_until: datetime) -> Shipment | None:
        """Lease everything due for one study and destination, or None."""

    def renew(self, shipment: Shipment, lease_until: datetime, *events: AuditEvent) -> None:
        """Keep the lease for longer, and write the events. Raises LeaseLost where it passed on."""

    def settle(self, shipment: Shipment, settlements: Sequence[Settlement]) -> None:
        """Record how each delivery went, with its audit line: one transaction.

        Raises LeaseLost, and writes nothing, where the shipment's lease has passed on.
        """


class Commitments(Protocol):
    """The accepted objects, until it is known whether they are kept."""

    def claim(self, owner: str, lease_until: datetime) -> CommitmentQuery | None:
        """Lease all of a study and destination that are to be asked after, or None."""

    def request(self, query: CommitmentQuery) -> None:
        """Write down that commitment is asked for now; raises LeaseLost."""

    def put_off(
        self, query: CommitmentQuery, reason: str, confirm_at: datetime | None, *, asked: bool
    ) -> None:
        """Ask again at ``confirm_at`` about what is not known yet; None: not any more."""

    def is_open(self, query: CommitmentQuery) -> bool:
        """Whether any object of the query is still unanswered."""

    def report(self, report: CommitmentReport, *, send_at: datetime, most: int) -> bool:
        """Record a report; False if it answers no request of ours."""

    def found(
        self,
        query: CommitmentQuery,
        kept: frozenset[str],
        by: str,
        *,
        send_at: datetime | None,
        most: int,
    ) -> None:
        """Settle a query by what was looked up; with ``send_at`` None missing objects stay open."""


class CommitmentRequests(Protocol):
    """The commitments that peers ask the node for."""

    def keep(self, request: CommitmentRequest, *events: AuditEvent) -> None:
        """Write a request down, durably."""

    def claim(self, owner: str, lease_until: datetime) -> CommitmentRequest | None:
        """Lease the oldest that is to be reported now, or None."""

    def known(self, references: Sequence[Reference]) -> dict[str, tuple[str, Path]]:
        """SOP class and file of those of the instances that the node has a row of."""

    def reported(self, request: CommitmentRequest, kept: int, missing: int) -> None:
        """Close it; raises LeaseLost."""

    def put_off(self, request: CommitmentRequest, reason: str, due_at: datetime | None) -> None:
        """Try again at ``due_at``, or no more (None); raises LeaseLost."""


class Breakers(Protocol):
    """Destinations that do not answer."""

    def failures(self, destination: str) -> int:
        """How many connections in a row have failed."""

    def failed(self, destination: str, reason: str, probe_at: datetime | None) -> None:
        """Count one more; ``probe_at`` opens the breaker, or keeps it open."""

    def answered(self, destination: str) -> None:
        """Close the breaker and forget failures."""

    def due(self) -> list[str]:
        """The open ones to be probed now."""


class Retention(Protocol):
    """What has been kept long enough."""

    def removable(self, before: datetime, limit: int) -> list[str]:
        """Studies, delivered to everybody, that nothing has happened to since."""

    def remove(self, study_instance_uid: str, before: datetime) -> bool:
        """Remove one with its files; False where it may not go any more."""


class Reader(Protocol):
    """The networks."""

    @property
    def identity(self) -> ModelIdentity:
        """Which networks these are."""

    def look(self, image: Image) -> Look:
        """Look at the picture before any network scores it. ModelError where no gate is there."""

    def read(self, image: Image, *, force_stage3: bool = False) -> Reading:
        """Run the cascade. ``force_stage3`` runs stage 3 below stage 2's threshold too."""


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
    "Trail",
]
