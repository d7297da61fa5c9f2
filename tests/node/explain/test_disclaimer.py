"""Where the pictures say that they are not for diagnosis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from support import readings

from dicom_node.demo.phantom import phantom
from dicom_node.domain.values import Image, Refusal, RefusalCode
from dicom_node.explain import Overlay, Style, explain, palette, refusal_picture
from dicom_node.explain.phrases import Language

FRAME = readings.frame()
HEIGHT = 700
AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
STYLE = Style(width=1000, max_regions=2, at=AT, lungs=True, guided=True)


def _band(picture: Overlay) -> NDArray[np.intp]:
    """Rows of a picture on which the disclaimer's band lies."""
    return np.flatnonzero((picture.rgb == palette.BANNER).all(axis=-1).any(axis=1))


def test_every_picture_of_a_reading_begins_with_it() -> None:
    """At the upper edge of the strip."""
    film = Image(pixels=phantom(FRAME.rows, FRAME.columns).astype(np.float32), spacing_mm=None)
    explained = explain(film, readings.positive(FRAME), STYLE)
    assert len(explained.details) == 4
    for picture in (explained.summary, *explained.details):
        assert picture is not None
        assert _band(picture)[0] == 0


@pytest.mark.parametrize("language", get_args(Language))
def test_that_of_a_refusal_is_clear_of_a_viewers_film_player(language: Language) -> None:
    """OHIF opens it over the middle of the upper edge, to which only this strip reaches."""
    refused = Refusal(code=RefusalCode.AGE, reason="the patient is 5 years old")
    style = Style(width=1000, max_regions=2, at=AT, language=language)
    band = _band(refusal_picture(None, refused, style))
    assert band[0] > 0.25 * HEIGHT
    assert band[-1] < 0.9 * HEIGHT
