"""The phrases of pictures and reports, in four languages."""

from __future__ import annotations

from dataclasses import fields
from string import Formatter
from typing import get_args

import pytest
from PIL import ImageFont

from dicom_node.config import ResultsConfig
from dicom_node.domain.values import RefusalCode
from dicom_node.explain import canvas, refusals
from dicom_node.explain.phrases import WORDS, Language, Words

LANGUAGES = tuple(WORDS)


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
@pytest.mark.parametrize("bold", [False, True])
def test_the_font_has_every_glyph(language: Language, bold: bool) -> None:
    """A box in place of a character would make a warning unreadable: see fonts/README.md."""
    face = canvas.font(24, bold=bold)
    missing = drawn("\U0010fffd", face)
    reasons = "".join(refusals.reason(code, language) for code in refusals.SHORT)
    text = "".join(phrases(WORDS[language]).values()) + reasons + "0123456789abcdef:+-. %"
    assert [c for c in set(text) if drawn(c, face) == missing] == []


def test_a_missing_glyph_would_be_noticed() -> None:
    """The test above sees a box where the font has none: this ideograph is in no phrase."""
    face = canvas.font(24)
    assert drawn("龜", face) == drawn("\U0010fffd", face)


@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_are_filled_in_as_the_english_ones_are(language: Language) -> None:
    """A translation that drops a number would say less."""
    english, other = phrases(WORDS["en"]), phrases(WORDS[language])
    assert {name: places(other[name]) for name in other} == {
        name: places(english[name]) for name in english
    }
    assert all(other.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_english_warning_is_beside_every_other(language: Language) -> None:
    """A picture travels further than its language."""
    banner = WORDS[language].banner()
    assert banner[-1] == "NOT FOR DIAGNOSTIC USE"
    assert len(banner) == (1 if language == "en" else 2)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", refusals.SHORT)
def test_every_reason_to_refuse_a_radiograph_has_its_words(
    code: RefusalCode, language: Language
) -> None:
    """In each language, and a short one for the name of the series."""
    assert refusals.reason(code, language)
    assert len(f"AI: not read: {refusals.SHORT[code]}") <= 24
