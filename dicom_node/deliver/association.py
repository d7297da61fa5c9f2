"""One outgoing association, with a bound on every wait."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pydicom.uid import UID
from pynetdicom import AE, _config, build_role, evt

from dicom_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.config import TlsConfig
from dicom_node.deliver.deadline import Deadline
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.tls.client import tls_args, trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydicom.dataset import Dataset
    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

    from dicom_node.config import DicomDestination

# Send a file as its bytes are on disk, without decoding; applies to calls that pass a path.
_config.STORE_SEND_CHUNKED_DATASET = True
# Formatting every PDU for the debug log costs more than sending it.
_config.LOG_HANDLER_LEVEL = "none"

#: How long to look for the reason of a connection that failed at once.
_DIAGNOSIS_SECONDS = 1.0


class _Wire:
    """The TCP connection of one association, which pynetdicom neither exposes nor bounds."""

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout = timeout_seconds
        self.deadline = Deadline()
        self._socket: socket.socket | None = None
        self.connected = False

    @property
    def handlers(self) -> list[tuple[evt.EventType, object]]:
        return [
            (evt.EVT_ACSE_SENT, self._remember),
            (evt.EVT_CONN_OPEN, self._bound),
            (evt.EVT_ABORTED, self._cut),
        ]

    def close(self) -> None:
        """Close the socket; pynetdicom leaks it if the connection failed."""
        self.deadline.close()
        if self._socket is not None:
            self._socket.close()

    def _remember(self, event: Event) -> None:
        wrapped = event.assoc.dul.socket
        if wrapped is not None and wrapped.socket is not None:
            self._socket = wrapped.socket
            self.deadline.watch(wrapped.socket)

    def _bound(self, event: Event) -> None:
        # pynetdicom clears the socket's time-out on connecting. If the peer stopped reading, its
        # thread would stay in send() without end, and abort() would wait for that thread.
        self.connected = True
        self._remember(event)  # TLS has put another socket in its place
        if self._socket is not None:
            self._socket.settimeout(self.timeout)
            # Else the end of an object waits for the peer's delayed acknowledgement, up to 40 ms.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _cut(self, event: Event) -> None:
        # An abort is queued behind the data, and a peer that reads slowly would keep it there for
        # hours. So close a connection that still has data to send.
        if event.assoc.dul.to_provider_queue.qsize() > 1 and self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


@contextmanager
def association(
    ae_title: str,
    destination: DicomDestination,
    contexts: Sequence[PresentationContext],
    timeout_seconds: float,
    tls: TlsConfig = TlsConfig(),  # noqa: B008 - frozen
) -> Iterator[Association]:
    """Hold an association with the destination for the length of a ``with`` block.

    A context with an SCP role proposes that role (PS3.7 D.3.3.4).

    Raises
    ------
    PeerUnavailable
        Nothing listens, there is no answer, or the association is rejected or aborted.
    PeerRefused
        The peer accepts none of the presentation contexts.
    """
    wire = _Wire(timeout_seconds)
    try:
        with wire.deadline.within(2 * timeout_seconds):
            assoc = _request(ae_title, destination, contexts, wire, tls)
        try:
            yield assoc
        finally:
            with wire.deadline.within(timeout_seconds):
                assoc.release()
    finally:
        wire.close()


def where(destination: DicomDestination) -> str:
    """Host and port as ``host:port``."""
    return f"{destination.host}:{destination.port}"


def status_of(response: Dataset) -> int | None:
    """The Status (0000,0900) of a response; None if pynetdicom received no valid response."""
    return int(response.Status) if "Status" in response else None


def _request(
    ae_title: str,
    destination: DicomDestination,
    contexts: Sequence[PresentationContext],
    wire: _Wire,
    tls: TlsConfig,
) -> Association:
    timeout_seconds = wire.timeout
    ae = AE(ae_title)
    ae.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = ae.acse_timeout = timeout_seconds
    ae.dimse_timeout = ae.network_timeout = timeout_seconds
    started = time.monotonic()
    try:
        assoc = ae.associate(
            destination.host,
            destination.port,
            contexts=list(contexts),
            ae_title=destination.ae_title,
            evt_handlers=wire.handlers,  # type: ignore[arg-type]
            ext_neg=[
                build_role(uid, scp_role=True)
                for uid in dict.fromkeys(str(cx.abstract_syntax) for cx in contexts if cx.scp_role)
            ],
            tls_args=tls_args(destination, tls),
        )
    except OSError as error:  # the name does not resolve, or no descriptor is left
        raise PeerUnavailable(f"cannot reach {where(destination)}: {_strerror(error)}") from error
    if not assoc.is_established:
        late = time.monotonic() - started >= timeout_seconds
        if not late and not assoc.is_rejected and not assoc.rejected_contexts:
            _raise_tls_trouble(destination, tls)
        _raise_why(assoc, destination, wire.connected, timeout_seconds if late else None)
    return assoc


def _raise_why(
    assoc: Association, destination: DicomDestination, connected: bool, waited: float | None
) -> None:
    """Raise the reason why there is no association; ``waited`` is the time-out if it expired."""
    if not connected:
        raise PeerUnavailable(_why_not_connected(destination, waited))
    if assoc.rejected_contexts:
        raise PeerRefused("peer accepts none of the presentation contexts")
    if assoc.is_rejected:
        raise PeerUnavailable(f"peer rejected: {_rejection(assoc)}")
    if waited is not None:
        raise PeerUnavailable(
            f"{where(destination)} does not answer the association request within {waited:g} s"
        )
    perhaps = "" if destination.tls else "; perhaps it wants TLS"
    raise PeerUnavailable(f"{where(destination)} hung up during the association request{perhaps}")


def _raise_tls_trouble(destination: DicomDestination, tls: TlsConfig) -> None:
    """Repeat the TLS handshake for its error, which pynetdicom does not report."""
    with suppress(OSError):  # no connection at all: reported below
        if (why := trouble(destination, tls, _DIAGNOSIS_SECONDS)) is not None:
            raise PeerUnavailable(f"no TLS with {where(destination)}: {why}")


def _why_not_connected(destination: DicomDestination, waited: float | None) -> str:
    if waited is not None:
        return f"no answer from {where(destination)} within {waited:g} s"
    # pynetdicom does not report the error, so connect once more, briefly.
    try:
        address = (destination.host, destination.port)
        socket.create_connection(address, timeout=_DIAGNOSIS_SECONDS).close()
    except ConnectionRefusedError:
        return f"nothing listens at {where(destination)}"
    except OSError as error:
        return f"cannot reach {where(destination)}: {_strerror(error)}"
    return f"the connection to {where(destination)} failed"


def _rejection(assoc: Association) -> str:
    """The reason of an A-ASSOCIATE-RJ in words, PS3.8 9.3.4."""
    answer = assoc.acceptor.primitive
    reason = answer.reason_str if answer is not None else "No reason given"
    return reason[0].lower() + reason[1:]


def _strerror(error: OSError) -> str:
    return error.strerror or str(error)
