"""Keep what a PACS sends on request, with the checks of the receiver."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pynetdicom import evt

from dicom_node.audit.best_effort import record_or_log
from dicom_node.config import WebDestination
from dicom_node.errors import PeerUnavailable
from dicom_node.receive.arrival import SpoolingDimse
from dicom_node.receive.associations import Link, Links
from dicom_node.receive.c_store import CStoreHandler
from dicom_node.receive.keeping import Keeping
from dicom_node.receive.stow import BadRequest, StowRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    """Keeps the objects of C-GET and WADO-RS with the receiver's checks, quotas and audit lines.

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
        peer: DicomDestination | WebDestination,
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
        link = self._link()
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
            self._end(link)

    def take(
        self, media_type: str, pieces: Iterable[bytes], study_instance_uid: str
    ) -> tuple[int, int]:
        """Keep the objects of an answer of WADO-RS, which has the form of a STOW-RS request.

        Returns
        -------
        tuple
            How many were kept, and how many refused.

        Raises
        ------
        PeerUnavailable
            The answer is not multipart/related with DICOM objects, or ends too early.
        """
        link = self._link()
        try:
            request = StowRequest(self._keeping, link, media_type, study_instance_uid)
            try:
                for piece in pieces:
                    request.write(piece)
                request.answer()
            finally:
                request.discard()
            link.ending = "released"
        except BadRequest as error:
            raise PeerUnavailable(f"the answer cannot be used: {error}") from None
        finally:
            self._end(link)
        return len(request.stored), len(request.failed)

    def _link(self) -> Link:
        peer = self._peer
        if isinstance(peer, WebDestination):
            return Link(
                address=urlsplit(peer.url).hostname or "", called=self._own, calling=peer.name,
                admitted=True, service="WADO-RS",
            )  # fmt: skip
        return Link(address=peer.host, called=self._own, calling=peer.ae_title, admitted=True)

    def _end(self, link: Link) -> None:
        self._keeping.floods.flush(everything=True)
        if link.recorded:
            record_or_log(self._audit, link.closing_event())
