"""A signed report (SR) or a Key Object Selection (KOS) about results of this node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.valuerep import DT

from dicom_node.domain.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom import Dataset

    from dicom_node.domain.reading import ReadingSummary
    from dicom_node.verdicts.report import ReportReader

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
#: Basic Text, Enhanced, Comprehensive and Comprehensive 3D SR, and Key Object Selection.
REVIEWS = frozenset(
    {f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in ("11", "22", "33", "34", "59")}
)
#: Titles of a Key Object Selection that rejects what it lists (PS3.16 CID 7011).
_REJECTIONS = frozenset({"113001", "113037"})
_AGREES, _DISAGREES = ("agree", "agreed", "einverstanden"), ("disagree", "disagreed", "widerspruch")
_NEGATIONS = frozenset({"not", "nicht", "cannot"})
_MOST_ITEMS = 5000  # content items that are read


@dataclass(frozen=True, slots=True)
class Review:
    """What a person says about results."""

    references: frozenset[str]  # SOP Instance UIDs
    given_at: datetime | None
    reader: str  # code or name of the person; only its digest is kept
    finding: Finding | None
    agrees: bool | None  # with the results; None: it does not say
    rule: str

    def verdict(self, ours: ReadingSummary) -> Finding | None:
        """The finding of the review of a reading; None if it says nothing about it."""
        if self.finding is not None:
            return self.finding
        if self.agrees is None:
            return None
        ill = ours.pneumonia.positive
        covid19 = ours.covid19 is not None and ours.covid19.positive
        if self.agrees:
            return Finding.COVID19 if covid19 else Finding.PNEUMONIA if ill else Finding.OTHER
        if covid19:  # it does not say which of the two stages is wrong
            return Finding.UNKNOWN
        return Finding.OTHER if ill else Finding.PNEUMONIA


def read_review(path: Path, reader: ReportReader) -> Review | None:
    """Read an SR or KOS; None if it is not signed (SR), is unreadable, or says nothing."""
    try:
        ds = dcmread(path, stop_before_pixels=True)
        is_kos = str(ds.SOPClassUID) == KEY_OBJECTS
        if not is_kos and ds.get("VerificationFlag") != "VERIFIED":
            return None
        return _review(ds, reader, is_kos=is_kos)
    except (InvalidDicomError, OSError, AttributeError, ValueError, TypeError, RecursionError):
        return None


def _review(ds: Dataset, reader: ReportReader, *, is_kos: bool) -> Review:
    items = [item for _, item in zip(range(_MOST_ITEMS), _items(ds), strict=False)]
    texts = [str(item.TextValue) for item in items if item.get("TextValue")]
    codes = [
        (str(code.get("CodingSchemeDesignator", "")), str(code.get("CodeValue", "")))
        for item in items
        for code in item.get("ConceptCodeSequence") or ()
    ]
    opinion = reader.read("\n\n".join(texts), codes)
    agrees = _agreement(texts)
    if is_kos and agrees is None and opinion.finding is None:
        titles = {str(each.get("CodeValue")) for each in ds.get("ConceptNameCodeSequence") or ()}
        agrees = False if titles & _REJECTIONS else None
    said = "" if agrees is None else "agreement" if agrees else "disagreement"
    observer = (ds.get("VerifyingObserverSequence") or [ds])[0]
    return Review(
        references=frozenset(_references(ds)),
        given_at=_time(ds, observer),
        reader=_person(observer),
        finding=opinion.finding,
        agrees=agrees,
        rule=opinion.rule or said,
    )


def _items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence") or ():
        yield item
        yield from _items(item)


def _references(ds: Dataset) -> Iterator[str]:
    """SOP Instance UIDs that the content or the evidence of the document names."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _references(item)
        elif element.keyword == "ReferencedSOPInstanceUID":
            yield str(element.value)


def _agreement(texts: list[str]) -> bool | None:
    words = {word.strip(".,;:!").casefold() for text in texts for word in text.split()}
    agrees, disagrees = not words.isdisjoint(_AGREES), not words.isdisjoint(_DISAGREES)
    if agrees == disagrees or not words.isdisjoint(_NEGATIONS):
        return None
    return agrees


def _time(ds: Dataset, observer: Dataset) -> datetime | None:
    stamp = observer.get("VerificationDateTime") or (
        f"{ds.get('ContentDate', '')}{ds.get('ContentTime', '')}"
    )
    try:
        return DT(str(stamp)).astimezone(UTC) if stamp else None
    except ValueError:
        return None


def _person(observer: Dataset) -> str:
    codes = observer.get("VerifyingObserverIdentificationCodeSequence") or ()
    number = str(codes[0].get("CodeValue", "")) if codes else ""
    return number or str(observer.get("VerifyingObserverName") or "")
