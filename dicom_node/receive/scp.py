"""The receiving application entity: Verification and Storage as SCP, over pynetdicom's threads."""

from __future__ import annotations

import socket
import threading
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.domain import AuditEvent, AuditKind
from dicom_node.errors import AuditError
from dicom_node.log import where
from dicom_node.receive.arrival import Arrival, SpoolingDimse
from dicom_node.receive.checks import Equipment, is_uid
from dicom_node.receive.contexts import supported_contexts
from dicom_node.receive.faults import STATUS, SUCCESS, Fault, Unacceptable
from dicom_node.receive.inbox import Reception, Spool
from dicom_node.receive.peers import DoorKeeper, Link, Links, Rejection
from dicom_node.receive.watch import Watch, cut

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event

    from dicom_node.config import NodeConfig
    from dicom_node.ports import Audit, Clock, Inbox

# Formatting every PDU for a log nobody reads costs more than receiving it.
_config.LOG_HANDLER_LEVEL = "none"

MAX_PDU = 128 * 2**10  # bytes; what DCMTK sends at most, and an eighth of the turns of 16 KiB
ACSE_SECONDS = 30.0  # for the A-ASSOCIATE-RQ to come after the connection, PS3.8 9.1.5 (ARTIM)
DRAIN_SECONDS = 10.0  # for associations to end by themselves when the receiver stops
MAX_WAITING = 256  # connections without an association; each costs two threads
_POLL_SECONDS = 0.1  # how soon the accepting thread notices that it should stop
_BACKLOG = 128  # connections the kernel holds while threads start

log = structlog.get_logger()


