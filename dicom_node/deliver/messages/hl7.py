"""Send reports to HL7 receivers: one message for all films of one reading of a study."""

from __future__ import annotations

import time
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING

from dicom_node.deliver.bounded_answer import HungUp
from dicom_node.deliver.deadline import Deadline
from dicom_node.deliver.messages.mllp import connected, exchange, meaning_of
from dicom_node.deliver.messages.oru import control_id, oru
from dicom_node.deliver.messages.report import Report, read_report
from dicom_node.deliver.status import EchoResult, broken_off, unavailable, unreadable
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_node.config import Hl7Destination, TlsConfig
    from dicom_node.domain.values import Answer


class Hl7Sender:
    """Sends reports as ORU^R01 messages.

    Parameters
    ----------
    destinations
        What `send` and `echo` can name.
    timeout_seconds
        For connecting, and for each answer.
    tls
        Our certificate and the trusted authorities.
    """

    def __init__(
        self, destinations: Iterable[Hl7Destination], timeout_seconds: float, tls: TlsConfig
    ) -> None:
        self._destinations = {destination.name: destination for destination in destinations}
        self._timeout = timeout_seconds
        self._tls = tls

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        """Send a message for each folder of reports, which is one reading; see `Sender`.

        All reports of a message have its answer.
        """
        to, given = self._destinations[destination], 0
        for _, readings in groupby(paths, key=lambda path: path.parent):
            group = list(readings)
            before_each()
            try:
                yield from list(self._message(to, group))
            except HungUp as error:
                unanswered, *behind = broken_off(
                    error, sent=True, behind=len(paths) - given - len(group)
                )
                yield from [*[unanswered] * len(group), *behind]
                return
            except PeerUnavailable as error:
                yield from [unavailable(str(error))] * (len(paths) - given)
                return
            given += len(group)

    def _message(self, to: Hl7Destination, paths: Sequence[Path]) -> Iterator[Answer]:
        read = [read_report(path) for path in paths]
        reports = [each for each in read if isinstance(each, Report)]
        answer = self._sent(to, reports) if reports else None
        for each in read:
            if not isinstance(each, Report):
                yield each
            elif answer is not None:
                yield answer

    def _sent(self, to: Hl7Destination, reports: Sequence[Report]) -> Answer:
        try:
            message = oru(reports, to).encode(to.charset)
        except UnicodeEncodeError:
            return unreadable(f"a name cannot be written in {to.charset}: configure charset")
        answer = exchange(message, to, self._tls, self._timeout)
        return meaning_of(answer, control_id(reports))

    def echo(self, destination: str) -> EchoResult:
        """Test the connection: HL7 has no test message, so nothing is sent over it."""
        started, to = time.monotonic(), self._destinations[destination]
        where = f"{to.host}:{to.port}"
        try:
            with (
                closing(Deadline()) as deadline, deadline.within(2 * self._timeout),
                connected(to, self._tls, self._timeout, deadline),
            ):  # fmt: skip
                ok, reason = True, f"{where} takes connections"
        except PeerUnavailable as error:
            ok, reason = False, str(error)
        return EchoResult(ok=ok, status=None, reason=reason, seconds=time.monotonic() - started)
