"""Send reports to FHIR servers: one transaction, and one answer, for each film."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import requests

from dicom_node.deliver.bounded_answer import bounded
from dicom_node.deliver.messages.bundle import transaction
from dicom_node.deliver.messages.report import Report, read_report
from dicom_node.deliver.scu import SLOWEST_LINE
from dicom_node.deliver.status import EchoResult, not_accepted, unavailable
from dicom_node.deliver.stow_answers import OF_THE_SERVICE, http_sentence, is_refusal
from dicom_node.deliver.web_session import answers, asking, opened
from dicom_node.domain.values import Answer, SendOutcome
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from pathlib import Path

    from dicom_node.config import FhirDestination
    from dicom_node.deliver.deadline import Deadline

_JSON = "application/fhir+json"
_STORED = 0x0000
#: A conflict of two transactions at one time; the next attempt finds what the other created.
_CONFLICT = 409


class FhirSender:
    """Sends reports as transactions.

    Parameters
    ----------
    destinations
        What `send` and `echo` can name.
    timeout_seconds
        For connecting, and for each answer.
    """

    def __init__(self, destinations: Iterable[FhirDestination], timeout_seconds: float) -> None:
        self._destinations = {destination.name: destination for destination in destinations}
        self._timeout = timeout_seconds

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        """Send one transaction for each answer that is taken; see `Sender`."""
        to = self._destinations[destination]
        yield from answers(to, _JSON, paths, before_each, partial(self._transact, to))

    def echo(self, destination: str) -> EchoResult:
        """Test the connection: ask what the server can do (its CapabilityStatement)."""
        started, to = time.monotonic(), self._destinations[destination]
        try:
            with (
                opened(to, _JSON) as (session, deadline),
                asking(to, deadline), deadline.within(2 * self._timeout),
            ):  # fmt: skip
                said = self._call(session, "GET", f"{to.url}/metadata", deadline)
            ok, reason = _capable(said, to.url)
        except PeerUnavailable as error:
            ok, reason = False, str(error)
        return EchoResult(ok=ok, status=None, reason=reason, seconds=time.monotonic() - started)

    def _transact(
        self, to: FhirDestination, session: requests.Session, deadline: Deadline, path: Path
    ) -> Answer:
        report = read_report(path)
        if not isinstance(report, Report):
            return report
        body = json.dumps(transaction(report, to.site_codes)).encode()
        entries = len(report.findings) + 1
        patience = 2 * self._timeout + len(body) / SLOWEST_LINE
        with asking(to, deadline), deadline.within(patience):
            said = self._call(session, "POST", to.url, deadline, body)
        return _answer(said, entries)

    def _call(
        self,
        session: requests.Session,
        method: str,
        url: str,
        deadline: Deadline,
        body: bytes | None = None,
    ) -> requests.Response:
        return session.request(
            method,
            url,
            data=body,
            headers={"Content-Type": _JSON} if body else None,
            timeout=self._timeout,
            allow_redirects=False,
            hooks={"response": partial(bounded, deadline=deadline)},
        )


def _answer(said: requests.Response, entries: int) -> Answer:
    """What the answer to a transaction means; a transaction is done as a whole or not at all.

    Raises
    ------
    PeerUnavailable
        The error is of the server, not of the report.
    """
    code = said.status_code
    if code in OF_THE_SERVICE:
        raise PeerUnavailable(http_sentence(code))
    if code != requests.codes.ok:
        refused = is_refusal(code) and code != _CONFLICT
        return (not_accepted if refused else unavailable)(http_sentence(code))
    bundle = _json(said)
    answered = bundle.get("entry")
    if bundle.get("type") != "transaction-response" or not isinstance(answered, list):
        return unavailable("the answer is no transaction response")
    statuses = [_status(each) for each in answered]
    if len(statuses) != entries or any(status not in ("200", "201") for status in statuses):
        return unavailable("the transaction response does not say that all is stored")
    stored = "created" if "201" in statuses else "there already"
    return Answer(SendOutcome.ANSWERED, _STORED, stored)


def _status(entry: object) -> str:
    response = entry.get("response") if isinstance(entry, dict) else None
    return str(response.get("status", ""))[:3] if isinstance(response, dict) else ""


def _capable(said: requests.Response, url: str) -> tuple[bool, str]:
    if said.status_code != requests.codes.ok:
        return False, http_sentence(said.status_code)
    capability = _json(said)
    version = str(capability.get("fhirVersion", ""))
    if capability.get("resourceType") != "CapabilityStatement":
        return False, f"{url} gives an answer that is not FHIR"
    if not version.startswith("4."):
        return False, f"{url} does not speak FHIR R4"
    return True, f"{url} answers"


def _json(said: requests.Response) -> dict[str, Any]:
    """The answer's JSON object; empty if it is none."""
    try:
        found = said.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
