"""STOW-RS (PS3.18 10.5): one request and one answer for each object."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_node.deliver.bounded_answer import bounded
from dicom_node.deliver.duplicate import DUPLICATE
from dicom_node.deliver.outgoing_file import OutgoingFile, decoded, outgoing_file_of
from dicom_node.deliver.scu import SLOWEST_LINE
from dicom_node.deliver.status import EchoResult, unavailable, unreadable
from dicom_node.deliver.stow_answers import (
    TransferSyntaxRefused,
    answer_in,
    answer_to_error,
    http_sentence,
    status_of,
)
from dicom_node.deliver.stow_duplicate import answer_by_query
from dicom_node.deliver.web_session import answers, asking, opened
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from pydicom.dataset import Dataset

    from dicom_node.config import WebDestination
    from dicom_node.deliver.deadline import Deadline
    from dicom_node.deliver.duplicate import Duplicates
    from dicom_node.domain.values import Answer

_JSON = "application/dicom+json"


class StowSender:
    """Sends files to configured DICOMweb services.

    Parameters
    ----------
    destinations
        What `send` and `echo` can name.
    timeout_seconds
        For connecting, and for each answer, which may take longer for a large file.
    duplicates
        Compares what a service says it has already; None: it is believed.
    """

    def __init__(
        self,
        destinations: Iterable[WebDestination],
        timeout_seconds: float,
        duplicates: Duplicates | None = None,
    ) -> None:
        self._destinations = {destination.name: destination for destination in destinations}
        self._timeout = timeout_seconds
        self._duplicates = duplicates

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        """Store the files, one request for each answer that is taken."""
        service = self._destinations[destination]
        yield from answers(service, _JSON, paths, before_each, partial(self._store, service))

    def echo(self, destination: str) -> EchoResult:
        """Test the connection: search for one study (QIDO-RS, PS3.18 10.6), ignore the result."""
        started, service = time.monotonic(), self._destinations[destination]
        try:
            with self._connected(service) as client:
                client.search_for_studies(limit=1)
            ok, reason = True, f"{service.url} answers"
        except (requests.HTTPError, requests.TooManyRedirects) as error:
            ok, reason = False, http_sentence(status_of(error))
        except PeerUnavailable as error:
            ok, reason = False, str(error)
        except (ParseError, *MALFORMED):
            ok, reason = False, f"{service.url} gives an answer that is not DICOMweb"
        return EchoResult(ok=ok, status=None, reason=reason, seconds=time.monotonic() - started)

    def metadata(self, destination: str, study_instance_uid: str) -> list[Dataset]:
        """Retrieve the data sets of a study without bulk data (WADO-RS metadata, PS3.18 10.4).

        Raises
        ------
        PeerUnavailable
            The service does not answer, or its answer is no DICOM JSON.
        """
        service = self._destinations[destination]
        try:
            with self._connected(service) as client:
                found = client.retrieve_study_metadata(study_instance_uid)
            return [Dataset.from_json(each) for each in found]
        except (requests.HTTPError, requests.TooManyRedirects) as error:
            raise PeerUnavailable(http_sentence(status_of(error))) from None
        except (ParseError, *MALFORMED):
            raise PeerUnavailable("the answer is not DICOM JSON") from None

    def _store(
        self, service: WebDestination, session: requests.Session, deadline: Deadline, path: Path
    ) -> Answer:
        """Store a file; if the service has its UID already, compare what it has."""
        answer = self._stored(service, session, deadline, path)
        if answer.status != DUPLICATE or self._duplicates is None:
            return answer
        search = partial(self._search, service, session, deadline)
        return answer_by_query(self._duplicates, service.name, path, search)

    def _stored(
        self, service: WebDestination, session: requests.Session, deadline: Deadline, path: Path
    ) -> Answer:
        file = outgoing_file_of(path)
        if not isinstance(file, OutgoingFile):
            return file
        try:
            ds = dcmread(path)
            _ = str(ds.SOPInstanceUID)  # names the object in the answer
        except MALFORMED:
            return unreadable(f"{path.name} is not a DICOM file")
        except OSError as error:
            return unavailable(f"cannot read {path.name}: {error.strerror}")
        try:
            return self._post(service, session, ds, file.size, deadline)
        except TransferSyntaxRefused as error:
            if not file.compressed:
                return error.answer
        try:
            plain = decoded(file)
        except (OSError, RuntimeError, *MALFORMED):
            return unreadable(f"{path.name} cannot be re-encoded for this service")
        try:
            return self._post(service, session, plain, len(plain.PixelData), deadline)
        except TransferSyntaxRefused as error:
            return error.answer

    def _post(
        self, service: WebDestination, session: requests.Session, ds: Dataset, size: int,
        deadline: Deadline,
    ) -> Answer:  # fmt: skip
        """Store one object of ``size`` bytes; raises TransferSyntaxRefused."""
        sop_instance_uid = str(ds.SOPInstanceUID)
        try:
            patience = 2 * self._timeout + size / SLOWEST_LINE
            with asking(service, deadline), deadline.within(patience):
                said = self._client(service, session, deadline, size).store_instances([ds])
                return answer_in(said, sop_instance_uid)
        except (requests.HTTPError, requests.TooManyRedirects) as error:
            return answer_to_error(error, sop_instance_uid)
        except (ParseError, *MALFORMED):
            return unavailable("the service gives an answer that is not DICOMweb")

    def _search(
        self, service: WebDestination, session: requests.Session, deadline: Deadline,
        study_instance_uid: str, filters: dict[str, str],
    ) -> list[dict[str, Any]]:  # fmt: skip
        """List the instances of a study that match (QIDO-RS)."""
        with asking(service, deadline), deadline.within(2 * self._timeout):
            return self._client(service, session, deadline).search_for_instances(
                study_instance_uid, search_filters=filters, fields=["SOPClassUID"]
            )

    @contextmanager
    def _connected(self, service: WebDestination) -> Iterator[DICOMwebClient]:
        """Hold a client for one request without a body."""
        with (
            opened(service, _JSON) as (session, deadline),
            asking(service, deadline), deadline.within(2 * self._timeout),
        ):  # fmt: skip
            yield self._client(service, session, deadline)

    def _client(
        self,
        service: WebDestination,
        session: requests.Session,
        deadline: Deadline,
        size: int = 0,
    ) -> DICOMwebClient:
        client = DICOMwebClient(
            service.url,
            session,
            callback=partial(bounded, deadline=deadline),
            timeout=(self._timeout, self._timeout + size / SLOWEST_LINE),
        )
        client.set_http_retry_params(retry=False)  # the outbox retries
        return client
