"""What a web viewer may take for HTML: none of it in the texts that the node writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from support import readings
from support.film import code, film
from support.objects import composed, context

from dicom_node import compose
from dicom_node.compose import inherited
from dicom_node.compose.sanitize import clean, is_identifier
from dicom_node.domain.values import Refusal, RefusalCode

MARKUP = "<img src=x onerror=alert(1)>"
TEXTS = [
    keyword
    for keyword in (*inherited.PATIENT, *inherited.STUDY, *inherited.SITE, *inherited.EQUIPMENT)
    if dictionary_VR(keyword) in ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
    and not is_identifier(keyword)
]


def texts(ds: Dataset) -> Iterator[tuple[str, str]]:
    """Every text of an object, also within its sequences, with its keyword."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from texts(item)
        elif element.VR in ("LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR"):
            yield element.keyword, str(element.value)


def marked() -> Dataset:
    """A film with markup in all its words, short enough for each VR."""
    words: dict[str, Any] = {
        keyword: MARKUP[:16] for keyword in (*TEXTS, "SeriesDescription", "ProtocolName")
    }
    ds = film(kind="dx", **words)
    ds.AnatomicRegionSequence = [code("51185008", "SCT", MARKUP)]
    ds.ProcedureCodeSequence = [code("1", "99X", MARKUP)]
    return ds


@pytest.mark.parametrize("refused", [False, True])
def test_no_object_of_a_film_with_markup_has_any(refused: bool) -> None:
    """Reports, pictures and what is copied into them: patient, study and equipment in words."""
    source = marked()
    if refused:
        why = Refusal(code=RefusalCode.VIEW, reason="the view position is LL")
        objects = compose.compose_refusal(source, why, readings.MODEL, context())
    else:
        objects = composed(source)
    assert objects
    found = {keyword for ds in objects for keyword, text in texts(ds) if set("<>") & set(text)}
    assert found == set()


def test_an_identifier_is_copied_as_it_is() -> None:
    """Another Patient ID would be another patient."""
    source = film(PatientID="<b>7</b>", StudyDescription="a < b > c")
    copied = clean(source, ["PatientID", "StudyDescription"])
    assert copied.PatientID == "<b>7</b>"
    assert copied.StudyDescription == "a \u2039 b \u203a c"
