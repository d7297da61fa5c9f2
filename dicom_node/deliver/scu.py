"""The C-STORE and C-ECHO SCU: one association for many files, one answer for each."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from pynetdicom import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicom_node.config import TlsConfig
from dicom_node.deliver.association import association, status_of, where
from dicom_node.deliver.duplicate import DUPLICATE
from dicom_node.deliver.outgoing_file import OutgoingFile, decoded, outgoing_file_of
from dicom_node.deliver.status import (
    EchoResult,
    answered,
    broken_off,
    not_accepted,
    sentence,
    unavailable,
    unreadable,
)
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.fail_points import fail_point

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

    from dicom_node.config import DicomDestination
    from dicom_node.deliver.duplicate import Duplicates
    from dicom_node.domain.values import Answer

#: Presentation contexts have odd one-byte IDs: 1 to 255 (PS3.8 Table 9-13).
MAX_CONTEXTS = 128

#: Bytes a second. A slower connection counts as a peer that no longer answers.
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
        What `send` and `echo` can name.
    timeout_seconds
        For connecting, and for each answer.
    slowest_line
        Bytes a second; the time-out of an answer grows by the file's size divided by this.
    tls
        Our certificate and the trusted authorities, for destinations over TLS.
    duplicates
        Compares what a destination says it has already; None: it is believed.
    """

    def __init__(
        self,
        ae_title: str,
        destinations: Iterable[DicomDestination],
        timeout_seconds: float,
        slowest_line: float = SLOWEST_LINE,
        tls: TlsConfig = TlsConfig(),  # noqa: B008 - frozen
        duplicates: Duplicates | None = None,
    ) -> None:
        self._ae_title = ae_title
        self._destinations = {destination.name: destination for destination in destinations}
        self._timeout = timeout_seconds
        self._slowest_line = slowest_line
        self._tls = tls
        self._duplicates = duplicates

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        """C-STORE the files in one association, one request for each answer that is taken."""
        files = [outgoing_file_of(path) for path in paths]
        good = [file for file in files if isinstance(file, OutgoingFile)]
        with closing(self._send(destination, good, before_each)) as answers:
            for file in files:
                yield next(answers) if isinstance(file, OutgoingFile) else file

    def echo(self, destination: str) -> EchoResult:
        """Test the connection to the destination (C-ECHO, PS3.4 Annex A)."""
        started = time.monotonic()
        try:
            peer = self._find(destination)
            contexts = [build_context(Verification)]
            with association(self._ae_title, peer, contexts, self._timeout, self._tls) as assoc:
                status = status_of(assoc.send_c_echo())
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
        self, destination: str, files: Sequence[OutgoingFile], before_each: Callable[[], None]
    ) -> Generator[Answer, None, None]:
        if not files:
            return
        given = 0
        try:
            peer = self._find(destination)
            contexts = contexts_for(files)
            with association(self._ae_title, peer, contexts, self._timeout, self._tls) as assoc:
                for file, answer in zip(
                    files, self._store_all(assoc, files, before_each), strict=True
                ):
                    given += 1
                    if answer.status == DUPLICATE and self._duplicates is not None:
                        yield self._duplicates.answer(peer, file.path)
                    else:
                        yield answer
        except PeerUnavailable as error:
            yield from [unavailable(str(error))] * (len(files) - given)
        except PeerRefused as error:
            yield from [not_accepted(str(error))] * (len(files) - given)

    def _store_all(
        self, assoc: Association, files: Sequence[OutgoingFile], before_each: Callable[[], None]
    ) -> Generator[Answer, None, None]:
        for number, file in enumerate(files):
            # pynetdicom queues the whole file, then starts the time-out: add the transfer time.
            assoc.dimse_timeout = self._timeout + file.size / self._slowest_line
            before_each()
            fail_point("deliver.sending")
            try:
                answer = _store(assoc, file, message_id=number % 0xFFFF + 1)
            except PeerUnavailable as error:  # the association is gone
                sent = isinstance(error, _Unanswered)
                yield from broken_off(error, sent=sent, behind=len(files) - number - 1)
                return
            fail_point("deliver.answered")
            yield answer


def contexts_for(files: Sequence[OutgoingFile]) -> list[PresentationContext]:
    """Propose each file's SOP class and transfer syntax, then those it can be re-encoded to.

    Each context has one transfer syntax, so that the peer's choice cannot exclude the file's own.
    """
    exact = [(file.sop_class, file.syntax) for file in files]
    others = [(file.sop_class, ts) for file in files for ts in file.syntaxes[1:]]
    wanted = list(dict.fromkeys((*exact, *others)))[:MAX_CONTEXTS]
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted]


def _store(assoc: Association, file: OutgoingFile, message_id: int) -> Answer:
    if not assoc.is_established:
        raise PeerUnavailable("the peer ended the association")
    accepted = {(cx.abstract_syntax, cx.transfer_syntax[0]) for cx in assoc.accepted_contexts}
    syntax = next((ts for ts in file.syntaxes if (file.sop_class, ts) in accepted), None)
    if syntax is None:
        return not_accepted(f"peer does not accept {file.sop_class.name} in {file.syntax.name}")
    patience, started = assoc.dimse_timeout or 0.0, time.monotonic()
    try:
        content = file.path if syntax == file.syntax else decoded(file)
        status = status_of(assoc.send_c_store(content, msg_id=message_id))
    except (OSError, RuntimeError, *MALFORMED) as error:
        return _not_sent(assoc, file, error)
    if status is None:
        late = time.monotonic() - started >= patience
        raise _Unanswered(f"no answer in {patience:.1f} s" if late else "the peer hung up")
    return answered(status)


def _not_sent(assoc: Association, file: OutgoingFile, error: Exception) -> Answer:
    """Distinguish a broken association from a file that is gone or cannot be re-encoded."""
    if not assoc.is_established:
        raise PeerUnavailable("the peer ended the association") from error
    if isinstance(error, OSError):
        assoc.abort()  # perhaps half a message is out
        return unavailable(f"cannot read {file.path.name}: {error.strerror}")
    return unreadable(f"{file.path.name} cannot be re-encoded for this peer")
