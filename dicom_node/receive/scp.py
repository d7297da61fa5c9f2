"""The receiving application entity: Verification and Storage as SCP, over pynetdicom's threads."""

from __future__ import annotations

import socket
import time
import warnings
from typing import TYPE_CHECKING, cast

import structlog
from pydicom.uid import UID
from pynetdicom import AE, _config, evt

from dicom_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.audit.best_effort import tell
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.receive.access import AccessList
from dicom_node.receive.arrival import SpoolingDimse
from dicom_node.receive.associations import Link, Links, Rejection
from dicom_node.receive.c_store import CStoreHandler
from dicom_node.receive.checks import Equipment
from dicom_node.receive.contexts import is_malformed, supported_contexts
from dicom_node.receive.disk_space import Room
from dicom_node.receive.listeners import TlsServer, accept, listen
from dicom_node.receive.priority import PriorityRule
from dicom_node.receive.reception import Reception, Spool
from dicom_node.receive.store_status import SUCCESS
from dicom_node.receive.user_identity import Users
from dicom_node.receive.watchdog import Watch, cut
from dicom_node.tls.context import ReloadingContext, subject_of

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

    from dicom_node.commitment.receive import CommitmentHandler
    from dicom_node.config import Config
    from dicom_node.ports import Audit, Clock, Inbox

# Formatting every PDU for a log nobody reads costs more than receiving it.
_config.LOG_HANDLER_LEVEL = "none"

MAX_PDU = 128 * 2**10  # bytes; what DCMTK sends at most, and an eighth of the turns of 16 KiB
DRAIN_SECONDS = 10.0  # for associations to end by themselves when the receiver stops
MAX_WAITING = 256  # connections without an association; each costs two threads

log = structlog.get_logger()


