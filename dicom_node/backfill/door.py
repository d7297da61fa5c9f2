"""What comes back over an association that asked for it, kept as the receiver keeps what comes."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pynetdicom import evt

from dicom_node.audit.best_effort import record_or_log
from dicom_node.receive.arrival import SpoolingDimse
from dicom_node.receive.associations import Link, Links
from dicom_node.receive.c_store import CStoreHandler
from dicom_node.receive.keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.association import Association

    from dicom_node.config import Config, DicomDestination
    from dicom_node.ports import Audit, Clock, Inbox


class _Quiet:
    """Nothing wakes the thread of such an association: it looks by itself."""

    def __init__(self) -> None:
        self.news = threading.Event()

    def close(self) -> None:
        """See `dicom_node.receive.prompt.Waking`."""


class Door:
    """Keeps the objects of C-GET: same checks, quotas, audit lines and durability as the receiver.

    Parameters
    ----------
    peer
        The PACS that sends them.
    secret
        The node's, with which the UIDs of its results are derived.
    """

    def __init__(
        self,
        config: Config,
        peer: DicomDestination,
        inbox: Inbox,
        audit: Audit,
        clock: Clock,
        secret: bytes,
    ) -> None:
        self._own = config.node.ae_title
        self._peer = peer
        self._audit = audit
        self._keeping = Keeping.of(config, inbox, audit, clock, secret)
        self._keeping.spool.create()
        self._links = Links()
        self._handler = CStoreHandler(self._keeping, self._links)

    @contextmanager
    def open_to(self, assoc: Association) -> Iterator[None]:
        """Keep what this association sends during a ``with`` block."""
        title, peer = self._own, self._peer
        link = Link(address=peer.host, called=title, calling=peer.ae_title, admitted=True)
        guard = self._keeping.guard(link)
        dimse = SpoolingDimse(assoc, self._keeping.spool.incoming, guard, _Quiet())
        self._links.add(assoc, link)
        assoc.dimse = dimse
        assoc.bind(evt.EVT_C_STORE, self._handler.answer)
        try:
            yield
            link.ending = "released"
        finally:
            dimse.discard()
            self._links.remove(assoc)
            self._keeping.floods.flush(everything=True)
            if link.recorded:
                record_or_log(self._audit, link.closing_event())
