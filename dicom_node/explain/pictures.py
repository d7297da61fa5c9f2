"""The pictures of a film: the summary, its details, and the picture of a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import dicom_node
from dicom_node.domain.values import Image, Refusal
from dicom_node.explain import palette, refusals
from dicom_node.explain.canvas import Box, Page
from dicom_node.explain.message import Facts, Message, evidence
from dicom_node.explain.paint import RGB
from dicom_node.explain.phrases import WORDS, Language, Words
from dicom_node.explain.regions import Region
from dicom_node.explain.scene import Scene, blank, unreliable
from dicom_node.explain.strip import SCALES, Strip
from models.reading import FloatMap, StageResult

#: Regions that are outlined and numbered.
SHOWN = 2
_TICKS = ((0.0, "0"), (0.5, "50"), (1.0, "100"))  # of a colour bar
_BLUE = "; blue: the aerated lungs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the pictures depend on besides the film and the reading."""

    width: int  # of a page, pixels
    max_regions: int  # outlines per heatmap, for the report
    at: datetime  # when the film was read, local time with its offset
    model: str = ""  # version of the networks
    language: Language = "en"
    facts: Facts = field(default_factory=Facts)
    summary: bool = True
    heatmaps: Literal["none", "positive", "all"] = "positive"
    lungs: bool = False
    guided: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """One picture. ``rgb`` is (height, width, 3) uint8.

    ``title`` is in the language of the style, ``description`` of how it was made in English.
    ``factor`` is film pixels per picture pixel; None if there is no film in the picture.
    """

    kind: str  # "summary", "h2", "h3", "lungs", "guided" or "refusal"
    rgb: NDArray[np.uint8]
    title: str
    description: str
    factor: float | None


def summary(scene: Scene, message: Message, regions: Sequence[Region], style: Style) -> Overlay:
    """Draw the picture that carries the whole message."""
    words, shown = WORDS[style.language], regions[:SHOWN]
    rgb = scene.blank()
    scene.regions(rgb, shown, numbered=True)

    def write(strip: Strip) -> None:
        strip.banner(words.banner())
        for answer in message.answers:
            strip.answer(answer, words)
        for line in message.earlier:
            strip.line(line, 17)
        strip.space(6)
        strip.rule()
        _write_places(strip, message, len(shown), words)
        strip.space(8)
        for warning in message.warnings:
            strip.box(warning)

    _write(rgb, style, scene.page.strip, write, message.small_print)
    answer = message.pneumonia
    return Overlay(
        kind="summary",
        rgb=rgb,
        title=f"{answer.name}: {answer.said}, {answer.score}",
        description="the film with its window; outlines: the strongest half of the class "
        "activation map H2 inside the lungs, drawn at or above the cut-off only; at the right "
        "scores from 0 to 100 and what limits them",
        factor=scene.factor,
    )


@dataclass(frozen=True, slots=True)
class Details:
    """Draws the pictures of the second series.

    ``regions`` are those of H2 and of H3.
    """

    scene: Scene
    message: Message
    regions: tuple[Sequence[Region], Sequence[Region]]
    style: Style

    def pictures(self) -> Iterator[Overlay]:
        """Draw heat over the film for each stage that has some, and what is switched on."""
        reading, style = self.scene.reading, self.style
        if _wanted(reading.pneumonia, style):
            yield self._h2()
        if reading.covid19 and reading.h3 is not None and _wanted(reading.covid19, style):
            yield self._h3(reading.h3, reading.covid19)
        if style.guided and reading.guided is not None:
            yield self._guided(reading.guided)
        if style.lungs:
            yield self._lungs()

    @property
    def _words(self) -> Words:
        return WORDS[self.style.language]

    def _h2(self) -> Overlay:
        words, reading, regions = self._words, self.scene.reading, self.regions[0][:SHOWN]
        rgb = self.scene.blank()
        self.scene.heat(rgb, reading.h2, reading.pneumonia, hatched=unreliable(reading))
        self.scene.lungs(rgb)
        self.scene.regions(rgb, regions, numbered=True)

        def write(strip: Strip) -> None:
            strip.answer(self.message.pneumonia, words)
            _write_places(strip, self.message, len(regions), words)
            strip.space(8)
            strip.bar(palette.inferno(), _TICKS, words.heat_scale)
            strip.space(12)
            for warning in self.message.warnings:
                strip.box(warning)

        note = f"stage 2: pneumonia, class activation map H2 ({reading.model.h2_variant})"
        note = _heat_note(note, reading.pneumonia)
        return self._overlay("h2", rgb, words.seen_pneumonia, note, write)

    def _h3(self, heat: FloatMap, stage: StageResult) -> Overlay:
        words = self._words
        rgb = self.scene.blank()
        self.scene.heat(rgb, heat, stage, hatched=False)
        self.scene.lungs(rgb)
        self.scene.regions(rgb, self.regions[1][:SHOWN], numbered=False)

        def write(strip: Strip) -> None:
            strip.answer(self.message.covid19, words)
            strip.bar(palette.inferno(), _TICKS, words.heat_scale)

        note = "stage 3: COVID-19, gradient-weighted class activation map H3"
        return self._overlay("h3", rgb, words.seen_covid19, _heat_note(note, stage), write)

    def _guided(self, guided: FloatMap) -> Overlay:
        words = self._words
        rgb = self.scene.blank()
        self.scene.guided(rgb, guided)
        self.scene.lungs(rgb)
        greys = [grey for grey in palette.guided() for _ in range(3)]

        def write(strip: Strip) -> None:
            strip.bar(greys, _TICKS, words.grey_scale)

        note = f"stage 3: COVID-19, guided gradients times H3, square-root grey on black{_BLUE}"
        return self._overlay("guided", rgb, words.guided, note, write)

    def _lungs(self) -> Overlay:
        rgb = self.scene.blank()
        self.scene.lungs(rgb)
        note = f"stage 1: aerated lungs{_BLUE}"
        return self._overlay("lungs", rgb, self._words.lungs, note, lambda _: None)

    def _overlay(
        self, kind: str, rgb: RGB, title: str, note: str, write: Callable[[Strip], None]
    ) -> Overlay:
        def titled(strip: Strip) -> None:
            strip.banner(self._words.banner())
            strip.line(title, 24, bold=True)
            strip.space(10)
            write(strip)

        _write(rgb, self.style, self.scene.page.strip, titled, ())
        return Overlay(kind=kind, rgb=rgb, title=title, description=note, factor=self.scene.factor)


