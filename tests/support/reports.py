"""HL7 messages of reports, as a radiology information system sends them."""

from __future__ import annotations

PERSON = ("MUSTERMANN", "ERIKA", "19510203", "HAUPTSTRASSE", "BEISPIEL")


def oru(
    text: str = "No evidence of pneumonia.",
    *,
    accession: str = "A17",
    study: str = "",
    status: str = "F",
    control_id: str = "M1",
    at: str = "20260506070800+0000",
    kind: str = "ORU^R01",
    processing: str = "P",
    codes: str = "",
    charset: str = "UNICODE UTF-8",
) -> bytes:
    """A message of one report with a patient and a radiologist; ``codes`` is OBX-5 of a CWE."""
    lines = text.replace("\n", "~")
    segments = [
        rf"MSH|^~\&|RIS|HOSPITAL|NODE|RADIOLOGY|{at}||{kind}|{control_id}|{processing}|2.5.1"
        f"||||||{charset}",
        "PID|1||4711^^^HOSPITAL^PI||MUSTERMANN^ERIKA||19510203|F|||HAUPTSTRASSE 1^^BERLIN",
        "PV1|1|I",
        f"ORC|RE|P9|{accession}",
        f"OBR|1|P9|{accession}|36643-5^XR Chest 2 Views^LN|||20260506||||||||||||||"
        f"|{at}||RAD|{status}|||||||R7&BEISPIEL&HANS",
        f"OBX|1|TX|36643-5&IMP^XR Chest 2 Views^LN||{lines}||||||{status}",
    ]
    if codes:
        segments.append(f"OBX|2|CWE|29308-4^Diagnosis^LN||{codes}||||||{status}")
    if study:
        segments.append(f"ZDS|{study}^RIS^Application^DICOM")
    return "\r".join(segments).encode("latin-1" if charset == "8859/1" else "utf-8")
