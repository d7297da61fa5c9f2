"""Ask a PACS for the studies of a day and for their series, by C-FIND (PS3.4 C.4.1).

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
    from collections.abc import Collection, Iterator, Mapping
    from datetime import date

    from pynetdicom.association import Association

    from dicom_node.deliver.examine.fetch import Caller

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
    with caller.association([build_context(FIND)]) as assoc:
        found = [
            uid for uid, kinds in _of_day(assoc, day, most) if not kinds or kinds & set(modalities)
        ]
        each = [Study(study_instance_uid=uid, series=_series(assoc, uid, most)) for uid in found]
    return [
        Study(study_instance_uid=study.study_instance_uid, series=wanted)
        for study in each
        if (wanted := tuple(series for series in study.series if series.modality in modalities))
    ]


def _of_day(assoc: Association, day: date, most: int) -> Iterator[tuple[str, set[str]]]:
    """Yield each Study Instance UID once, with its modalities; none if the PACS does not say."""
    wanted = _identifier("STUDY", StudyDate=f"{day:%Y%m%d}", StudyInstanceUID="")
    wanted.ModalitiesInStudy = ""
    seen = set()
    for match in _find(assoc, wanted, most):
        uid = str(match.get("StudyInstanceUID", ""))
        if is_uid(uid) and uid not in seen:
            seen.add(uid)
            yield uid, _words(match.get("ModalitiesInStudy"))


def _series(assoc: Association, study_instance_uid: str, most: int) -> tuple[Series, ...]:
    wanted = _identifier("SERIES", StudyInstanceUID=study_instance_uid, SeriesInstanceUID="")
    wanted.Modality = ""
    wanted.NumberOfSeriesRelatedInstances = None
    return tuple(
        Series(
            series_instance_uid=str(match.SeriesInstanceUID),
            modality=str(match.get("Modality") or "").strip(),
            instances=_number(match.get("NumberOfSeriesRelatedInstances")),
        )
        for match in _find(assoc, wanted, most)
        if is_uid(str(match.get("SeriesInstanceUID", "")))
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


def _identifier(level: str, **keys: str) -> Dataset:
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
