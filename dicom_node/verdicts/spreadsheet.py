"""Verdicts from a CSV file: one a row, its columns found by their names."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_node.dicom.uids import is_uid
from dicom_node.domain.conflicts import accession_key
from dicom_node.domain.verdicts import Finding, Source, Verdict
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

#: Column -> names that it may have, without case, spaces and punctuation.
COLUMNS = {
    "study": ("study", "studyuid", "studyinstanceuid"),
    "accession": ("accession", "accessionnumber", "accessionno"),
    "finding": ("finding", "verdict", "label"),
    "date": ("date", "time", "datetime", "givenat"),
    "who": ("who", "reader", "by", "givenby"),
}
_SPELLINGS = {"covid": Finding.COVID19, "negative": Finding.NORMAL}
_DELIMITERS = ",;\t"
_YEARS = (1900, 2200)  # beyond them a time zone may leave what Python and databases can hold


@dataclass(slots=True)
class Sheet:
    """The verdicts of a file, and the lines that are none: line number and reason."""

    verdicts: list[Verdict] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)


def read_sheet(path: Path, secret: bytes, now: datetime) -> Sheet:
    """Read a CSV file with comma, semicolon or tab.

    Parameters
    ----------
    secret
        Of the node: accession numbers become digests.
    now
        The time of a verdict without a date.

    Raises
    ------
    NodeError
        The file cannot be read, or lacks a column for the finding or for the study.
    """
    sheet = Sheet()
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            for number, row in _rows(file):
                try:
                    sheet.verdicts.append(_verdict(row, secret, now))
                except ValueError as error:
                    sheet.unreadable.append((number, str(error)))
    except (OSError, csv.Error) as error:
        raise NodeError(f"{path} cannot be read: {error}") from error
    return sheet


def finding_named(text: str) -> Finding:
    """The finding of this name in any spelling; raises ValueError that lists the names."""
    word = _plain(text)
    for finding in Finding:
        if finding.value == word:
            return finding
    if word in _SPELLINGS:
        return _SPELLINGS[word]
    raise ValueError(f"the finding is none of {', '.join(Finding)}")


def time_of(text: str) -> datetime:
    """A date with or without time, UTC if it has no offset; raises ValueError."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("the date is not like 2026-01-31 or 2026-01-31T08:00+01:00") from None
    if not _YEARS[0] <= at.year <= _YEARS[1]:
        raise ValueError(f"the date is not between {_YEARS[0]} and {_YEARS[1]}")
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _rows(file: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    lines = iter(file)
    head = next(lines, "")
    delimiter = max(_DELIMITERS, key=head.count)
    names = [_column(name) for name in next(csv.reader([head], delimiter=delimiter), [])]
    if "finding" not in names or not {"study", "accession"} & set(names):
        raise NodeError("the first line must name the columns: study or accession, and finding")
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter), start=2):
        if any(cells):
            pairs = zip(names, cells, strict=False)
            yield number, {name: cell.strip() for name, cell in pairs if name}


def _column(name: str) -> str:
    word = _plain(name)
    return next((column for column, names in COLUMNS.items() if word in names), "")


def _plain(text: str) -> str:
    return "".join(each for each in text.casefold() if each.isalnum())


def _verdict(row: Mapping[str, str], secret: bytes, now: datetime) -> Verdict:
    study, accession = row.get("study", ""), row.get("accession", "")
    if not study and not accession:
        raise ValueError("neither a study nor an accession number")
    if study and not is_uid(study):
        raise ValueError("the study is not a UID")
    return Verdict(
        finding=finding_named(row.get("finding", "")),
        source=Source.CSV,
        given_at=time_of(row["date"]) if row.get("date") else now,
        given_by=row.get("who", ""),
        study_instance_uid=study or None,
        accession_keys=(accession_key(secret, accession),) if accession else (),
    )
