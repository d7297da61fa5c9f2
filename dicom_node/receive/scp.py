"""The receiving application entity: SCP of Verification and Storage, on pynetdicom's threads."""

from __future__ import annotations

import socket
import time
import warnings
from typing import TYPE_CHECKING, TypeAlias, cast

import structlog
from pydicom.uid import UID
from pynetdicom import AE, _config, evt

from dicom_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.audit.best_effort import record_or_log
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.receive.access import AccessList
from dicom_node.receive.arrival import SpoolingDimse
from dicom_node.receive.associations import Link, Links, Rejection
from dicom_node.receive.c_store import CStoreHandler
from dicom_node.receive.contexts import support, supported_contexts
from dicom_node.receive.keeping import Keeping
from dicom_node.receive.limits import Limits
from dicom_node.receive.listeners import Behind, TlsServer, accept, listen
from dicom_node.receive.priority import PriorityRule
from dicom_node.receive.prompt import PromptConnection
from dicom_node.receive.silent import Handshakes
from dicom_node.receive.store_status import SUCCESS
from dicom_node.receive.upper_layer import UpperLayer
from dicom_node.receive.user_identity import UserIdentities
from dicom_node.receive.watchdog import AssociationWatchdog, cut
from dicom_node.tls.context import ReloadingContext, common_name_of, subject_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

    from dicom_node.config import Config
    from dicom_node.ports import Audit, Clock, Inbox
    from dicom_node.receive.per_minute import PerMinute

# Formatting every PDU for an unused log costs more than receiving it.
_config.LOG_HANDLER_LEVEL = "none"

MAX_PDU = 128 * 2**10  # bytes; the most that DCMTK sends, and an eighth of the PDUs of 16 KiB
_CUT_SECONDS = 60.0  # between two audit lines about cut connections
DRAIN_SECONDS = 10.0  # that associations get to end by themselves when the receiver stops

#: Given the associations and what records floods, the handlers of other services.
MoreHandlers: TypeAlias = "Callable[[Links, PerMinute], Sequence[evt.EventHandlerType]]"

log = structlog.get_logger()


