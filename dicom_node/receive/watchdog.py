"""The eye on all associations: ends those that hang, and closes the books on those that are over.

pynetdicom reads a PDU to its end in one call and looks at its timers before and after, so a peer
that sends a byte now and then holds two threads for ever. And an association can end in half a
dozen ways, not all of which it tells; a thread that is gone is the one sure sign.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import structlog

from dicom_node.audit.best_effort import tell
from dicom_node.receive.arrival import SpoolingDimse

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.pdu_primitives import A_ASSOCIATE

    from dicom_node.ports import Audit
    from dicom_node.receive.associations import Link, Links

_LOOK_SECONDS = 0.25
_PATIENCE = 8  # looks; pynetdicom's own timers get two seconds to end it with an A-ABORT
_UNBORN_SECONDS = 60.0  # a connection whose thread could not be started is forgotten
_BEGIN_SECONDS = 1.0  # in which an association leaves Sta1, the state it also ends in
_LAST_WAIT_SECONDS = 2.0  # for broken-off associations' threads when the receiver stops

log = structlog.get_logger()


class Watch:
    """A thread of its own that looks at every association four times a second."""

    def __init__(self, links: Links, audit: Audit, acse_seconds: float) -> None:
        self._links = links
        self._audit = audit
        self._acse_seconds = acse_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="association-watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Cut what is left, close its books, and return."""
        self._stop.set()
        self._thread.join()
        deadline = time.monotonic() + _LAST_WAIT_SECONDS
        while self._links.items() and time.monotonic() < deadline:
            self._look()
            time.sleep(0.02)
        for assoc, _ in self._links.items():
            cut(cast("Association", assoc))

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        for known, link in self._links.items():
            assoc = cast("Association", known)
            if _is_over(assoc, link):
                self._close(assoc, link)
            elif self._hangs(assoc, link):
                log.warning("association hangs, cut", **link.peer)
                cut(assoc)
            else:
                _help_to_end(assoc, link)

    def _hangs(self, assoc: Association, link: Link) -> bool:
        late = not assoc.is_established and time.monotonic() - link.opened > self._acse_seconds
        link.overdue = link.overdue + 1 if late or assoc.dul.idle_timer_expired() else 0
        return link.overdue > _PATIENCE

    def _close(self, assoc: Association, link: Link) -> None:
        self._links.remove(assoc)
        cast("SpoolingDimse", assoc.dimse).discard()
        if not link.introduced:
            log.debug("association ended", ending=link.ending or "lost", **link.peer)
            return
        log.info(
            "association ended",
            ending=link.ending or "lost", kept=link.kept, refused=link.refused, **link.peer,
        )  # fmt: skip
        tell(self._audit, link.closing_event())


def _is_over(assoc: Association, link: Link) -> bool:
    """Whether both its threads are gone, or never began."""
    if assoc.ident is None:
        return time.monotonic() - link.opened > _UNBORN_SECONDS
    return not assoc.is_alive() and not assoc.dul.is_alive()


def _help_to_end(assoc: Association, link: Link) -> None:
    """Wake what pynetdicom 3.0 leaves behind when a connection ends in an unforeseen way."""
    if time.monotonic() - link.opened < _BEGIN_SECONDS:
        return
    if assoc.ident is not None and not assoc.is_alive():
        assoc.dul.kill_dul()  # negotiation raised: the upper layer's thread would run for ever
        cut(assoc)
    elif not assoc.is_established and assoc.dul.state_machine.current_state == "Sta1":
        # Closed before an A-ASSOCIATE-RQ came: the reactor would wait for it to the end of its time
        assoc.dul.to_user_queue.put(cast("A_ASSOCIATE", None))


def cut(assoc: Association) -> None:
    """Shut the connection down under an association; its threads notice and end."""
    wrapped = assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        with suppress(OSError):
            wrapped.socket.shutdown(socket.SHUT_RDWR)
