"""Files of HL7 messages that a person imports or tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.errors import NodeError
from dicom_node.verdicts.folder import LARGEST_FILE
from dicom_node.verdicts.hl7_message import MessageRefused, is_hl7, read_message, split_messages
from dicom_node.verdicts.report import Opinion

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.verdicts.intake import Intake
    from dicom_node.verdicts.report import ReportReader

_BEGINNING = 64  # bytes that show what a file holds


@dataclass(frozen=True, slots=True)
class Trial:
    """What the rules make of one report; ``fault``: why its message would not be taken."""

    opinion: Opinion
    status: str = ""  # OBR-25; empty for a text
    fault: str = ""

    def as_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return {**self.opinion.as_json(), "status": self.status, "fault": self.fault}


def holds_messages(path: Path) -> bool:
    """Whether the path is a folder, or a file that begins like HL7."""
    if path.is_dir():
        return True
    try:
        with path.open("rb") as file:
            return is_hl7(file.read(_BEGINNING))
    except OSError as error:
        raise NodeError(f"{path} cannot be read: {error.strerror}") from error


def import_messages(path: Path, intake: Intake) -> None:
    """Take the messages of a file, or of all files in a folder; a broken one is counted."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for each in files:
        if each.is_file() and not each.name.startswith("."):
            for message in split_messages(_content(each)) or [b""]:
                intake.take(message)


def try_file(path: Path, reader: ReportReader) -> list[Trial]:
    """What the rules make of each report in a file of HL7 messages, or of a text."""
    content = _content(path)
    if not is_hl7(content):
        return [Trial(reader.read(content.decode("utf-8", errors="replace")))]
    return [trial for each in split_messages(content) for trial in _trials(each, reader)]


def _trials(content: bytes, reader: ReportReader) -> list[Trial]:
    try:
        orders = read_message(content).orders
    except MessageRefused as refused:
        return [Trial(Opinion(None), fault=refused.fault.value[1])]
    return [Trial(reader.read_sections(each.sections, each.codes), each.status) for each in orders]


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise NodeError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise NodeError(f"{path} has more than {LARGEST_FILE // 2**20} MiB")
    return content
