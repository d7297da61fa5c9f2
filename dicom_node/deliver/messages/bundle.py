"""The FHIR R4 transaction about one film: a DiagnosticReport and an Observation for each finding.

Every resource is created only if the server has none with its identifier: the report's SOP Instance
UID, or the tracking UID of a finding. So a repeat makes no second one.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from dicom_node.deliver.messages.oru import CODES
from dicom_node.deliver.messages.report import NOT_FOR_DIAGNOSIS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydicom.sr.coding import Code
    from pydicom.valuerep import PersonName

    from dicom_node.deliver.messages.report import Finding, Report

Resource: TypeAlias = dict[str, Any]

#: Coding scheme of DICOM and HL7 version 2 -> its URI in FHIR.
_SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
}
_CATEGORY = {
    "system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD",
    "display": "Radiology",
}  # fmt: skip
_IMAGING = {
    "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "imaging",
    "display": "Imaging",
}  # fmt: skip
_ACCESSION = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}
_HIGH = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "A",
    "display": "Abnormal",
}  # fmt: skip


def transaction(report: Report, codes: Mapping[str, str]) -> Resource:
    """Build the Bundle.

    Parameters
    ----------
    codes
        The site's codes, ``code^text^system``, by what they stand for.
    """
    observations = [_observation(report, each, codes) for each in report.findings]
    entries = [_entry(each) for each in observations]
    links = [{"reference": each["fullUrl"]} for each in entries]
    entries.append(_entry(_report(report, codes, links)))
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _entry(resource: Resource) -> Resource:
    identifier = resource["identifier"][0]
    token = f"{identifier['system']}|{identifier['value']}"
    kind = resource["resourceType"]
    return {
        "fullUrl": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, token)}",
        "resource": resource,
        "request": {
            "method": "POST",
            "url": kind,
            "ifNoneExist": f"identifier={quote(token, safe=':/')}",
        },
    }


def _report(report: Report, codes: Mapping[str, str], links: list[Resource]) -> Resource:
    procedure = codes.get("procedure")
    resource = _common(report, "DiagnosticReport", report.sop_instance_uid) | {
        "category": [{"coding": [_CATEGORY]}],
        "code": _concept(procedure) if procedure else _of(report.procedure),
        "issued": _moment(report.date, report.time, report.zone, instant=True),
        "imagingStudy": [{"type": "ImagingStudy", "identifier": _uid(report.study_instance_uid)}],
        "performer": [{"display": f"dicom-node, networks {report.model}"}],
        "conclusion": f"{NOT_FOR_DIAGNOSIS}. {report.text}",
    }
    if links:
        resource["result"] = links
    if report.refusal:
        reason = codes.get("refusal") or CODES["refusal"]
        resource["conclusionCode"] = [_concept(reason) | {"text": report.refusal}]
    return resource


def _observation(report: Report, found: Finding, codes: Mapping[str, str]) -> Resource:
    name = found.name
    finding, measured = codes.get(name), codes.get(f"{name}_score")
    cut_off = codes.get(f"{name}_cutoff") or CODES[f"{name}_cutoff"]
    resource = _common(report, "Observation", found.uid) | {
        "contained": [_device(report)],
        "category": [{"coding": [_IMAGING]}],
        "code": _concept(finding) if finding else _of(found.finding),
        "valueString": found.said,
        "note": [{"text": NOT_FOR_DIAGNOSIS}],
        "component": [
            {
                "code": _concept(measured) if measured else _of(found.measured),
                "valueQuantity": _percent(found.score),
                "referenceRange": [{"high": _percent(found.cut_off), "text": "cut-off"}],
            },
            {"code": _concept(cut_off), "valueQuantity": _percent(found.cut_off)},
        ],
        "device": {"reference": "#model"},
    }
    if found.positive:
        resource["interpretation"] = [{"coding": [_HIGH]}]
    return resource


def _device(report: Report) -> Resource:
    return {
        "resourceType": "Device",
        "id": "model",
        "deviceName": [{"name": "dicom-node", "type": "model-name"}],
        "version": [{"value": report.model}],
        "note": [{"text": NOT_FOR_DIAGNOSIS}],
    }


def _common(report: Report, kind: str, uid: str) -> Resource:
    """What both kinds of resource say: identifier, status, patient, order, time."""
    resource: Resource = {
        "resourceType": kind,
        "identifier": [_uid(uid)],
        "status": "preliminary",
        "subject": _patient(report),
    }
    if report.accession_number:
        order = {"type": {"coding": [_ACCESSION]}, "value": report.accession_number}
        resource["basedOn"] = [{"type": "ServiceRequest", "identifier": order}]
    if taken := _moment(report.study_date, report.study_time, report.zone):
        resource["effectiveDateTime"] = taken
    return resource


def _uid(uid: str) -> Resource:
    """A DICOM UID as FHIR writes it (R4, ImagingStudy.identifier)."""
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}


def _patient(report: Report) -> Resource:
    """The patient by identifier: the node does not know the server's patients."""
    patient: Resource = {"type": "Patient"}
    if report.patient_id:
        patient["identifier"] = {"value": report.patient_id}
        if report.issuer:
            patient["identifier"]["assigner"] = {"display": report.issuer}
    if name := _name(report.patient_name):
        patient["display"] = name
    return patient


def _name(name: PersonName) -> str:
    parts = (name.name_prefix, name.given_name, name.middle_name, name.family_name)
    return " ".join(part for part in (*parts, name.name_suffix) if part)


def _concept(text: str) -> Resource:
    code, meaning, scheme = text.split("^")
    return _coding(code, scheme, meaning)


def _of(code: Code) -> Resource:
    return _coding(code.value, code.scheme_designator, code.meaning)


def _coding(value: str, scheme: str, meaning: str) -> Resource:
    """A concept; a scheme that is not known here must be a URI to be named."""
    system = _SYSTEMS.get(scheme) or (scheme if ":" in scheme else "")
    coding = {"code": value, "display": meaning or value}
    if system:
        coding["system"] = system
    return {"coding": [coding], "text": meaning or value}


def _percent(value: int) -> Resource:
    return {"value": value, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"}


def _moment(date: str, time: str, zone: str, *, instant: bool = False) -> str:
    """A dateTime; without a time zone FHIR takes no time of day, an instant takes UTC."""
    if len(date) != 8:
        return ""
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    offset = f"{zone[:3]}:{zone[3:]}" if zone else "Z" if instant else ""
    if not offset or len(time) < 6:
        return day
    return f"{day}T{time[:2]}:{time[2:4]}:{time[4:6]}{offset}"
