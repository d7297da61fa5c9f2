"""The patient's age, from every form in which senders give it."""

from __future__ import annotations

from datetime import date

import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from dicom_node import gate
from dicom_node.config import GateConfig
from dicom_node.domain.values import RefusalCode
from dicom_node.gate.age import age, span

AT = "20261101"
TODAY = date(2026, 11, 26)


def header(**elements: str) -> Dataset:
    """Make a header of these values, legal or not."""
    ds = Dataset()
    for keyword, value in elements.items():
        vr = {"PatientAge": "AS", "AcquisitionDateTime": "DT"}.get(keyword, "DA")
        vr = "LO" if keyword.endswith("Description") else vr
        ds[keyword] = DataElement(keyword, vr, value, validation_mode=IGNORE)
    return ds


def refused(**elements: str) -> bool:
    refusal = gate.examine_header(header(**elements), GateConfig(), TODAY)
    assert refusal is None or refusal.code is RefusalCode.AGE
    return refusal is not None


@pytest.mark.parametrize(
    ("given", "years"),
    [
        ("056Y", 56), ("018M", 1.5), ("003W", 3 / 52.18), ("010D", 10 / 365.25), ("81", 81),
        ("8Y", 8), ("8 Y", 8), ("3 M", 0.25), ("08.5Y", 8.5), ("8,5 J", 8.5), ("012A", 12),
        ("3 MONTHS", 0.25), ("3 MOIS", 0.25), ("6 MONATE", 0.5), ("4 SEMANAS", 4 / 52.18),
        ("10 JOURS", 10 / 365.25), ("7 JAHRE", 7), ("7 ANS", 7), ("7 AÑOS", 7), ("7 ANNI", 7),
        ("7 LAT", 7), ("7歳", 7), ("7岁", 7), ("\uff16\uff39", 6), ("2Y6M", 2.5), ("Y056", 56),
        ("90+", 90), (">89Y", 89), ("40-45", 40), ("056y", 56), ("216M", 18), ("056Y\0", 56),
        ("000Y", 0), ("0", 0), ("131Y", None), ("999Y", None), ("414Y", None), ("OLD", None),
        ("", None), ("5Q", None),
    ],
)  # fmt: skip
def test_patients_age_is_read_in_every_unit_and_language(given: str, years: float | None) -> None:
    """PS3.5 has nnnD, nnnW, nnnM and nnnY; consoles write more than that."""
    found = age(header(PatientAge=given)).years
    assert found == (years if years is None else pytest.approx(years, abs=0.01))


@pytest.mark.parametrize(
    ("born", "low", "high"),
    [
        ("20200102", (2020, 1, 2), (2020, 1, 2)),
        ("2020.01.02", (2020, 1, 2), (2020, 1, 2)),  # ACR-NEMA 300
        ("2020-01-02", (2020, 1, 2), (2020, 1, 2)),
        ("2020/1/2", (2020, 1, 2), (2020, 1, 2)),
        ("20200102101500.5+0100", (2020, 1, 2), (2020, 1, 2)),
        ("202001", (2020, 1, 1), (2020, 1, 31)),
        ("20200200", (2020, 2, 1), (2020, 2, 29)),
        ("20200231", (2020, 2, 1), (2020, 2, 29)),
        ("2020", (2020, 1, 1), (2020, 12, 31)),
        ("20200000", (2020, 1, 1), (2020, 12, 31)),
        ("20201302", (2020, 1, 1), (2020, 12, 31)),
        ("02.01.2020", (2020, 1, 2), (2020, 2, 1)),
        ("31.12.2020", (2020, 12, 31), (2020, 12, 31)),
        ("02012020", (2020, 1, 2), (2020, 2, 1)),
        ("02-JAN-2020", (2020, 1, 1), (2020, 12, 31)),
    ],
)
def test_a_date_is_every_day_it_may_mean(
    born: str, low: tuple[int, int, int], high: tuple[int, int, int]
) -> None:
    """Legal, old, partial and local forms; the year alone is a date."""
    assert span(born) == (date(*low), date(*high))


@pytest.mark.parametrize("value", ["", "00000000", "00010101", "99991231", "XXXX", "1.2", "20"])
def test_a_value_without_a_year_is_no_date(value: str) -> None:
    """Placeholders of anonymisers are no dates."""
    assert span(value) is None


