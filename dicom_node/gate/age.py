"""The patient's age at the exposure, from whatever form the header gives it in.

Senders write Patient's Age and Patient's Birth Date in many illegal forms. Whatever can be used is
used; of an incomplete date every completion is possible, and the youngest possible age counts. What
the header states and this module cannot read is not the same as an age that is not stated.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, TypeAlias

from dicom_node.dicom.header import text

if TYPE_CHECKING:
    from pydicom import Dataset

Span: TypeAlias = tuple[date, date]  # the first and the last possible day

#: A greater age is a typing error or a placeholder.
OLDEST = 130.0
_YEAR = 365.25  # days
_YEARS = range(1850, 2200)  # of birth and exposure; anything else is no year

# Elements that say when the film was exposed, the most reliable first. The last ones may be later
# than the exposure, never much earlier.
_DATES = (
    *("StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate"),
    *("PerformedProcedureStepStartDate", "DateOfSecondaryCapture", "InstanceCreationDate"),
)

# Age String (PS3.5 6.2, VR AS) has D, W, M and Y; consoles write other words, too. The start of the
# unit -> how many of them make a year; the first match counts.
_UNITS: tuple[tuple[str, float], ...] = (
    *((unit, 365.25 * 24) for unit in ("HOUR", "HR", "H", "STD", "STUND")),
    *((unit, _YEAR) for unit in ("DAY", "D", "TAG", "T", "JOUR", "DIA", "GIORN", "G", "日", "天")),
    *((unit, 52.18) for unit in ("W", "SEM", "SETT", "S", "周", "週")),
    *((unit, 12.0) for unit in ("M", "个月", "個月", "ヶ月", "か月", "月", "개월")),
    *((unit, 1.0) for unit in ("Y", "A", "J", "L", "R", "E", "歳", "岁", "歲", "才", "세", "Г")),
)
_NUMBER_AND_UNIT = re.compile(r"([0-9]+(?:[.,][0-9]+)?)\s*([^\W\d_]*)")
_UNIT_AND_NUMBER = re.compile(r"([A-Z]+)\s*([0-9]+)")

_CHILD = re.compile(
    r"\b(?:newborn|neonat|infant|baby|child|kinder|kleinkind|saugling|neugeboren|enfant|nourrisson"
    r"|nouveau ne|lactante|bambin|crianca)|\b(?:ped|peds|paed|kind|nino|nina|ninos)\b"
    r"|\bp(?:a?e)diatri|\bpadiatri|小児|儿童|兒童|新生|소아"
)
# "Patient's Age" in words, and descriptions that name the patient's group.
_WORDS = (
    *("PatientAge", "BodyPartExamined", "SeriesDescription", "ProtocolName"),
    *("StudyDescription", "RequestedProcedureDescription", "PerformedProcedureStepDescription"),
)


@dataclass(frozen=True, slots=True)
class Age:
    """What the header says about the patient's age.

    ``years`` is the youngest age it allows, None if it allows none; ``stated`` is True if the
    header states an age or a birth date, readable or not.
    """

    years: float | None
    stated: bool


def age(ds: Dataset, today: date | None = None) -> Age:
    """Read the patient's age at the exposure.

    Patient's Age comes first, unless it is zero or implausible and the birth date says more. A
    birth date without any other date is compared with ``today``: the patient cannot have been
    older. Without either, a description such as "pediatric chest" means an age of zero.
    """
    given, birth = _tidy(ds, "PatientAge"), _tidy(ds, "PatientBirthDate")
    years = _years(given)
    if years:
        return Age(years, stated=True)
    born = span(birth)
    since = None if born is None else _since(born, ds, today)
    if since is not None:
        return Age(since, stated=True)
    if years is not None or _CHILD.search(_words(ds)):
        return Age(0.0, stated=True)
    too_old = any(int(number) > OLDEST for number in re.findall("[0-9]+", given))
    dummy = re.fullmatch("[0-9]{8}", birth) and born is None  # such as 00010101
    return Age(None, stated=(_says(birth) and not dummy) or (_says(given) and not too_old))


def span(value: str) -> Span | None:
    """Every day that a date may mean: DA, ACR-NEMA's YYYY.MM.DD, DT, partial and local forms."""
    groups = re.findall("[0-9]+", value)
    if not groups:
        return None
    first = groups[0]
    if len(first) == 8 and int(first[:4]) not in _YEARS:
        return _local([first[:2], first[2:4], first[4:]])
    if len(first) >= 6 and int(first[:4]) in _YEARS:
        return _days(int(first[:4]), int(first[4:6]), int(first[6:8] or 0))
    if len(first) == 4:
        month, day, *_ = (*(int(group[:2]) for group in groups[1:3]), 0, 0)
        return _days(int(first), month, day)
    return _local(groups)