def refusal(image: Image | None, refused: Refusal, style: Style) -> Overlay:
    """Draw the picture that says why there is no result: the film small, the reason large.

    The disclaimer stands below the reason, because the wide strip's upper edge reaches the middle
    of the picture's, where OHIF puts its film player.
    """
    words, page = WORDS[style.language], Page(style.width)
    box = page.small_film if image is None else page.small_film.fitted(image.pixels.shape)
    rgb = blank(image, page, box)
    why = refusals.reason(refused.code, style.language)

    def write(strip: Strip) -> None:
        strip.space(40)
        strip.sign(None, 90)
        strip.space(14)
        strip.line(words.not_read, 62, palette.WARNING, bold=True)
        strip.space(16)
        strip.line(why, 44, bold=True)
        strip.space(12)
        strip.line(words.no_score, 26)
        strip.space(24)
        strip.banner(words.banner())
        strip.space(16)
        strip.line(refused.reason, 18, palette.FAINT)

    _write(rgb, style, page.wide_strip, write, ())
    return Overlay(
        kind="refusal",
        rgb=rgb,
        title=f"{words.not_read}: {why}",
        description="the film with its window, small; at the right why it was not read",
        factor=None if image is None else image.pixels.shape[1] / box.width,
    )


def _wanted(stage: StageResult, style: Style) -> bool:
    return style.heatmaps == "all" or (style.heatmaps == "positive" and stage.positive)


def _heat_note(note: str, stage: StageResult) -> str:
    return (
        f"{note}, inside the aerated lungs; inferno colours and opacity in proportion to "
        f"activation times {evidence(stage):g} (the score), nothing below an activation of "
        f"{palette.ISO:g}; outlines at {palette.ISO:g}; hatched where the place is not "
        f"confirmed{_BLUE}"
    )


def _write_places(strip: Strip, message: Message, shown: int, words: Words) -> None:
    strip.line(words.where, 17, palette.FAINT)
    if not message.pneumonia.positive:
        strip.line(words.no_outlines, 18)
    elif not message.places:
        strip.line(words.no_place, 18)
    for number, place in enumerate(message.places[:shown], 1):
        strip.place(number, place)


def _write(
    rgb: RGB, style: Style, box: Box, write: Callable[[Strip], None], small_print: Sequence[str]
) -> None:
    """Fill the strip with as large a text as fits."""
    words = WORDS[style.language]
    made_by = words.made_by.format(node=dicom_node.__version__, model=style.model)
    read_at = words.read_at.format(at=style.at.isoformat(" ", "minutes"))

    def written(scale: float, *, dry: bool) -> Strip:
        strip = Strip((box.width, box.height), style.width / 1000, scale, dry=dry)
        write(strip)
        strip.small_print([*small_print, read_at, made_by])
        return strip

    fitting = (scale for scale in SCALES if written(scale, dry=True).fits)
    strip = written(next(fitting, SCALES[-1]), dry=False)
    rgb[box.top : box.top + box.height, box.left : box.left + box.width] = np.asarray(strip.image)