class Receiver:
    """Listens, and answers Success only for what is on disk and in the database.

    Parameters
    ----------
    config
        The node's; a port of 0 takes a free one.
    inbox, audit, clock
        Where instances and events go, and what time it is.
    own
        The General Equipment of this node's results, so that they are known when they come back
        to a node that has forgotten their UIDs.
    desk
        Answers storage commitment; without one, nobody does.
    """

    def __init__(
        self,
        config: Config,
        inbox: Inbox,
        audit: Audit,
        clock: Clock,
        *,
        own: Equipment | None = None,
        desk: CommitmentHandler | None = None,
    ) -> None:
        node = config.node
        self._node = node
        self._tls = config.tls
        self._audit = audit
        self._spool = Spool(data_dir=node.data_dir)
        self._room = Room(node.data_dir, config.spool, audit)
        self._desk = desk
        self._door = AccessList(node)
        self._users = Users(node.users_file)
        self._links = Links()
        reception = Reception(self._spool, inbox, audit, clock, own, PriorityRule(config.priority))
        self._store = CStoreHandler(reception, self._links, audit)
        self._artim = min(node.artim_seconds, node.network_timeout_seconds)  # PS3.8 9.1.5
        self._watch = Watch(self._links, audit, self._artim)
        self._servers: list[ThreadedAssociationServer] = []

    @property
    def port(self) -> int:
        """The first of its ports."""
        return self.ports[0]

    @property
    def ports(self) -> list[int]:
        """The ports the receiver listens on: plain DICOM's, then that of TLS."""
        if not self._servers:
            raise RuntimeError("the receiver is not started")
        return [int(server.server_address[1]) for server in self._servers]

    def start(self) -> None:
        """Prepare the spool, bind the port, accept associations in the background."""
        # pydicom quotes a malformed UID of a command set, and remembers each text it has quoted.
        warnings.filterwarnings("ignore", module="pydicom.valuerep")
        self._spool.prepare()
        ae = AE(ae_title=self._node.ae_title)
        ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        for cx in supported_contexts():  # assigned all at once, they would lose their roles
            ae.add_supported_context(
                str(cx.abstract_syntax), cx.transfer_syntax, cx.scu_role, cx.scp_role
            )
        # Ours are stricter: pynetdicom counts every connection, and those already on their way out.
        ae.maximum_associations = self._node.max_associations + 2 * MAX_WAITING
        ae.maximum_pdu_size = MAX_PDU
        ae.network_timeout = ae.dimse_timeout = self._node.network_timeout_seconds
        ae.acse_timeout = self._artim
        if self._node.plain:
            address = (self._node.host, self._node.port)
            self._servers.append(listen(ae, address, self._handlers()))
        if self._tls.port is not None:
            self._servers.append(self._listen_for_tls(ae, self._tls.port))
        for server in self._servers:
            accept(server)
        self._watch.start()

    def _listen_for_tls(self, ae: AE, port: int) -> TlsServer:
        context = ReloadingContext(self._tls)
        server = cast("TlsServer", listen(ae, (self._node.host, port), self._handlers(), TlsServer))
        server.tls = context
        server.handshake_seconds = self._artim
        server.told, server.reloaded = self._tls_failed, self._tls_reloaded
        return server

    def stop(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Accept nothing new, let associations end, break off those that do not in time."""
        if not self._servers:
            return
        for server in self._servers:
            server.shutdown()
        deadline = time.monotonic() + drain_seconds
        while self._active() and time.monotonic() < deadline:
            time.sleep(0.02)
        for assoc in self._active():
            log.warning("association broken off at shutdown", calling=self._links.of(assoc).calling)
            if assoc.is_established:
                assoc.abort(block=False)
            else:
                cut(assoc)  # pynetdicom's abort before an A-ASSOCIATE-RQ breaks its own thread
        self._watch.stop()
        self._servers = []

    def _active(self) -> list[Association]:
        return [assoc for server in self._servers for assoc in server.active_associations]

    def _tls_failed(self, address: str, reason: str) -> None:
        log.warning("TLS handshake failed", address=address, reason=reason)
        self._tell(AuditKind.TLS_FAILED, address=address, reason=reason)

    def _tls_reloaded(self, trouble: str) -> None:
        if trouble:
            log.error("changed TLS files not used, the old ones stay", reason=trouble)
        else:
            log.info("changed TLS files loaded")
        self._tell(AuditKind.TLS_RELOADED, ok=not trouble, reason=trouble)

    def _tell(self, kind: AuditKind, **detail: object) -> None:
        tell(self._audit, AuditEvent(kind=kind, detail=detail))

    def _handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, self._on_connection),
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_RELEASED, self._on_end, ["released"]),
            (evt.EVT_ABORTED, self._on_end, ["aborted"]),
            (evt.EVT_C_ECHO, self._on_echo),
            (evt.EVT_C_STORE, self._store.answer),
            *(self._desk.handlers(self._links) if self._desk else ()),
        ]

    def _on_connection(self, event: Event) -> None:
        """Take a TCP connection in hand before pynetdicom reads from it."""
        assoc = event.assoc
        link = Link(address=str(assoc.requestor.address))
        self._links.add(assoc, link)
        assoc.dimse = SpoolingDimse(assoc, self._spool.incoming, self._room)
        if (wrapped := assoc.dul.socket) is not None and wrapped.socket is not None:
            wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Without one, a peer that stops in the middle of a PDU holds a thread for ever.
            wrapped.socket.settimeout(self._node.network_timeout_seconds)
            link.certificate = subject_of(wrapped.socket)
        if (oldest := self._links.evict_oldest_idle(MAX_WAITING)) is not None:
            log.warning("too many connections wait, the oldest is cut", address=link.address)
            cut(cast("Association", oldest))

    def _on_request(self, event: Event) -> None:
        assoc, link = event.assoc, self._links.of(event.assoc)
        if (request := assoc.requestor.primitive) is not None:
            link.calling = _title(request.calling_ae_title)
            link.called = _title(request.called_ae_title)
        rejection = Rejection.MALFORMED if is_malformed(request) else self._door.refuses(link)
        if rejection is None and not self._users.welcome(assoc.requestor.user_identity):
            rejection = Rejection.USER
        if rejection is None:
            node = self._node
            share = node.max_associations_per_peer
            rejection = self._links.admit(link, node.max_associations, share)
        if rejection is not None:
            assoc.acse.send_reject(*rejection.wire)
            self._rejected(link, rejection)
            assoc.kill()  # waits until the rejection has left, as pynetdicom's own do

    def _rejected(self, link: Link, rejection: Rejection) -> None:
        link.ending = "rejected"
        log.warning("association rejected", reason=rejection.value, **link.peer)
        self._tell(AuditKind.ASSOCIATION_REJECTED, **link.peer, reason=rejection.value)

    def _on_established(self, event: Event) -> None:
        link = self._links.of(event.assoc)
        if not link.admitted:  # pynetdicom goes on where the decision itself failed
            log.error("association accepted without a decision, cut", **link.peer)
            cut(event.assoc)
        log.debug("association accepted", **link.peer)

    def _on_end(self, event: Event, ending: str) -> None:
        self._links.of(event.assoc).ending = ending

    def _on_echo(self, event: Event) -> int:
        log.debug("echo", **self._links.of(event.assoc).peer)
        return SUCCESS


def _title(text: str | None) -> str:
    """An AE title as it may stand in a log; spaces around it do not count (PS3.5 6.2)."""
    return "".join(c if c.isprintable() else "?" for c in (text or "")).strip()
