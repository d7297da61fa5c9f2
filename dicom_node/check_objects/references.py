"""Check references: each leads to the film, to an object of the set or to a predecessor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.check_objects.attributes import INHERITED

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Hierarchical lists of referenced instances (the evidence): PS3.3 C.17.2.1, C.12.2
_EVIDENCE = (
    "CurrentRequestedProcedureEvidenceSequence",
    "PertinentOtherEvidenceSequence",
    "StudiesContainingOtherReferencedInstancesSequence",
)
_SERIES = "ReferencedSeriesSequence"
_INSTANCES = ("ReferencedSOPSequence", "ReferencedInstanceSequence", "ReferencedImageSequence")
_PREDECESSORS = "PredecessorDocumentsSequence"
# References to procedures, visits and patients, which are not checked
_ELSEWHERE = INHERITED | {"ReferencedPerformedProcedureStepSequence", "ReferencedPatientSequence"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An instance that may be referred to."""

    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str


def uids_of(ds: Dataset) -> tuple[str, str, str]:
    """Return Study, Series and SOP Instance UID of an object, empty if missing."""
    study, series, instance = (
        str(ds.get(keyword, ""))
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    )
    return study, series, instance


def known(source: Dataset, objects: Sequence[Dataset]) -> dict[str, Known]:
    """Return the film and the objects of the set by SOP Instance UID."""
    found = {}
    for ds in (source, *objects):
        study, series, instance = uids_of(ds)
        found[instance] = Known(
            sop_class_uid=str(ds.get("SOPClassUID", "")),
            series_instance_uid=series,
            study_instance_uid=study,
        )
    return found


def check_references(ds: Dataset, instances: Mapping[str, Known]) -> Iterator[str]:
    """Yield references that lead nowhere or are missing from the object's evidence."""
    listed = set()
    for study, series, item in _listed(ds):
        uid = str(item.get("ReferencedSOPInstanceUID", ""))
        listed.add(uid)
        found = instances.get(uid)
        if found and (study, series) != (found.study_instance_uid, found.series_instance_uid):
            yield "an instance is listed under a study or series that is not its own"
    for item in _references(ds, frozenset({_PREDECESSORS, *_ELSEWHERE})):
        uid = str(item.ReferencedSOPInstanceUID)
        if uid == ds.get("SOPInstanceUID"):
            yield "an object refers to itself"
        elif uid not in instances:
            yield "a reference leads neither to an object of this set nor to the film"
        elif item.get("ReferencedSOPClassUID") != instances[uid].sop_class_uid:
            yield "a reference names the wrong SOP class"
        elif uid not in listed:
            yield "a referenced instance is missing from the evidence"


def _listed(ds: Dataset) -> Iterator[tuple[str, str, Dataset]]:
    """Yield study, series and item of each instance in the object's evidence lists."""
    own = str(ds.get("StudyInstanceUID", ""))
    groups = [(own, ds)]
    for keyword in _EVIDENCE:
        groups += [(str(s.get("StudyInstanceUID", "")), s) for s in ds.get(keyword) or ()]
    for study, group in groups:
        for series in group.get(_SERIES) or ():
            for keyword in _INSTANCES:
                for item in series.get(keyword) or ():
                    yield study, str(series.get("SeriesInstanceUID", "")), item


def _references(ds: Dataset, without: frozenset[str]) -> Iterator[Dataset]:
    """Yield every item, at any depth, that references an instance."""
    if "ReferencedSOPInstanceUID" in ds:
        yield ds
    for element in ds:
        if element.VR == "SQ" and element.keyword not in without:
            for item in element.value:
                yield from _references(item, without)