def _local(groups: list[str]) -> Span | None:
    """A date with its year at the end; which number is the month may be open."""
    year = next((int(group) for group in groups if len(group) == 4), 0)
    if len(groups) != 3 or len(groups[2]) != 4:
        return _days(year, 0, 0)
    one, two = int(groups[0]), int(groups[1])
    spans = [_days(year, month, day) for month, day in ((two, one), (one, two)) if month <= 12]
    found = [each for each in spans if each]
    return (min(a for a, _ in found), max(b for _, b in found)) if found else _days(year, 0, 0)


def _days(year: int, month: int, day: int) -> Span | None:
    """Every day of a year, a month or a day; a month or day that does not exist is not known."""
    if year not in _YEARS:
        return None
    if not 1 <= month <= 12:
        return date(year, 1, 1), date(year, 12, 31)
    after = date(year + month // 12, month % 12 + 1, 1)
    last = (after - timedelta(days=1)).day
    if not 1 <= day <= last:
        return date(year, month, 1), date(year, month, last)
    return date(year, month, day), date(year, month, day)


def _since(born: Span, ds: Dataset, today: date | None) -> float | None:
    """Youngest age at the first date of the header at which the patient had a plausible age."""
    for at in _exposures(ds):
        youngest, oldest = _between(born[1], at[0]), _between(born[0], at[1])
        if oldest >= 0 and youngest <= OLDEST:
            return max(youngest, 0.0)
    if today is None or any(True for _ in _exposures(ds)):
        return None
    return max(_between(born[1], today), 0.0) if _between(born[0], today) <= OLDEST else None


def _between(born: date, at: date) -> float:
    """Years between two days; a whole number on every birthday."""
    before = (at.month, at.day) < (born.month, born.day)
    years = at.year - born.year - before
    birthday, _ = _days(born.year + years, born.month, born.day) or (born, born)
    return years + (at - birthday).days / 366


def _exposures(ds: Dataset) -> Iterator[Span]:
    for keyword in _DATES:
        if found := span(_tidy(ds, keyword)):
            yield found


def _years(given: str) -> float | None:
    """Patient's Age in years; None if it is absent, unreadable or implausible.

    A number without a unit is meant in years; several parts ("2Y6M") are added up.
    """
    if turned := _UNIT_AND_NUMBER.fullmatch(given):  # "Y056"
        given = f"{turned[2]}{turned[1]}"
    total, found = 0.0, False
    for number, unit in _NUMBER_AND_UNIT.findall(given):
        a_year = next((many for start, many in _UNITS if unit.startswith(start)), None)
        if unit and a_year is None:
            return None
        if found and not unit:  # a range such as "40-45": the first counts
            continue
        total, found = total + float(number.replace(",", ".")) / (a_year or 1.0), True
    return total if found and total <= OLDEST else None


def _says(value: str) -> bool:
    """Whether a value may mean an age or a date: it has a digit, and not zeros only."""
    return any(sign.isdigit() and sign != "0" for sign in value)


def _words(ds: Dataset) -> str:
    split = unicodedata.normalize("NFKD", " | ".join(text(ds, each) for each in _WORDS).casefold())
    plain = "".join(sign for sign in split if not unicodedata.combining(sign))
    return re.sub(r"[_\-]+", " ", unicodedata.normalize("NFKC", plain))


def _tidy(ds: Dataset, keyword: str) -> str:
    """The first value of an element, in plain digits and capitals."""
    value = text(ds, keyword).split("\\")[0]
    return unicodedata.normalize("NFKC", value).replace("\0", " ").strip()
