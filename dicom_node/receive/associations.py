"""Every open association: its limits, and what the audit log records of it."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import structlog

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.receive.silent import SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.receive.association_request import AssociationRequest

log = structlog.get_logger()


class Rejection(Enum):
    """Why an association is rejected. The value is the reason in the audit log."""

    VERSION = "protocol-version"
    APPLICATION = "application-context"
    CALLED = "called-ae-title"
    CALLING = "calling-ae-title"
    USER = "user-identity"
    LOCKED = "locked-out"
    LIMIT = "local-limit"
    PEER_LIMIT = "peer-limit"
    ADDRESS_LIMIT = "address-limit"

    @property
    def wire(self) -> tuple[int, int, int]:
        """Result, source and reason, PS3.8 Table 9-21."""
        return _ON_THE_WIRE[self]


_ON_THE_WIRE = {
    Rejection.VERSION: (1, 2, 2),  # permanent, service provider (ACSE), protocol version
    Rejection.APPLICATION: (1, 1, 2),  # permanent, service user, application context name
    Rejection.CALLED: (1, 1, 7),  # permanent, service user, called AE title not recognised
    Rejection.CALLING: (1, 1, 3),  # permanent, service user, calling AE title not recognised
    Rejection.USER: (1, 1, 1),  # permanent, service user, no reason given; PS3.7 D.3.3.7 has none
    Rejection.LOCKED: (1, 1, 1),
    Rejection.LIMIT: (2, 3, 2),  # transient, service provider (presentation), local limit exceeded
    Rejection.PEER_LIMIT: (2, 3, 2),
    Rejection.ADDRESS_LIMIT: (2, 3, 2),
}
NEAR_LIMIT = 0.8  # share of a limit at which the log warns


@dataclass(slots=True, eq=False)
class Link:
    """What is known of one association.

    An association that stores nothing (C-ECHO, a load balancer's probe, a port scan) leaves no line
    in the audit log: its acceptance is recorded together with its first object, see `record`.
    """

    address: str
    opened: float = field(default_factory=time.monotonic)
    request: AssociationRequest | None = None
    called: str = ""
    calling: str = ""
    admitted: bool = False
    ending: str = ""  # released, aborted, rejected or cut; empty while it lasts
    kept: int = 0
    refused: int = 0
    recorded: bool = False  # the audit log has its acceptance
    certificate: str = ""  # subject of the peer's certificate, if it showed one
    common_name: str = ""  # of that certificate
    service: str = ""  # by which it came, if not DIMSE
    overdue: int = 0  # checks in a row that found it hanging

    @property
    def peer(self) -> dict[str, object]:
        """The peer, as the detail of an audit event."""
        who: dict[str, object] = {
            "calling": self.calling, "called": self.called, "address": self.address
        }  # fmt: skip
        more = {"service": self.service, "certificate": self.certificate}
        return who | {name: value for name, value in more.items() if value}

    def record(self, write: Callable[..., object], *events: AuditEvent) -> bool:
        """Write events about this association, the first time preceded by its acceptance.

        Parameters
        ----------
        write
            Takes the events. It returns False, or raises, if it did not write them.

        Returns
        -------
        bool
            Whether the events were written.
        """
        accepted = AuditEvent(kind=AuditKind.ASSOCIATION_ACCEPTED, detail=self.peer)
        opening = () if self.recorded else (accepted,)
        written = write(*opening, *events) is not False
        self.recorded |= written
        return written

    def closing_event(self) -> AuditEvent:
        """The event that ends the record of an association."""
        return AuditEvent(
            kind=AuditKind.ASSOCIATION_ENDED,
            detail={
                **self.peer,
                "ending": self.ending or "lost",
                "kept": self.kept,
                "refused": self.refused,
                "seconds": round(time.monotonic() - self.opened, 3),
            },
        )


class Links:
    """Every association from its TCP connection to its end; safe to use from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[object, Link] = {}

    def add(self, assoc: object, link: Link) -> None:
        """Add an association."""
        with self._lock:
            self._links[assoc] = link

    def admit(
        self, link: Link, limit: int, share: int, address_share: int | None
    ) -> Rejection | None:
        """Admit one more association, unless a limit is reached.

        Connections without an A-ASSOCIATE-RQ do not count, as they do in pynetdicom's own limit:
        silent connections must not keep a film out.

        Parameters
        ----------
        limit
            Associations at a time, all peers together.
        share
            Associations at a time of one AE title at one address.
        address_share
            Associations at a time of one address; 0 or None: no limit.

        Returns
        -------
        Rejection or None
            The limit that is reached; None if the association is admitted.
        """
        with self._lock:
            lasting = [each for each in self._links.values() if each.admitted and not each.ending]
            near = [each for each in lasting if each.address == link.address]
            same = sum(each.calling == link.calling for each in near)
            if len(lasting) >= limit:
                return Rejection.LIMIT
            if same >= share:
                return Rejection.PEER_LIMIT
            if address_share and len(near) >= address_share:
                return Rejection.ADDRESS_LIMIT
            link.admitted = True
        for count, most, whose in ((len(lasting), limit, "all"), (same, share, "this peer")):
            if count + 1 == max(2, math.ceil(NEAR_LIMIT * most)):
                log.warning("associations near their limit", of=whose, limit=most, **link.peer)
        return None

    def of(self, assoc: object) -> Link:
        """What is known of an association; KeyError if it has been removed."""
        with self._lock:
            return self._links[assoc]

    def remove(self, assoc: object) -> None:
        """Remove an association."""
        with self._lock:
            self._links.pop(assoc, None)

    def evict_oldest_idle(self, most: int) -> object | None:
        """The longest-idle connection if more than ``most`` have sent no A-ASSOCIATE-RQ, else None.

        One address may have a quarter of them; beyond, it is the longest-idle one of this address.

        It is marked under the lock, so two callers never get the same one.
        """
        with self._lock:
            waiting = [(link, assoc) for assoc, link in self._links.items()
                       if not link.admitted and not link.ending]  # fmt: skip
            newest = max(waiting, key=lambda each: each[0].opened, default=None)
            if newest is None:
                return None
            same = [each for each in waiting if each[0].address == newest[0].address]
            if len(same) > max(1, most // SHARE):
                waiting = same
            elif len(waiting) <= most:
                return None
            link, oldest = min(waiting, key=lambda each: each[0].opened)
            link.ending = "cut"
        return oldest

    def items(self) -> list[tuple[object, Link]]:
        """A snapshot of all associations."""
        with self._lock:
            return list(self._links.items())
