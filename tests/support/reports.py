"""HL7 messages of reports, as a radiology information system sends them, and as none should."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

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


def poisoned(count: int, accessions: Sequence[str]) -> Iterator[bytes]:
    """Reports that contradict each other, come again or name no known study; most are damaged.

    None breaks the frame of MLLP.
    """
    draw = random.Random(20260101)
    for _ in range(count):
        message = oru(
            draw.choice(_TEXTS),
            accession=draw.choice((*accessions, "UNKNOWN", "")),
            status=draw.choice("FCP"),
            control_id=f"P{draw.randrange(count)}",
            at=draw.choice(("20260506070800", "29990101", "yesterday", "")),
            codes=draw.choice(("", "J18.9^Pneumonia^I10", "J18.9^^I10" + "~a^b&c" * 200)),
        )
        yield draw.choice(_DAMAGES)(message, draw).translate(None, b"\x0b\x1c")


_TEXTS = (
    "Right basal pneumonia.",
    "Lungs are clear.",
    "Pneumonia cannot be excluded.",
    r"\.sp99999\\X0D0A\\Zunknown\ \H pneumonia \N " * 50,
)


def _flipped(message: bytes, draw: random.Random) -> bytes:
    damaged = bytearray(message)
    for _ in range(draw.randrange(1, 9)):
        damaged[draw.randrange(len(damaged))] = draw.randrange(256)
    return bytes(damaged)


def _cut(message: bytes, draw: random.Random) -> bytes:
    return message[: draw.randrange(len(message))]


def _torn(message: bytes, draw: random.Random) -> bytes:
    """Segments are missing, double, or in another order."""
    segments = message.split(b"\r")
    return b"\r".join(draw.choices(segments, k=draw.randrange(1, 2 * len(segments))))


def _separated(message: bytes, draw: random.Random) -> bytes:
    """The separators that MSH names are others, or not what the message uses."""
    return message.replace(rb"|^~\&", bytes(draw.choices(b"|^~\\&#aA0 \r\x00", k=5)), 1)


_DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda message, _: message, _flipped, _cut, _torn, _separated,
)  # fmt: skip
