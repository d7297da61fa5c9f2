"""Who may call, and what the trail says of each association."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import structlog

from dicom_node.domain.audit import AuditEvent, AuditKind

if TYPE_CHECKING:
    pass

log = structlog.get_logger()


class Rejection(Enum):
    """What audit lines call it; result, source and reason of the A-ASSOCIATE-RJ."""

    MALFORMED = "malformed"
    CALLED = "called-ae-title"
    CALLING = "calling-ae-title"
    USER = "user-identity"
    LIMIT = "local-limit"
    PEER_LIMIT = "peer-limit"

    @property
    def wire(self) -> tuple[int, int, int]:
        """Result, source and reason, PS3.8 Table 9-21."""
        return _ON_THE_WIRE[self]


_ON_THE_WIRE = {
    Rejection.MALFORMED: (1, 2, 1),  # permanent, service provider (ACSE), no reason given
    Rejection.CALLED: (1, 1, 7),  # permanent, service user, called AE title not recognised
    Rejection.CALLING: (1, 1, 3),  # permanent, service user, calling AE title not recognised
    Rejection.USER: (1, 1, 1),  # permanent, service user, no reason given; PS3.7 D.3.3.7 has none
    Rejection.LIMIT: (2, 3, 2),  # transient, service provider (presentation), local limit exceeded
    Rejection.PEER_LIMIT: (2, 3, 2),
}
NEAR_LIMIT = 0.8  # of `node.max_associations` or of a peer's share: say so before it hurts


@dataclass(slots=True, eq=False)
class Link:
    """One association as the trail knows it.

    An association that stores nothing (C-ECHO, a load balancer's probe, a port scan) leaves no line
    in the trail, only in the log: its acceptance is written with the first object it brings.
    """

    address: str
    opened: float = field(default_factory=time.monotonic)
    called: str = ""
    calling: str = ""
    admitted: bool = False
    ending: str = ""  # released, aborted or rejected; nothing while it lasts, or where it is lost
    kept: int = 0
    refused: int = 0
    introduced: bool = False
    certificate: str = ""  # subject of the peer's, where it showed one
    overdue: int = 0  # looks at it in a row that found it hanging

    @property
    def peer(self) -> dict[str, object]:
        """Who is at the other end, for an event's detail."""
        who: dict[str, object] = {
            "calling": self.calling, "called": self.called, "address": self.address
        }  # fmt: skip
        return {**who, "certificate": self.certificate} if self.certificate else who

    @property
    def opening_events(self) -> tuple[AuditEvent, ...]:
        """What must precede the first line about this association's objects.

        Whoever has written it sets ``introduced``.
        """
        if self.introduced:
            return ()
        return (AuditEvent(kind=AuditKind.ASSOCIATION_ACCEPTED, detail=self.peer),)

    def closing_event(self) -> AuditEvent:
        """The last line of an association that was introduced."""
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
    """Every association from its connection to its last line; safe to use from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: dict[object, Link] = {}

    def add(self, assoc: object, link: Link) -> None:
        """Begin to know an association."""
        with self._lock:
            self._links[assoc] = link

    def admit(self, link: Link, limit: int, share: int) -> Rejection | None:
        """Count one more association, unless the limit or the peer's share of it is reached.

        Connections that have asked for nothing yet do not count: forty of them that hang must
        not keep a film out. pynetdicom's own limit counts them.
        """
        with self._lock:
            lasting = [each for each in self._links.values() if each.admitted and not each.ending]
            same = sum(each.calling == link.calling and each.address == link.address
                       for each in lasting)  # fmt: skip
            if len(lasting) >= limit:
                return Rejection.LIMIT
            if same >= share:
                return Rejection.PEER_LIMIT
            link.admitted = True
        for count, most, whose in ((len(lasting), limit, "all"), (same, share, "this peer")):
            if count + 1 == max(2, math.ceil(NEAR_LIMIT * most)):
                log.warning("associations near their limit", of=whose, limit=most, **link.peer)
        return None

    def of(self, assoc: object) -> Link:
        """What is known of an association."""
        with self._lock:
            return self._links[assoc]

    def remove(self, assoc: object) -> None:
        """Forget an association."""
        with self._lock:
            self._links.pop(assoc, None)

    def evict_oldest_idle(self, most: int) -> object | None:
        """The oldest connection that has asked for nothing, where more than these wait; to be cut.

        It is marked at once: of two threads that ask, each gets another one.
        """
        with self._lock:
            waiting = [(link, assoc) for assoc, link in self._links.items()
                       if not link.admitted and not link.ending]  # fmt: skip
            if len(waiting) <= most:
                return None
            link, oldest = min(waiting, key=lambda each: each[0].opened)
            link.ending = "cut"
        return oldest

    def items(self) -> list[tuple[object, Link]]:
        """All of them, as they are now."""
        with self._lock:
            return list(self._links.items())