@pytest.mark.parametrize("age_given", ["", "999Y", "131Y", "000Y", "OLD", "ADULT?"])
@pytest.mark.parametrize(
    "born", ["20200102", "2020.01.02", "20200000", "2020", "202001", "2020-01-02", "02.01.2020"]
)
@pytest.mark.parametrize(
    "when",
    [
        {"StudyDate": AT},
        {"StudyDate": "2026.11.01"},
        {"StudyDate": "2026"},
        {"StudyDate": "", "AcquisitionDateTime": "20261101101500"},
        {"StudyDate": "19000101", "SeriesDate": AT},
        {"ContentDate": AT},
        {"InstanceCreationDate": AT},
        {},
    ],
    ids=str,
)
def test_a_child_by_date_of_birth_is_refused(
    age_given: str, born: str, when: dict[str, str]
) -> None:
    """The year alone proves a child; without another date, today is compared."""
    assert refused(PatientAge=age_given, PatientBirthDate=born, **when)


@pytest.mark.parametrize("age_given", ["", "999Y", "000Y", "000D", "OLD", "UNKNOWN"])
@pytest.mark.parametrize("born", ["19500101", "1950.01.01", "1950", "19500000", "01.01.1950"])
def test_an_adult_by_date_of_birth_is_read(age_given: str, born: str) -> None:
    """An implausible, zero or unreadable age gives way to the date of birth."""
    assert not refused(PatientAge=age_given, PatientBirthDate=born, StudyDate=AT)


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"PatientAge": "", "PatientBirthDate": ""},
        {"PatientAge": "UNKNOWN"},
        {"PatientBirthDate": "00000000"},
        {"PatientBirthDate": "00010101"},
        {"PatientBirthDate": "ANONYMIZED"},
        {"PatientAge": "414Y"},
    ],
    ids=str,
)
def test_an_age_that_is_not_stated_is_what_the_configuration_says(elements: dict[str, str]) -> None:
    """Blanks, placeholders and ages beyond any human say nothing; accepted by default."""
    assert not refused(**elements)
    strict = gate.examine_header(header(**elements), GateConfig(accept_unknown_age=False), TODAY)
    assert strict is not None


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientAge": "5Q"},
        {"PatientAge": "0X7"},
        {"PatientBirthDate": "2/1/20"},
        {"PatientBirthDate": "20300101", "StudyDate": AT},
    ],
    ids=str,
)
def test_an_age_that_is_stated_and_unreadable_is_refused(elements: dict[str, str]) -> None:
    """It may be a child's; `accept_unknown_age` is about ages that are not stated."""
    found = age(header(**elements), TODAY)
    assert found.years is None
    assert found.stated
    assert refused(**elements)


@pytest.mark.parametrize(
    ("description", "child"),
    [
        ("CHEST PEDIATRIC", True), ("Thorax PAED", True), ("Babygram", True), ("NEONATAL", True),
        ("Kinderthorax", True), ("Säugling Thorax", True), ("thorax enfant", True),
        ("胸部 小児", True), ("CHEST", False), ("Orthopedic implants", False), ("PEDAL", False),
    ],
)  # fmt: skip
def test_a_description_of_a_child_counts(description: str, child: bool) -> None:
    """Words for children in descriptions stand in for a missing age, never for a stated one."""
    assert refused(StudyDescription=description) is child
    assert not refused(StudyDescription=description, PatientAge="056Y")


def test_the_date_of_birth_alone_never_makes_an_adult_of_a_child() -> None:
    """A film cannot be later than today, so today's age is the oldest possible; else unknown."""
    assert refused(PatientBirthDate="20150101")
    assert not refused(PatientBirthDate="19700101")
    assert age(header(PatientBirthDate="20000101")).years is None


@pytest.mark.parametrize(
    ("born", "taken"), [("20081101", True), ("20081102", False), ("2008", False)]
)
def test_the_youngest_possible_age_counts(born: str, taken: bool) -> None:
    """The eighteenth birthday is old enough; a year alone may mean its last day."""
    assert refused(PatientBirthDate=born, StudyDate=AT) is not taken
