"""What a message says of one film, read from the node's own Structured Report.

The report is an object of the destination's edition: it says no more of the patient than the
destination may know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.sr.coding import Code
from pydicom.valuerep import PersonName

from dicom_node.deliver.status import unavailable, unreadable
from dicom_node.dicom.malformed import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydicom.dataset import Dataset

    from dicom_node.domain.values import Answer

NOT_FOR_DIAGNOSIS = "Research only, not for diagnostic use"

#: Code of a probability in the report -> the finding's name in messages.
_FINDINGS = {"PNEUMONIA-PROB": "pneumonia", "COVID19-PROB": "covid19"}
# PS3.16 Annex D: what TID 1500 calls its parts
_GROUP, _FINDING, _NARRATIVE = "125007", "121071", "111412"
_VERSION, _PARAMETERS = "111003", "111002"
_NUMBER = r"=([0-9.e+-]+)(?:\s|$)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One question to a film and its answer."""

    name: str  # pneumonia or covid19
    uid: str  # of its measurement group
    finding: Code
    measured: Code  # what the score is called
    score: int  # 0 to 100
    cut_off: int  # 0 to 100
    positive: bool  # at or above the cut-off

    @property
    def said(self) -> str:
        """The answer in words."""
        return "above cut-off" if self.positive else "below cut-off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of one film.

    Dates and times are DICOM's (YYYYMMDD, HHMMSS); those of the study may be empty. ``zone`` is
    +HHMM, or empty if the film's header does not say: ``date`` and ``time`` are in UTC then.
    """

    sop_instance_uid: str
    study_instance_uid: str
    accession_number: str
    patient_id: str
    issuer: str
    patient_name: PersonName
    birth_date: str
    sex: str
    study_date: str
    study_time: str
    date: str
    time: str
    zone: str
    procedure: Code
    model: str
    text: str
    refusal: str  # why the film was not read: a code; empty if it was read
    findings: tuple[Finding, ...]


def read_report(path: Path) -> Report | Answer:
    """Read a report, or say why it cannot be sent."""
    try:
        ds = dcmread(path)
        return report_of(ds)
    except MALFORMED:
        return unreadable(f"{path.name} is not a report of this node")
    except FileNotFoundError:
        return unreadable(f"no such file: {path.name}")
    except OSError as error:
        return unavailable(f"cannot read {path.name}: {error.strerror}")


def report_of(ds: Dataset) -> Report:
    """Collect what a message says; raises one of `MALFORMED` if this is no coded report."""
    groups = list(_containers(ds, _GROUP))
    refusals = (re.search(r"refusal=([a-z-]+)", _text(each, _PARAMETERS)) for each in groups)
    if not groups:
        raise ValueError("no measurement groups")
    return Report(
        sop_instance_uid=str(ds.SOPInstanceUID),
        study_instance_uid=str(ds.StudyInstanceUID),
        accession_number=str(ds.get("AccessionNumber") or ""),
        patient_id=str(ds.get("PatientID") or ""),
        issuer=str(ds.get("IssuerOfPatientID") or ""),
        patient_name=PersonName(ds.get("PatientName") or ""),
        birth_date=str(ds.get("PatientBirthDate") or ""),
        sex=str(ds.get("PatientSex") or ""),
        study_date=str(ds.get("StudyDate") or ""),
        study_time=str(ds.get("StudyTime") or "").partition(".")[0],
        date=str(ds.ContentDate),
        time=str(ds.ContentTime).partition(".")[0],
        zone=str(ds.get("TimezoneOffsetFromUTC") or ""),
        procedure=_code(ds.ConceptNameCodeSequence[0]),
        model=next(filter(None, (_text(each, _VERSION) for each in groups)), ""),
        text=_text(ds, _NARRATIVE),
        refusal=next((found[1] for found in refusals if found), ""),
        findings=tuple(found for each in groups if (found := _finding(each)) is not None),
    )


def _finding(group: Dataset) -> Finding | None:
    """The decision about the whole film that a group states, if it does."""
    for item in group.ContentSequence:
        if item.ValueType != "NUM":
            continue
        measured = _code(item.ConceptNameCodeSequence[0])
        if measured.value in _FINDINGS:
            parameters = _text(group, _PARAMETERS)
            threshold = _parameter(parameters, "threshold")
            return Finding(
                name=_FINDINGS[measured.value],
                uid=_uid(group),
                finding=_coded(group, _FINDING),
                measured=measured,
                score=round(float(item.MeasuredValueSequence[0].NumericValue)),
                cut_off=round(100 * threshold),
                positive=_parameter(parameters, "probability") >= threshold,
            )
    return None


def _uid(group: Dataset) -> str:
    """The tracking UID of a group."""
    return next(str(item.UID) for item in group.ContentSequence if item.ValueType == "UIDREF")


def _parameter(text: str, name: str) -> float:
    found = re.search(rf"(?:^|\s){name}{_NUMBER}", text)
    if found is None:
        raise ValueError(f"no {name}")
    return float(found[1])


def _containers(item: Dataset, code: str) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        if child.ValueType == "CONTAINER":
            if child.ConceptNameCodeSequence[0].CodeValue == code:
                yield child
            else:
                yield from _containers(child, code)


def _text(item: Dataset, code: str) -> str:
    """The text under a concept, directly below an item; empty if there is none."""
    return next(
        (
            str(child.TextValue)
            for child in item.get("ContentSequence", ())
            if child.ValueType == "TEXT" and child.ConceptNameCodeSequence[0].CodeValue == code
        ),
        "",
    )


def _coded(item: Dataset, code: str) -> Code:
    """The code under a concept, directly below an item."""
    for child in item.ContentSequence:
        if child.ValueType == "CODE" and child.ConceptNameCodeSequence[0].CodeValue == code:
            return _code(child.ConceptCodeSequence[0])
    raise ValueError(f"no code {code}")


def _code(item: Dataset) -> Code:
    return Code(str(item.CodeValue), str(item.CodingSchemeDesignator), str(item.CodeMeaning))
