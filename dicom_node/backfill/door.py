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
from dicom_node.receive.disk_space import DiskGuard
from dicom_node.receive.per_minute import PerMinute
from dicom_node.receive.quotas import PeerGuard, Quotas
from dicom_node.receive.reception import Reception, Rules, Spool

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
        self._spool = Spool(data_dir=config.node.data_dir)
        self._spool.create()
        self._disk = DiskGuard(config.node.data_dir, config.spool, audit)
        self._quotas = Quotas(config.quotas, inbox.stored_bytes)
        self._links = Links()
        self._floods = PerMinute(audit)
        reception = Reception(self._spool, inbox, audit, clock, Rules.of(config, secret))
        self._handler = CStoreHandler(reception, self._links, audit, self._floods)

    @contextmanager
    def open_to(self, assoc: Association) -> Iterator[None]:
        """Keep what this association sends during a ``with`` block."""
        title, peer = self._own, self._peer
        link = Link(address=peer.host, called=title, calling=peer.ae_title, admitted=True)
        guard = PeerGuard(self._disk, self._quotas, link)
        dimse = SpoolingDimse(assoc, self._spool.incoming, guard, _Quiet())
        self._links.add(assoc, link)
        assoc.dimse = dimse
        assoc.bind(evt.EVT_C_STORE, self._handler.answer)
        try:
            yield
            link.ending = "released"
        finally:
            dimse.discard()
            self._links.remove(assoc)
            self._floods.flush(everything=True)
            if link.recorded:
                record_or_log(self._audit, link.closing_event())
