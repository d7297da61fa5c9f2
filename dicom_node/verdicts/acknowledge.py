"""The answer to an HL7 message: ACK in original mode (HL7 v2.5.1 2.9.2), with a coded reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dicom_node.verdicts.hl7_message import Fault, Header

_LONGEST = 199  # characters of MSH-10 (HL7 v2.7)
_SIGNS = "|^~\\&"
_REJECTED = frozenset({"200", "201", "202", "203"})  # faults of the header: AR, others AE


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a message; no ``header``: it had none that can be read."""

    header: Header | None
    fault: Fault | None = None

    @property
    def code(self) -> str:
        """MSA-1."""
        if self.fault is None:
            return "AA"
        rejected = self.header is None or self.fault.value[0] in _REJECTED
        return "AR" if rejected else "AE"

    def encoded(self, now: datetime) -> bytes:
        """The ACK message; it repeats the control ID and the names of the systems."""
        header = self.header
        ours, theirs = (header.receiver, header.sender) if header else (("", ""), ("", ""))
        control_id, version = (header.control_id, header.version) if header else ("", "2.5.1")
        names = [_plain(each) for each in (*ours, *theirs)]
        time = f"{now:%Y%m%d%H%M%S%z}"
        msh = ["MSH", _SIGNS[1:], *names, time, "", "ACK^R01^ACK", f"A{now:%y%m%d%H%M%S%f}", "P"]
        segments = ["|".join([*msh, _plain(version)])]
        if self.fault is None:
            segments.append(f"MSA|{self.code}|{_plain(control_id)}")
        else:
            number, text = self.fault.value
            coded = f"{number}^{text}^HL70357"
            segments.append(f"MSA|{self.code}|{_plain(control_id)}|{text}|||{coded}")
            segments.append(f"ERR|||{coded}|E")
        return ("\r".join(segments) + "\r").encode("ascii")


def _plain(text: str) -> str:
    kept = (each for each in text if " " <= each <= "~" and each not in _SIGNS)
    return "".join(kept)[:_LONGEST]
