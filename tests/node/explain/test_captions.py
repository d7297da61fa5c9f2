"""The phrases burned into pictures, in four languages."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from string import Formatter
from typing import get_args

import numpy as np
import pytest
from PIL import ImageFont
from support import readings
from support.phantom import phantom

from dicom_node.config import ResultsConfig
from dicom_node.domain.values import Image
from dicom_node.explain import Style, canvas, explain, palette
from dicom_node.explain.canvas import Bar, Line
from dicom_node.explain.captions import WORDS, Language, Words
from models.reading import HeatCheck, Reading

LANGUAGES = tuple(WORDS)
FRAME = readings.frame()
FILM = Image(pixels=phantom(FRAME.rows, FRAME.columns), spacing_mm=None)


def phrases(words: Words) -> dict[str, str]:
    return {field.name: getattr(words, field.name) for field in fields(words)}


def places(phrase: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}


def drawn(text: str, face: ImageFont.FreeTypeFont) -> bytes:
    return bytes(face.getmask(text))


def test_every_language_of_the_configuration_has_its_words() -> None:
    """And no other has."""
    assert set(get_args(ResultsConfig.model_fields["language"].annotation)) == set(WORDS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_font_has_every_glyph(language: Language) -> None:
    """A box in place of a character would make a warning unreadable: see fonts/README.md."""
    face = canvas.font(24)
    missing = drawn("\U0010fffd", face)
    text = "".join(phrases(WORDS[language]).values()) + "0123456789abcdefABCDEF:+-. %"
    assert [c for c in set(text) if drawn(c, face) == missing] == []


def test_a_missing_glyph_would_be_noticed() -> None:
    """The test above sees a box where the font has none: this ideograph is in no phrase."""
    face = canvas.font(24)
    assert drawn("龜", face) == drawn("\U0010fffd", face)


@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_are_filled_in_as_the_english_ones_are(language: Language) -> None:
    """A translation that drops the threshold would say less."""
    english, other = phrases(WORDS["en"]), phrases(WORDS[language])
    assert {name: places(other[name]) for name in other} == {
        name: places(english[name]) for name in english
    }
    assert all(other.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_english_warning_stands_by_every_other(language: Language) -> None:
    """A picture travels further than its language."""
    banner = WORDS[language].banner()
    assert banner[-1] == "NOT FOR DIAGNOSTIC USE"
    assert len(banner) == (1 if language == "en" else 2)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "Pneumonia probability 87.3 %, above threshold (50.0 %)"),
        ("zh-TW", "肺炎機率 87.3 %，高於閾值（50.0 %）"),  # noqa: RUF001 - as Chinese is written
        ("de", "Pneumonie: Wahrscheinlichkeit 87,3 %, über der Schwelle (50,0 %)"),
        ("es", "Probabilidad de neumonía 87,3 %, por encima del umbral (50,0 %)"),
    ],
)
def test_a_probability_is_said_as_people_there_write_it(language: Language, sentence: str) -> None:
    """Decimal mark and all."""
    assert WORDS[language].verdicts(readings.positive())[0] == sentence


def test_stage_3_that_did_not_run_is_said_so() -> None:
    """Never "negative"."""
    assert WORDS["de"].verdicts(readings.negative())[1] == "COVID-19: Stufe 3 nicht ausgeführt"


@pytest.mark.parametrize("language", LANGUAGES)
def test_pictures_speak_the_chosen_language(language: Language) -> None:
    """Titles are in it; how a picture was made stays English, for engineers."""
    style = Style(
        max_side=2048, max_regions=0, at=datetime(2026, 1, 2, tzinfo=UTC), language=language
    )
    panels, h2 = explain(FILM, readings.negative(FRAME), style).overlays
    words = WORDS[language]
    assert words.below_threshold in h2.title
    assert panels.title.startswith(words.overview)
    assert h2.description.startswith("stage 2: pneumonia")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("shape", [(260, 200), (900, 700)])
def test_words_stay_inside_the_picture(language: Language, shape: tuple[int, int]) -> None:
    """Lines are broken, in Chinese between characters: nothing touches the right edge."""
    frame = readings.frame(*shape)
    reading: Reading = replace(
        readings.positive(frame),
        heat_check=HeatCheck(inside_lungs=0.2, drop=0.0, random_drop=0.0, reliable=False),
    )
    film = Image(pixels=np.zeros(shape, np.float32), spacing_mm=None)
    style = Style(
        max_side=2048, max_regions=0, at=datetime(2026, 1, 2, tzinfo=UTC), language=language
    )
    for overlay in explain(film, reading, style).overlays:
        assert not overlay.rgb[shape[0] :, -5:].any(), overlay.kind


def strip(side: int, bar: Bar | None = None) -> np.ndarray:
    film = np.zeros((side, side, 3), np.uint8)
    return canvas.page(film, [Line("NOT FOR DIAGNOSTIC USE", palette.WARNING)], bar)[side:]


def test_words_grow_with_the_picture() -> None:
    """Fitted to a screen, a 4000 pixel picture's words are as large as a 1000 pixel one's."""
    bar = Bar(palette.bar(), ((0.0, "0"), (1.0, "1")), "relative activation")
    assert len(strip(4000, bar)) == pytest.approx(4 * len(strip(1000, bar)), rel=0.05)


def test_words_are_drawn_at_the_pictures_own_size_not_enlarged() -> None:
    """Four times as large, a letter has sixteen times the ink and four times the soft edge."""
    (ink, edge), (large_ink, large_edge) = (
        (int((red := strip(side)[..., 0]).sum()), int(((red > 0) & (red < 255)).sum()))
        for side in (1000, 4000)
    )
    assert large_ink == pytest.approx(16 * ink, rel=0.15)
    assert large_edge < 6 * edge
