"""Ask a PACS for the studies of a day and for their series, by C-FIND (PS3.4 C.4.1) or QIDO-RS.

Nothing of the patient is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pynetdicom import build_context

from dicom_node.deliver.association import status_of
from dicom_node.deliver.examine.offers import FIND
from dicom_node.deliver.status import sentence
from dicom_node.dicom.uids import is_uid
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import date

    from pynetdicom.association import Association

    from dicom_node.deliver.examine.fetch import Caller
    from dicom_node.deliver.web_archive import WebArchive

_PENDING = (0xFF00, 0xFF01)  # PS3.4 Table C.4-1
_SUCCESS = 0x0000

#: Of one query; a day of the largest hospital has some thousand studies.
MOST_MATCHES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A series with films.

    Parameters
    ----------
    instances
        How many the PACS has; None if it does not say.
    """

    series_instance_uid: str
    modality: str
    instances: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study that has films of the wanted modalities."""

    study_instance_uid: str
    series: tuple[Series, ...]


def studies(
    caller: Caller, day: date, modalities: Collection[str], most: int = MOST_MATCHES
) -> list[Study]:
    """The studies of one day that have series of these modalities, in the order of the PACS.

    Parameters
    ----------
    most
        Matches of one query; a PACS that sends more may never end.

    Raises
    ------
    PeerUnavailable
        The PACS does not answer, answers with a failure, or sends too many matches.
    PeerRefused
        It offers no query.
    """
    day_of, no_number = f"{day:%Y%m%d}", {"NumberOfSeriesRelatedInstances": None}
    with caller.association([build_context(FIND)]) as assoc:
        asked = _identifier("STUDY", StudyDate=day_of, StudyInstanceUID="", ModalitiesInStudy="")
        return wanted(
            list(_find(assoc, asked, most)),
            lambda uid: _find(assoc, _identifier(
                "SERIES", StudyInstanceUID=uid, SeriesInstanceUID="", Modality="", **no_number
            ), most),
            modalities,
        )  # fmt: skip


def studies_by_web(archive: WebArchive, day: date, modalities: Collection[str]) -> list[Study]:
    """As `studies`, of a DICOMweb service (QIDO-RS, PS3.18 10.6)."""
    return wanted(archive.studies(day, MOST_MATCHES), archive.series, modalities)


def wanted(
    matches: Iterable[Dataset],
    series_of: Callable[[str], Iterable[Dataset]],
    modalities: Collection[str],
) -> list[Study]:
    """The studies among the matches of a query that have series of these modalities.

    Parameters
    ----------
    matches
        Study Instance UID, and Modalities in Study if the PACS says.
    series_of
        Asks for a study's series: UID, Modality, and the number of instances if the PACS says.
    """
    kinds = {
        str(match.get("StudyInstanceUID", "")): _words(match.get("ModalitiesInStudy"))
        for match in matches
    }
    found = []
    for uid, of_study in kinds.items():
        if is_uid(uid) and (not of_study or of_study & set(modalities)):
            series = tuple(each for each in _series(series_of(uid)) if each.modality in modalities)
            if series:
                found.append(Study(study_instance_uid=uid, series=series))
    return found


def _series(matches: Iterable[Dataset]) -> Iterator[Series]:
    for match in matches:
        if is_uid(str(match.get("SeriesInstanceUID", ""))):
            yield Series(
                series_instance_uid=str(match.SeriesInstanceUID),
                modality=str(match.get("Modality") or "").strip(),
                instances=_number(match.get("NumberOfSeriesRelatedInstances")),
            )


def _find(assoc: Association, wanted: Dataset, most: int) -> Iterator[Dataset]:
    status, count = None, 0
    try:
        for response, match in assoc.send_c_find(wanted, FIND):
            status = status_of(response)
            if status in _PENDING and match is not None:
                count += 1
                if count > most:
                    raise PeerUnavailable(f"the peer sent more than {most} matches of one query")
                yield match
    except (RuntimeError, ValueError) as error:  # pynetdicom's, if the association has ended
        raise PeerUnavailable("the peer hung up during a query") from error
    if status is None or status in _PENDING:
        raise PeerUnavailable("no answer to a query")
    if status != _SUCCESS:
        raise PeerUnavailable(f"the peer answered a query with {sentence(status)}")


def _identifier(level: str, **keys: str | None) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _words(value: Any) -> set[str]:
    words = [value] if isinstance(value, str) else list(value or ())
    return {str(word).strip() for word in words} - {""}


def _number(value: Any) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def missing(study: Study, received: Mapping[str, int]) -> tuple[Series, ...]:
    """The series of which the node has fewer instances than the PACS.

    Parameters
    ----------
    received
        Series Instance UID -> how many instances the node has.
    """
    return tuple(
        series
        for series in study.series
        if received.get(series.series_instance_uid, 0) < (series.instances or 1)
    )
