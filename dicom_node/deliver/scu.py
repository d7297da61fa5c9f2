"""The C-STORE and C-ECHO SCU: many files, one association, an answer for each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pydicom import dcmread
from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicom_node.config import TlsConfig
from dicom_node.deliver.association import association, where
from dicom_node.deliver.outgoing_file import OutgoingFile, outgoing_file_of
from dicom_node.deliver.status import (
    NO_ANSWER,
    NO_CONTEXT,
    NOT_SENT,
    UNREADABLE,
    EchoResult,
    sentence,
)
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.fail_points import fail_point

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pydicom.dataset import Dataset
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

    from dicom_node.config import DicomDestination
    from dicom_node.deliver.status import Answer
    from dicom_node.ports import Watch

#: Presentation contexts have odd one-byte IDs: 1 to 255 (PS3.8 Table 9-13).
MAX_CONTEXTS = 128

#: Bytes a second. A line slower than this counts as a peer that stopped answering.
SLOWEST_LINE = 128 * 1024.0


class _Unanswered(PeerUnavailable):
    """The object went out, at least in part, and no answer came."""


class StoreSender:
    """Sends files to configured destinations.

    Parameters
    ----------
    ae_title
        Ours, the calling one.
    destinations
        Whom `send` and `echo` can name.
    timeout_seconds
        For connecting, and for each answer.
    slowest_line
        Bytes a second; an answer is waited for as much longer as the file then takes to travel.
    tls
        Our certificate and whom we trust, for destinations over TLS.
    """

    def __init__(
        self,
        ae_title: str,
        destinations: Iterable[DicomDestination],
        timeout_seconds: float,
        slowest_line: float = SLOWEST_LINE,
        tls: TlsConfig = TlsConfig(),  # noqa: B008 - frozen
    ) -> None:
        self._ae_title = ae_title
        self._destinations = {destination.name: destination for destination in destinations}
        self._timeout = timeout_seconds
        self._slowest_line = slowest_line
        self._tls = tls

    def send(
        self, destination: str, paths: Sequence[Path], watch: Watch | None = None
    ) -> list[Answer]:
        """C-STORE the files in one association; the answers are in the files' order.

        A file the peer did not answer for has status None, or a code of
        `dicom_node.deliver.status` that says why the peer was not asked.
        """
        parcels = [outgoing_file_of(path) for path in paths]
        good = [parcel for parcel in parcels if isinstance(parcel, OutgoingFile)]
        answers = iter(self._send(destination, good, watch) if good else ())
        return [
            next(answers)
            if isinstance(parcel, OutgoingFile)
            else parcel  # a parcel, or why it is none
            for parcel in parcels
        ]

    def echo(self, destination: str) -> EchoResult:
        """Ask the destination whether it is there (C-ECHO, PS3.4 Annex A)."""
        started = time.monotonic()
        try:
            peer = self._find(destination)
            contexts = [build_context(Verification)]
            with association(self._ae_title, peer, contexts, self._timeout, self._tls) as assoc:
                status = _status(assoc.send_c_echo())
            reason = f"no answer from {where(peer)}" if status is None else sentence(status)
            if status == 0x0000:
                reason = f"{where(peer)} answers"
        except (PeerUnavailable, PeerRefused) as error:
            status, reason = None, str(error)
        seconds = time.monotonic() - started
        return EchoResult(ok=status == 0x0000, status=status, reason=reason, seconds=seconds)

    def _find(self, name: str) -> DicomDestination:
        try:
            return self._destinations[name]
        except KeyError:
            raise PeerRefused(f"no destination named {name!r} is configured") from None

    def _send(
        self, destination: str, parcels: Sequence[OutgoingFile], watch: Watch | None
    ) -> list[Answer]:
        try:
            peer = self._find(destination)
            contexts = contexts_for(parcels)
            with association(self._ae_title, peer, contexts, self._timeout, self._tls) as assoc:
                return self._store_all(assoc, parcels, watch)
        except PeerUnavailable as error:
            return [(None, str(error))] * len(parcels)
        except PeerRefused as error:
            return [(NO_CONTEXT, str(error))] * len(parcels)

    def _store_all(
        self, assoc: Association, parcels: Sequence[OutgoingFile], watch: Watch | None
    ) -> list[Answer]:
        answers: list[Answer] = []
        for parcel in parcels:
            # pynetdicom queues the whole file and starts the clock: add the line's share.
            assoc.dimse_timeout = self._timeout + parcel.size / self._slowest_line
            if watch:
                watch.before()
            fail_point("deliver.sending")
            try:
                answers.append(_store(assoc, parcel, message_id=len(answers) % 0xFFFF + 1))
            except PeerUnavailable as error:  # the association is gone
                behind = len(parcels) - len(answers) - 1
                status = NO_ANSWER if isinstance(error, _Unanswered) else None
                not_sent = (NOT_SENT, f"not sent: {error}")
                return [*answers, (status, str(error)), *[not_sent] * behind]
            fail_point("deliver.answered")
            if watch:
                watch.after(parcel.path, *answers[-1])
        return answers


def contexts_for(parcels: Sequence[OutgoingFile]) -> list[PresentationContext]:
    """What to propose: each file's SOP class and transfer syntax, then the ways to re-encode it.

    One transfer syntax a context, so that the peer's choice never costs us the exact one.
    """
    exact = [(parcel.sop_class, parcel.syntax) for parcel in parcels]
    others = [(parcel.sop_class, ts) for parcel in parcels for ts in parcel.syntaxes[1:]]
    wanted = list(dict.fromkeys((*exact, *others)))[:MAX_CONTEXTS]
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted]


def _store(assoc: Association, parcel: OutgoingFile, message_id: int) -> Answer:
    if not assoc.is_established:
        raise PeerUnavailable("the peer ended the association")
    accepted = {(cx.abstract_syntax, cx.transfer_syntax[0]) for cx in assoc.accepted_contexts}
    syntax = next((ts for ts in parcel.syntaxes if (parcel.sop_class, ts) in accepted), None)
    if syntax is None:
        return NO_CONTEXT, f"peer does not accept {parcel.sop_class.name} in {parcel.syntax.name}"
    patience, started = assoc.dimse_timeout or 0.0, time.monotonic()
    try:
        content = parcel.path if syntax == parcel.syntax else dcmread(parcel.path)
        status = _status(assoc.send_c_store(content, msg_id=message_id))
    except (OSError, RuntimeError, *MALFORMED) as error:
        return _not_sent(assoc, parcel, error)
    if status is None:
        late = time.monotonic() - started >= patience
        raise _Unanswered(f"no answer in {patience:.1f} s" if late else "the peer hung up")
    return status, sentence(status)


def _not_sent(assoc: Association, parcel: OutgoingFile, error: Exception) -> Answer:
    """Tell an association that broke from a file that vanished or cannot be re-encoded."""
    if not assoc.is_established:
        raise PeerUnavailable("the peer ended the association") from error
    if isinstance(error, OSError):
        assoc.abort()  # perhaps half a message is out
        return None, f"cannot read {parcel.path.name}: {error.strerror}"
    return UNREADABLE, f"{parcel.path.name} cannot be re-encoded for this peer"


def _status(response: Dataset) -> int | None:
    """The Status (0000,0900) of a response; None where pynetdicom got no valid one."""
    return int(response.Status) if "Status" in response else None
