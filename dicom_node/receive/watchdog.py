"""Watch all associations: end those that hang, and record the end of those that are over.

pynetdicom reads a whole PDU in one call and checks its timers before and after it, so a peer that
sends a byte now and then would hold two threads without end. An association can end in half a dozen
ways, and pynetdicom reports only some of them; that its threads have ended is the one sure sign.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import structlog

from dicom_node.audit.best_effort import record_or_log
from dicom_node.receive.arrival import SpoolingDimse

if TYPE_CHECKING:
    from collections.abc import Callable

    from pynetdicom.association import Association
    from pynetdicom.pdu_primitives import A_ASSOCIATE

    from dicom_node.ports import Audit
    from dicom_node.receive.associations import Link, Links
    from dicom_node.receive.limits import Limits

_START_SECONDS = 60.0  # a connection whose thread has not started by then is removed
_BEGIN_SECONDS = 1.0  # an association leaves Sta1, the state it also ends in, by then
_LAST_WAIT_SECONDS = 2.0  # for the threads of aborted associations when the receiver stops

log = structlog.get_logger()


class AssociationWatchdog:
    """A thread that checks every association a few times a second.

    Parameters
    ----------
    acse_seconds
        A connection without an association is cut after this time (ARTIM, PS3.8 9.1.5).
    each_check
        Called with each check.
    """

    def __init__(
        self, links: Links, audit: Audit, acse_seconds: float, limits: Limits,
        each_check: Callable[[], None],
    ) -> None:  # fmt: skip
        self._links = links
        self._audit = audit
        self._acse_seconds = acse_seconds
        self._limits = limits
        self._each_check = each_check
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="association-watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and cut and record the associations that are left."""
        self._stop.set()
        self._thread.join()
        deadline = time.monotonic() + _LAST_WAIT_SECONDS
        while self._links.items() and time.monotonic() < deadline:
            self._check()
            time.sleep(0.02)
        for assoc, _ in self._links.items():
            cut(cast("Association", assoc))

    def _run(self) -> None:
        while not self._stop.wait(self._limits.check_seconds):
            self._check()
            self._each_check()

    def _check(self) -> None:
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
        return link.overdue > self._limits.grace_checks

    def _close(self, assoc: Association, link: Link) -> None:
        self._links.remove(assoc)
        cast("SpoolingDimse", assoc.dimse).discard()
        if not link.recorded:
            log.debug("association ended", ending=link.ending or "lost", **link.peer)
            return
        log.info(
            "association ended",
            ending=link.ending or "lost", kept=link.kept, refused=link.refused, **link.peer,
        )  # fmt: skip
        record_or_log(self._audit, link.closing_event())


def _is_over(assoc: Association, link: Link) -> bool:
    """Whether both its threads have ended, or never started."""
    if assoc.ident is None:
        return time.monotonic() - link.opened > _START_SECONDS
    return not assoc.is_alive() and not assoc.dul.is_alive()


def _help_to_end(assoc: Association, link: Link) -> None:
    """End the threads that pynetdicom 3.0 leaves running after an unexpected end."""
    if time.monotonic() - link.opened < _BEGIN_SECONDS:
        return
    if assoc.ident is not None and not assoc.is_alive():
        assoc.dul.kill_dul()  # negotiation raised: the upper layer's thread would run on
        cut(assoc)
    elif not assoc.is_established and assoc.dul.state_machine.current_state == "Sta1":
        # Closed before an A-ASSOCIATE-RQ: the reactor would wait for one until its timeout
        assoc.dul.to_user_queue.put(cast("A_ASSOCIATE", None))


def cut(assoc: Association) -> None:
    """Shut the TCP connection of an association down; its threads notice and end."""
    wrapped = assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        with suppress(OSError):
            wrapped.socket.shutdown(socket.SHUT_RDWR)
