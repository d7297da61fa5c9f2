"""The message of HL7 version 2.5.1 about one reading of a study: ORU^R01, unsolicited result.

The same reports always give the same bytes, so a repeat is recognised by its control ID (MSH-10).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from dicom_node.deliver.messages.report import NOT_FOR_DIAGNOSIS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydicom.sr.coding import Code
    from pydicom.valuerep import PersonName

    from dicom_node.config import Hl7Destination
    from dicom_node.deliver.messages.report import Finding, Report

# HL7 2.5.1, 2.7: the delimiters of MSH-1 and MSH-2 and a new line, as escape sequences
_ESCAPES = str.maketrans(
    {"|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\\": "\\E\\", "\n": "\\.br\\"}
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_CHARSETS = {"utf-8": "UNICODE UTF-8", "iso-8859-1": "8859/1"}  # HL7 table 0211
_SEXES = {"M": "M", "F": "F", "O": "O"}  # HL7 table 0001, else U
_UTC = "+0000"
_NAME_FORMS = "AIP"  # HL7 table 4000: alphabetic, ideographic, phonetic

#: Observations that the report has no code for.
CODES = {
    "pneumonia_cutoff": "PNEUMONIA-CUTOFF^Cut-off of the pneumonia score^99DICOMNODE",
    "covid19_cutoff": "COVID19-CUTOFF^Cut-off of the COVID-19 score^99DICOMNODE",
    "model": "MODEL-VERSION^Version of the networks^99DICOMNODE",
    "report": "111412^Narrative Summary^DCM",
    "study": "113014^DICOM Study^DCM",
    "refusal": "REFUSAL^Why the film was not read^99DICOMNODE",
}


def control_id(reports: Sequence[Report]) -> str:
    """The message control ID: 20 characters derived from the reports' UIDs."""
    uids = " ".join(sorted(each.sop_instance_uid for each in reports))
    return hashlib.sha256(uids.encode()).hexdigest()[:20].upper()


def oru(reports: Sequence[Report], to: Hl7Destination) -> str:
    """Write the message about these films of one study; the reports must be of one reading.

    Parameters
    ----------
    reports
        At least one.
    """
    first = reports[0]
    segments = [_header(first, to, control_id(reports)), _patient(first)]
    for number, report in enumerate(reports, 1):
        segments += _order(number, report, to)
    return "".join(f"{each}\r" for each in segments)


def escaped(text: str) -> str:
    """Escape delimiters and new lines; other control characters become spaces."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n")).translate(_ESCAPES)


def _header(report: Report, to: Hl7Destination, number: str) -> str:
    return _segment(
        "MSH", "^~\\&",
        *map(escaped, (to.sending_application, to.sending_facility)),
        *map(escaped, (to.receiving_application, to.receiving_facility)),
        _moment(report.date, report.time, report.zone or _UTC), "", "ORU^R01^ORU_R01", number,
        to.processing_id, "2.5.1", "", "", "", "", "", _CHARSETS[to.charset],
    )  # fmt: skip


def _patient(report: Report) -> str:
    authority = f"^^^{escaped(report.issuer)}" if report.issuer else ""
    return _segment(
        "PID", "1", "", f"{escaped(report.patient_id)}{authority}", "",
        _name(report.patient_name), "", report.birth_date, _SEXES.get(report.sex, "U"),
    )  # fmt: skip


def _name(name: PersonName) -> str:
    """A name as XPN: a repetition for each form; prefix and suffix change places."""
    forms = []
    for group, form in zip(name.components, _NAME_FORMS, strict=False):
        family, given, middle, prefix, suffix = (group.split("^") + [""] * 5)[:5]
        parts = [escaped(part) for part in (family, given, middle, suffix, prefix)]
        if any(parts):
            forms.append("^".join([*parts, "", "L", form]))
    return "~".join(forms)


def _order(number: int, report: Report, to: Hl7Destination) -> Iterator[str]:
    """One film: the order it belongs to, a warning, its observations."""
    taken = _moment(report.study_date, report.study_time, report.zone)
    made = _moment(report.date, report.time, report.zone or _UTC)
    procedure = to.site_codes.get("procedure") or _coded(report.procedure)
    uid, accession = report.sop_instance_uid, escaped(report.accession_number)
    yield _segment(
        "OBR", str(number), "", uid, procedure, "", "", taken, *[""] * 10,
        accession, "", "", "", made, "", "RAD", "P",
    )  # fmt: skip
    yield _segment("NTE", "1", "L", NOT_FOR_DIAGNOSIS)
    for at, observation in enumerate(_observations(report, to.site_codes), 1):
        kind, code, *value = observation
        yield _segment("OBX", str(at), kind, code, "1", *value, "", "", "P", "", "", taken)


def _observations(report: Report, codes: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Type, code, value, unit, reference range and abnormal flag of each observation."""

    def plain(name: str, kind: str, value: str) -> tuple[str, ...]:
        return (kind, codes.get(name) or CODES[name], value, "", "", "")

    for each in report.findings:
        yield from _found(each, codes)
    if report.refusal:
        yield plain("refusal", "ST", report.refusal)
    yield plain("report", "TX", escaped(report.text))
    yield plain("model", "ST", escaped(report.model))
    yield plain("study", "HD", f"^{report.study_instance_uid}^ISO")


def _found(found: Finding, codes: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    name, flag = found.name, "A" if found.positive else ""
    finding = codes.get(name) or _coded(found.finding)
    measured = codes.get(f"{name}_score") or _coded(found.measured)
    cut_off = codes.get(f"{name}_cutoff") or CODES[f"{name}_cutoff"]
    yield "ST", finding, found.said, "", "", flag
    yield "NM", measured, str(found.score), "%", f"<{found.cut_off}", flag
    yield "NM", cut_off, str(found.cut_off), "%", "", ""


def _coded(code: Code) -> str:
    return "^".join(escaped(part) for part in (code.value, code.meaning, code.scheme_designator))


def _moment(date: str, time: str, zone: str) -> str:
    """A time stamp (TS); a time without a date says nothing."""
    if not date:
        return ""
    return f"{date}{time}{zone if time else ''}"


def _segment(*fields: str) -> str:
    return "|".join(fields).rstrip("|")
