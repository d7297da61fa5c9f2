"""The segments of an HL7 v2 message, and the values in them.

python-hl7 splits segments into fields. Escape sequences are read here: its own reader repeats a
line feed as often as a message says, and writes what it does not know, the report's text, to the
log.
"""

from __future__ import annotations

import re

import hl7

_HEADER = re.compile(r"MSH([^\w\s])((?:[^\w\s]){3,5})\1")
_ESCAPE = re.compile(r"\\([^\\]{1,32})\\")
_CHARSETS = {
    "": "utf-8", "ASCII": "ascii", "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8",
    "8859/1": "latin-1", "8859/2": "iso8859-2", "8859/15": "iso8859-15",
}  # fmt: skip


def read_segments(content: bytes) -> list[Segment]:
    """The segments of a message, MSH first; raises ValueError if it is broken."""
    text = _decode(content.strip(b"\x0b\x1c\r\n \x00"))
    signs = _HEADER.match(text)
    if signs is None or len(set(signs[1] + signs[2])) < 1 + len(signs[2]):
        raise ValueError("no MSH with the separators")
    try:
        parsed = hl7.parse(re.sub(r"\r?\n", "\r", text))
    except (hl7.HL7Exception, IndexError, KeyError, AssertionError) as error:
        raise ValueError("not parsed") from error
    return [Segment(each, parsed.separators, parsed.esc) for each in parsed]


class Segment:
    """A segment; what it lacks is empty. Fields, components and parts count from 1."""

    def __init__(self, segment: hl7.Segment, separators: str, escape: str) -> None:
        self.name = str(segment[0]) if len(segment) else ""
        self._fields = segment
        self._split: dict[int, list[str]] = {}
        _, self._field, self._repetition, self._component, self._part = tuple(separators[:5])
        self._escape = escape

    def repetitions(self, number: int) -> list[str]:
        """The repetitions of a field as they are."""
        if number not in self._split:  # of a field with very many, this takes some time
            raw = str(self._fields[number]) if number < len(self._fields) else ""
            self._split[number] = raw.split(self._repetition)
        return self._split[number]

    def value(self, number: int, component: int = 1, *, part: int = 1, repetition: int = 1) -> str:
        """A component of a field, or a part of it, without escape sequences."""
        found = self.repetitions(number)[repetition - 1]
        for sign, place in ((self._component, component), (self._part, part)):
            pieces = found.split(sign)
            found = pieces[place - 1] if place <= len(pieces) else ""
        return self._unescaped(found).strip()

    def text(self, number: int) -> str:
        """A field as text, a line for each repetition."""
        raw = "\n".join(self.repetitions(number))
        return self._unescaped(raw.replace(self._component, " ").replace(self._part, " "))

    def _unescaped(self, raw: str) -> str:
        signs = {
            "F": self._field, "S": self._component, "T": self._part, "R": self._repetition,
            "E": self._escape,
        }  # fmt: skip
        if self._escape != "\\":
            return raw
        return _ESCAPE.sub(lambda match: signs.get(match[1]) or _unescape(match[1]), raw)


def _unescape(sequence: str) -> str:
    """HL7 v2.5.1 2.7: formatting becomes a line feed or a space."""
    if sequence.startswith((".br", ".sp", ".ce")):
        return "\n"
    if sequence.startswith("X"):
        try:
            return bytes.fromhex(sequence[1:]).decode("latin-1")
        except ValueError:
            return " "
    return "" if sequence in ("H", "N") else " "


def _decode(content: bytes) -> str:
    head = content.split(b"\r", 1)[0].split(b"\n", 1)[0]
    fields = head.split(head[3:4]) if len(head) > 3 else []
    name = fields[17].decode("ascii", "replace").strip().upper() if len(fields) > 17 else ""
    try:
        return content.decode(_CHARSETS.get(name, "utf-8"))
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