class Receiver:
    """Listens for peers, and answers Success only for what is on disk and in the database.

    Parameters
    ----------
    config
        The node's configuration; a port of 0 takes a free one.
    inbox, audit, clock
        Where instances and audit events go, and the current time.
    secret
        The node's, with which the UIDs of its results are derived.
    handlers
        Returns pynetdicom handlers for other services.

    Attributes
    ----------
    keeping
        What keeps objects, for another door.
    """

    def __init__(  # noqa: PLR0913
        self,
        config: Config,
        inbox: Inbox,
        audit: Audit,
        clock: Clock,
        *,
        secret: bytes = b"",
        handlers: MoreHandlers | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        node = config.node
        self._node = node
        self._tls = config.tls
        self._plain_is_open = config.plain_is_open
        self._audit = audit
        self.keeping = Keeping.of(config, inbox, audit, clock, secret)
        self._more_handlers = handlers
        self._limits = limits
        self._cut_recorded = -_CUT_SECONDS
        self._access = AccessList(node)
        self._address_associations = config.quotas.address_associations
        self._identities = UserIdentities(node.users_file)
        self._links = Links()
        self._classes: frozenset[str] = frozenset()  # the SOP classes that are served
        self._floods = self.keeping.floods
        self._c_store = CStoreHandler(self.keeping, self._links)
        self._artim = min(node.artim_seconds, node.network_timeout_seconds)  # PS3.8 9.1.5
        self._behind = Behind(node.proxies, self._artim, self._floods)
        self._watchdog = AssociationWatchdog(
            self._links, audit, self._artim, limits, self._floods.flush
        )
        self._servers: list[ThreadedAssociationServer] = []

    @property
    def ports(self) -> list[int]:
        """The ports that the receiver listens on: that of plain DICOM, then that of TLS."""
        if not self._servers:
            raise RuntimeError("the receiver is not started")
        return [int(server.server_address[1]) for server in self._servers]

    def start(self) -> None:
        """Prepare the spool, bind the port, accept associations in the background."""
        # pydicom quotes a malformed UID of a command set, and Python remembers every such warning.
        warnings.filterwarnings("ignore", module="pydicom.valuerep")
        self.keeping.spool.prepare()
        ae = AE(ae_title=self._node.ae_title)
        ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        contexts = supported_contexts()
        self._classes = frozenset(str(cx.abstract_syntax) for cx in contexts)
        support(ae, contexts)
        # Ours is stricter: pynetdicom counts every connection, even those that are about to end.
        ae.maximum_associations = self._node.max_associations + 2 * self._limits.silent
        ae.maximum_pdu_size = MAX_PDU
        ae.network_timeout = ae.dimse_timeout = self._node.network_timeout_seconds
        ae.acse_timeout = self._artim
        if self._plain_is_open:
            address = (self._node.host, self._node.port)
            self._servers.append(listen(ae, address, self._handlers(), self._behind))
        if self._tls.port is not None:
            self._servers.append(self._listen_for_tls(ae, self._tls.port))
        for server in self._servers:
            accept(server)
        self._watchdog.start()

    def _listen_for_tls(self, ae: AE, port: int) -> TlsServer:
        context = ReloadingContext(self._tls)
        address = (self._node.host, port)
        server = cast("TlsServer", listen(ae, address, self._handlers(), self._behind, TlsServer))
        server.tls = context
        server.handshakes = Handshakes(self._limits.silent)
        server.on_cut = self._too_many
        server.on_failure, server.on_reload = self._tls_failed, self._tls_reloaded
        return server

    def reload(self, config: Config) -> None:
        """Decide on later requests and objects by the allow-list and priorities of ``config``.

        Raises
        ------
        ConfigError
            The allow-list or the rule of priority cannot be used; nothing has changed.
        """
        node = config.node
        access, priority = AccessList(node), PriorityRule(config.priority)
        if node.users_file != self._node.users_file:
            self._identities = UserIdentities(node.users_file)
        self._node, self._access = node, access
        self.keeping.reception.prefer(priority)

    def stop(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Stop listening, let associations end, abort those that do not end in time."""
        if not self._servers:
            return
        for server in self._servers:
            server.shutdown()
        deadline = time.monotonic() + drain_seconds
        while self._active() and time.monotonic() < deadline:
            time.sleep(0.02)
        for assoc in self._active():
            log.warning("association aborted at shutdown", calling=self._links.of(assoc).calling)
            if assoc.is_established:
                assoc.abort(block=False)
            else:
                cut(assoc)  # before an A-ASSOCIATE-RQ, pynetdicom's own abort breaks its thread
        self._watchdog.stop()
        self._floods.flush(everything=True)
        self._servers = []

    def _active(self) -> list[Association]:
        return [assoc for server in self._servers for assoc in server.active_associations]

    def _too_many(self, address: str) -> None:
        """Record, once a minute at most, that silent connections are cut."""
        now = time.monotonic()
        if now - self._cut_recorded < _CUT_SECONDS:
            return
        self._cut_recorded = now
        log.warning("too many silent connections, the oldest are cut", address=address)
        self._record(AuditKind.CONNECTIONS_CUT, address=address)

    def _tls_failed(self, address: str, reason: str) -> None:
        detail: dict[str, object] = {"address": address, "reason": reason}
        self._floods.record(AuditKind.TLS_FAILED, "TLS handshake failed", detail)

    def _tls_reloaded(self, trouble: str) -> None:
        if trouble:
            log.error("changed TLS files not loaded, the old ones stay in use", reason=trouble)
        else:
            log.info("changed TLS files loaded")
        self._record(AuditKind.TLS_RELOADED, ok=not trouble, reason=trouble)

    def _record(self, kind: AuditKind, **detail: object) -> None:
        record_or_log(self._audit, AuditEvent(kind=kind, detail=detail))

    def _handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, self._on_connection),
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_RELEASED, self._on_end, ["released"]),
            (evt.EVT_ABORTED, self._on_end, ["aborted"]),
            (evt.EVT_C_ECHO, self._on_echo),
            (evt.EVT_C_STORE, self._c_store.answer),
            *(self._more_handlers(self._links, self._floods) if self._more_handlers else ()),
        ]

    def _on_connection(self, event: Event) -> None:
        """Set up a TCP connection before pynetdicom reads from it."""
        assoc = event.assoc
        link = Link(address=str(assoc.requestor.address))
        self._links.add(assoc, link)
        guard = self.keeping.guard(link)
        connection = PromptConnection(assoc)
        dimse = SpoolingDimse(assoc, self.keeping.spool.incoming, guard, connection)
        assoc.dimse = connection.data = dimse
        if (wrapped := assoc.dul.socket) is not None and wrapped.socket is not None:
            wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Without a timeout, a peer that stops in the middle of a PDU would hold a thread.
            wrapped.socket.settimeout(self._node.network_timeout_seconds)
            link.certificate = subject_of(wrapped.socket)
            link.common_name = common_name_of(wrapped.socket)
            UpperLayer(assoc, link, connection.receive, self._classes, self._aborted)
        if (oldest := self._links.evict_oldest_idle(self._limits.silent)) is not None:
            self._too_many(link.address)
            cut(cast("Association", oldest))

    def _on_request(self, event: Event) -> None:
        assoc, link = event.assoc, self._links.of(event.assoc)
        request = link.request
        if request is None:
            raise RuntimeError("pynetdicom handed over a request that was not parsed")
        link.calling, link.called = request.calling, request.called
        rejection = self._access.rejection(request, link)
        if rejection is None and not self._identities.is_authorised(request.identity, link.address):
            locked = self._identities.is_locked_out(link.address)
            rejection = Rejection.LOCKED if locked else Rejection.USER
        if rejection is None:
            node = self._node
            rejection = self._links.admit(
                link, node.max_associations, node.max_associations_per_peer,
                self._address_associations,
            )  # fmt: skip
        if rejection is not None:
            assoc.acse.send_reject(*rejection.wire)
            self._rejected(link, rejection)
            assoc.kill()  # returns once the rejection is sent, as after pynetdicom's own

    def _rejected(self, link: Link, rejection: Rejection) -> None:
        link.ending = "rejected"
        detail = {**link.peer, "reason": rejection.value}
        self._floods.record(AuditKind.ASSOCIATION_REJECTED, "association rejected", detail)

    def _on_established(self, event: Event) -> None:
        link = self._links.of(event.assoc)
        if not link.admitted:  # pynetdicom continues even if our handler raised
            log.error("admission check failed, association cut", **link.peer)
            cut(event.assoc)
        log.debug("association accepted", **link.peer)

    def _on_end(self, event: Event, ending: str) -> None:
        self._links.of(event.assoc).ending = ending

    def _on_echo(self, event: Event) -> int:
        log.debug("echo", **self._links.of(event.assoc).peer)
        return SUCCESS

    def _aborted(self, link: Link, reason: str) -> None:
        """Record that the peer sent a message that is not understood."""
        link.ending = "aborted"
        if link.admitted:
            log.warning("not understood, association aborted", reason=reason, **link.peer)
            link.record(self._audit.append)  # its end follows
        else:
            detail = {**link.peer, "reason": "malformed", "error": reason}
            self._floods.record(
                AuditKind.ASSOCIATION_REJECTED, "not understood, association aborted", detail
            )
