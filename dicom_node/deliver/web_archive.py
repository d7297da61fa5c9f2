"""Search a DICOMweb service and retrieve films: QIDO-RS and WADO-RS (PS3.18 10.6 and 10.4)."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset

from dicom_node.deliver.bounded_answer import bounded
from dicom_node.deliver.stow_answers import http_sentence, status_of
from dicom_node.deliver.web_session import asking, opened
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from dicom_node.config import WebDestination
    from dicom_node.deliver.deadline import Deadline

_JSON = "application/dicom+json"
#: As the service keeps the objects, so that it need not transcode.
_OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PAGE = 200  # matches of one answer, which is read up to 1 MiB
_PIECE = 1 << 16  # bytes


class WebArchive:
    """A DICOMweb service that films are fetched from.

    Parameters
    ----------
    timeout_seconds
        For connecting, and for each wait for a byte.
    patience_seconds
        For a whole series.
    """

    def __init__(
        self, service: WebDestination, timeout_seconds: float, patience_seconds: float
    ) -> None:
        self.service = service
        self._timeout = timeout_seconds
        self._patience = patience_seconds

    def studies(self, day: date, most: int) -> list[Dataset]:
        """Study Instance UID and Modalities in Study of the studies of a day.

        Raises
        ------
        PeerUnavailable
            The service does not answer, or not with DICOM JSON, or has more than ``most``.
        """
        filters, fields = {"StudyDate": f"{day:%Y%m%d}"}, ["StudyInstanceUID", "ModalitiesInStudy"]
        found: list[Dataset] = []
        while True:
            page = self._search("search_for_studies", len(found), filters, fields)
            seen = {str(each.get("StudyInstanceUID")) for each in found}
            new = [each for each in page if str(each.get("StudyInstanceUID")) not in seen]
            found += new
            if len(found) > most:
                raise PeerUnavailable(f"the peer sent more than {most} matches of one query")
            if len(page) < _PAGE or not new:  # some services ignore the offset
                return found

    def series(self, study_instance_uid: str) -> list[Dataset]:
        """UID, modality and number of instances of a study's series; raises as `studies`."""
        fields = ["SeriesInstanceUID", "Modality", "NumberOfSeriesRelatedInstances"]
        return self._search("search_for_series", 0, {}, fields, study_instance_uid)

    @contextmanager
    def retrieve(
        self, study_instance_uid: str, series_instance_uid: str
    ) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Media type and pieces of the answer with all objects of a series.

        Raises
        ------
        PeerUnavailable
            The service does not answer, answers with an error, or hangs up in between.
        """
        url = f"{self.service.url}/studies/{study_instance_uid}/series/{series_instance_uid}"
        with opened(self.service, _OBJECTS) as (session, deadline), deadline.within(self._patience):
            with _answered(), asking(self.service, deadline):
                answer = session.get(url, stream=True, timeout=self._timeout)
                answer.raise_for_status()
            yield answer.headers.get("Content-Type", ""), self._pieces(answer, deadline)

    def _pieces(self, answer: requests.Response, deadline: Deadline) -> Iterator[bytes]:
        with asking(self.service, deadline):
            yield from answer.iter_content(_PIECE)

    def _search(
        self, search: str, offset: int, filters: dict[str, str], fields: list[str], *of: str
    ) -> list[Dataset]:
        try:
            with (
                _answered(), opened(self.service, _JSON) as (session, deadline),
                asking(self.service, deadline), deadline.within(self._patience),
            ):  # fmt: skip
                client = DICOMwebClient(
                    self.service.url, session, callback=partial(bounded, deadline=deadline),
                    timeout=self._timeout,
                )  # fmt: skip
                client.set_http_retry_params(retry=False)  # the next backfill asks again
                found: list[dict[str, Any]] = getattr(client, search)(
                    *of, search_filters=filters, fields=fields, limit=_PAGE, offset=offset
                )
            return [Dataset.from_json(each) for each in found]
        except (ParseError, *MALFORMED):
            raise PeerUnavailable(
                f"{self.service.url} gives an answer that is not DICOMweb"
            ) from None


@contextmanager
def _answered() -> Iterator[None]:
    """Turn the error that an HTTP status raises into one that names the status."""
    try:
        yield
    except (requests.HTTPError, requests.TooManyRedirects) as error:
        raise PeerUnavailable(http_sentence(status_of(error))) from None