class Receiver:
    """Listens, and answers Success only for what is on disk and in the database.

    Parameters
    ----------
    config
        The node's network side; a port of 0 takes a free one.
    inbox, audit, clock
        Where instances and events go, and what time it is.
    own
        The General Equipment of this node's results, so that they are known when they come back
        to a node that has forgotten their UIDs.
    """

    def __init__(
        self,
        config: NodeConfig,
        inbox: Inbox,
        audit: Audit,
        clock: Clock,
        *,
        own: Equipment | None = None,
    ) -> None:
        self._node = config
        self._audit = audit
        self._spool = Spool(data_dir=config.data_dir)
        self._reception = Reception(self._spool, inbox, audit, clock, own)
        self._door = DoorKeeper(config)
        self._links = Links()
        self._watch = Watch(self._links, audit, min(ACSE_SECONDS, config.network_timeout_seconds))
        self._server: ThreadedAssociationServer | None = None

    @property
    def port(self) -> int:
        """The port the receiver listens on."""
        if self._server is None:
            raise RuntimeError("the receiver is not started")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Prepare the spool, bind the port, accept associations in the background."""
        # pydicom quotes a malformed UID of a command set, and remembers each text it has quoted.
        warnings.filterwarnings("ignore", module="pydicom.valuerep")
        self._spool.prepare()
        ae = AE(ae_title=self._node.ae_title)
        ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        ae.supported_contexts = supported_contexts()
        ae.maximum_associations = self._node.max_associations + MAX_WAITING  # ours are stricter
        ae.maximum_pdu_size = MAX_PDU
        ae.network_timeout = ae.dimse_timeout = self._node.network_timeout_seconds
        ae.acse_timeout = min(ACSE_SECONDS, self._node.network_timeout_seconds)
        self._server = self._serve(ae)
        self._watch.start()

    def _serve(self, ae: AE) -> ThreadedAssociationServer:
        """As `AE.start_server` does, but to be stopped in a tenth of a second."""
        server: ThreadedAssociationServer = ae.make_server(
            (self._node.host, self._node.port),
            evt_handlers=self._handlers(),
            server_class=ThreadedAssociationServer,
        )
        ae._servers.append(server)  # its shutdown looks for itself there
        if server.socket is not None:
            server.socket.listen(_BACKLOG)
        loop = threading.Thread(
            target=server.serve_forever, args=(_POLL_SECONDS,), name="accept", daemon=True
        )
        loop.start()
        return server

    def stop(self, drain_seconds: float = DRAIN_SECONDS) -> None:
        """Accept nothing new, let associations end, break off those that do not in time."""
        if self._server is None:
            return
        self._server.shutdown()
        deadline = time.monotonic() + drain_seconds
        while self._server.active_associations and time.monotonic() < deadline:
            time.sleep(0.02)
        for assoc in self._server.active_associations:
            log.warning("association broken off at shutdown", calling=self._links.of(assoc).calling)
            assoc.abort(block=False)
        self._watch.stop()
        self._server = None

    def _handlers(self) -> list[evt.EventHandlerType]:
        return [
            (evt.EVT_CONN_OPEN, self._on_connection),
            (evt.EVT_REQUESTED, self._on_request),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_RELEASED, self._on_end, ["released"]),
            (evt.EVT_ABORTED, self._on_end, ["aborted"]),
            (evt.EVT_C_ECHO, self._on_echo),
            (evt.EVT_C_STORE, self._on_store),
        ]

    def _on_connection(self, event: Event) -> None:
        """Take a TCP connection in hand before pynetdicom reads from it."""
        assoc = event.assoc
        self._links.add(assoc, Link(address=str(assoc.requestor.address)))
        assoc.dimse = SpoolingDimse(assoc, self._spool.incoming)
        if (wrapped := assoc.dul.socket) is not None and wrapped.socket is not None:
            wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Without one, a peer that stops in the middle of a PDU holds a thread for ever.
            wrapped.socket.settimeout(self._node.network_timeout_seconds)
        if len(self._links) > self._node.max_associations + MAX_WAITING:
            log.warning("too many connections, cut", address=str(assoc.requestor.address))
            cut(assoc)

    def _on_request(self, event: Event) -> None:
        assoc, link = event.assoc, self._links.of(event.assoc)
        if (request := assoc.requestor.primitive) is not None:
            link.calling = _title(request.calling_ae_title)
            link.called = _title(request.called_ae_title)
        rejection = self._door.refuses(link)
        if rejection is None and not self._links.admit(link, self._node.max_associations):
            rejection = Rejection.LIMIT
        if rejection is not None:
            assoc.acse.send_reject(*rejection.value)
            self._rejected(link, rejection)
            assoc.kill()  # waits until the rejection has left, as pynetdicom's own do

    def _rejected(self, link: Link, rejection: Rejection) -> None:
        link.ending = "rejected"
        log.warning("association rejected", reason=rejection.word, **link.peer)
        detail = {**link.peer, "reason": rejection.word}
        self._audit.append(AuditEvent(kind=AuditKind.ASSOCIATION_REJECTED, detail=detail))

    def _on_established(self, event: Event) -> None:
        log.debug("association accepted", **self._links.of(event.assoc).peer)

    def _on_end(self, event: Event, ending: str) -> None:
        self._links.of(event.assoc).ending = ending

    def _on_echo(self, event: Event) -> int:
        log.debug("echo", **self._links.of(event.assoc).peer)
        return SUCCESS

    def _on_store(self, event: Event) -> int | Dataset:
        """Answer a C-STORE-RQ, whatever happens."""
        link = self._links.of(event.assoc)
        arrival = cast("SpoolingDimse", event.assoc.dimse).claim(event.dataset_path)
        sop_instance_uid = str(cast("C_STORE", event.request).AffectedSOPInstanceUID)
        try:
            return self._store(arrival, link, sop_instance_uid)
        except Exception as error:
            # The peer waits for an answer; without one it would hang, and perhaps think it stored.
            log.error(
                "store failed", sop_instance_uid=_loggable(sop_instance_uid), error=where(error)
            )
            log.debug("store failed", exc_info=True)
            fault = Unacceptable(Fault.INTERNAL, "unexpected error, see the node's log")
            return self._refuse(fault, link, sop_instance_uid)
        finally:
            if arrival is not None:
                arrival.discard()

    def _store(self, arrival: Arrival | None, link: Link, sop_instance_uid: str) -> int | Dataset:
        try:
            if arrival is None:
                raise Unacceptable(Fault.NO_DATA_SET, "no data set came with the command")
            self._reception.keep(arrival, link)
        except Unacceptable as error:
            return self._refuse(error, link, sop_instance_uid)
        except (OSError, AuditError) as error:
            log.error(
                "out of resources", sop_instance_uid=_loggable(sop_instance_uid), error=where(error)
            )
            full = Unacceptable(Fault.RESOURCES, "the node cannot store now; send again later")
            return self._refuse(full, link, sop_instance_uid)
        link.kept += 1
        return SUCCESS

    def _refuse(self, fault: Unacceptable, link: Link, sop_instance_uid: str) -> Dataset:
        link.refused += 1
        uid = _loggable(sop_instance_uid)
        reason = {"fault": fault.fault.value, "reason": fault.reason}
        log.warning("instance refused", sop_instance_uid=uid, calling=link.calling, **reason)
        detail = {**link.peer, **reason, "status": f"0x{STATUS[fault.fault]:04X}"}
        refused = AuditEvent(kind=AuditKind.INSTANCE_REFUSED, sop_instance_uid=uid, detail=detail)
        with suppress(OSError, AuditError):
            # Nothing was taken: where the trail cannot be written, the refusal stands in the log.
            self._audit.append(*link.introduction, refused)
            link.introduced = True
        answer = Dataset()
        answer.Status = STATUS[fault.fault]
        answer.ErrorComment = fault.reason[:64]  # VR LO
        return answer


def _title(text: str | None) -> str:
    """An AE title as it may stand in a log; spaces around it do not count (PS3.5 6.2)."""
    return "".join(c if c.isprintable() else "?" for c in (text or "")).strip()


def _loggable(uid: str) -> str | None:
    """A UID, or None for what a peer sent in its place: that may be anything, a name even."""
    return uid if is_uid(uid) else None
