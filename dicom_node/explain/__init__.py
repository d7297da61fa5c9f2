"""Turn a reading into pictures and outlines that a radiologist can check.

A `Reading` and its film become an `Explanation`: pictures for the Secondary Capture series and
polygons for the report. Nothing here depends on DICOM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

import dicom_node
from dicom_node.domain.values import Image
from dicom_node.explain import canvas, palette
from dicom_node.explain.canvas import Bar, Line
from dicom_node.explain.captions import WORDS, Language, Words
from dicom_node.explain.paint import RGB
from dicom_node.explain.regions import Polygon, Region, hull, regions
from dicom_node.explain.scene import Scene, unreliable
from models.reading import FloatMap, Reading

__all__ = ["Explanation", "Overlay", "Polygon", "Region", "Style", "explain", "outlined", "regions"]

_PALETTE_NOTE = (
    f"inferno colours, opacity in proportion to the relative activation from 0 to 1, nothing below "
    f"{palette.ISO:g}, contour at {palette.ISO:g}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the pictures depend on besides the reading."""

    max_side: int  # pixels, longest side of a picture's film; never enlarged
    max_regions: int  # outlines per heatmap, for the report
    at: datetime  # when the film was read, as burned in
    language: Language = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """One picture. ``rgb`` is (height, width, 3) uint8, the film at its top left.

    ``title`` is in the language of the style, ``description`` of how it was made in English.
    ``factor`` is film pixels per picture pixel, 1 if nothing was scaled; None if the picture
    holds more than one film.
    """

    kind: str  # "panels", "lungs", "h2", "h3" or "guided"
    rgb: NDArray[np.uint8]
    title: str
    description: str
    factor: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Pictures in the order they are shown, and outlines in film pixels.

    ``lungs`` goes round the lung field. The regions are those of a positive stage, else empty.
    """

    overlays: tuple[Overlay, ...]
    lungs: Polygon
    pneumonia: tuple[Region, ...]
    covid19: tuple[Region, ...]


@dataclass(frozen=True, slots=True)
class _View:
    """How one map is drawn and named."""

    draw: Callable[[Scene, RGB], None]
    label: str  # of its panel; without one it has none
    title: str
    note: str
    bar: Bar | None = None


def explain(image: Image, reading: Reading, style: Style) -> Explanation:
    """Draw the pictures and outlines of a reading.

    A film below stage 2's threshold gets the panels and H2; stage 3's maps appear where it ran.
    """
    scene = Scene.of(image, reading, style.max_side)
    words = WORDS[style.language]
    views = _views(reading, words)
    shown = views if reading.pneumonia.positive or reading.covid19 else {"h2": views["h2"]}
    singles = [_single(kind, view, scene, style) for kind, view in shown.items()]
    return outlined(reading, (_panels(scene, views, style), *singles), style.max_regions)


def outlined(reading: Reading, overlays: tuple[Overlay, ...], max_regions: int) -> Explanation:
    """Outline lungs and regions in the pixels of the reading's frame, beside these pictures."""
    covid19 = reading.covid19 is not None and reading.covid19.positive
    return Explanation(
        overlays=overlays,
        lungs=hull(reading.lungs.mask, reading.frame),
        pneumonia=_outlines(reading, reading.h2, max_regions, reading.pneumonia.positive),
        covid19=_outlines(reading, reading.h3, max_regions, covid19),
    )


def _outlines(
    reading: Reading, heat: FloatMap | None, max_regions: int, positive: bool
) -> tuple[Region, ...]:
    if heat is None or not positive:
        return ()
    return regions(heat, reading.lungs.aerated, reading.frame, max_regions)


def _views(reading: Reading, words: Words) -> dict[str, _View]:
    """The maps this reading has, in the order they are shown."""
    finding = "" if reading.pneumonia.positive else words.below_threshold
    variant = reading.model.h2_variant
    heat = _heat_bar(words)
    hatching = "; hatched, for the explanation is unreliable" if unreliable(reading) else ""
    views = {
        "lungs": _View(Scene.lungs, words.lungs, words.lungs_title, "stage 1: aerated lungs"),
        "h2": _View(
            Scene.h2,
            f"{words.h2_label}{finding}",
            f"{words.h2_title.format(variant=variant)}{finding}",
            f"stage 2: pneumonia, class activation map H2 ({variant}), {_PALETTE_NOTE}{hatching}",
            heat,
        ),
    }
    if reading.h3 is not None:
        note = f"stage 3: COVID-19, gradient-weighted class activation map H3, {_PALETTE_NOTE}"
        views["h3"] = _View(Scene.h3, words.h3_label, words.h3_title, note, heat)
    if reading.guided is not None:
        note = "stage 3: COVID-19, guided gradients times H3, square-root grey on black"
        views["guided"] = _View(Scene.guided, "", words.guided_title, note, _grey_bar(words))
    return views


def _heat_bar(words: Words) -> Bar:
    iso = words.number(palette.ISO, 2)
    ticks = ((0.0, "0"), (palette.ISO, iso), (1.0, "1"))
    return Bar(palette.bar(), ticks, words.heat_scale.format(iso=iso))


def _grey_bar(words: Words) -> Bar:
    colours = [grey for grey in palette.guided() for _ in range(3)]
    return Bar(colours, ((0.0, "0"), (1.0, "1")), words.grey_scale)


def _single(kind: str, view: _View, scene: Scene, style: Style) -> Overlay:
    warned = kind == "h2" and unreliable(scene.reading)
    lines = _lines(view.title, scene.reading, style, warned=warned)
    page = canvas.page(scene.background, lines, view.bar)
    rows, columns = scene.film.shape
    view.draw(scene, page[:rows, :columns])
    return Overlay(
        kind=kind,
        rgb=page,
        title=view.title,
        description=f"{view.note}; blue: lungs",
        factor=scene.factor,
    )


def _panels(scene: Scene, views: dict[str, _View], style: Style) -> Overlay:
    """Film, lungs and heatmaps in one row no wider than ``style.max_side``."""
    words, reading = WORDS[style.language], scene.reading
    shown = [(Scene.plain, words.film)] + [(v.draw, v.label) for v in views.values() if v.label]
    small = scene.shrunk(_panel_side(scene.film.shape, len(shown), style.max_side))
    panels = []
    for draw, label in shown:
        panel = small.background.copy()
        draw(small, panel)
        panels.append((panel, label))
    lines = _lines(words.overview, reading, style, warned=unreliable(reading))
    page = canvas.page(canvas.side_by_side(panels), lines, views["h2"].bar)
    return Overlay(
        kind="panels",
        rgb=page,
        title=f"{words.overview}: {', '.join(label for _, label in shown)}",
        description=f"side by side: {'; '.join(v.note for v in views.values() if v.label)}; "
        "blue: lungs",
        factor=None,
    )


def _panel_side(shape: tuple[int, ...], count: int, max_side: int) -> int:
    """Longest side of a panel, so that ``count`` in a row fit into ``max_side``."""
    room = max_side // count - canvas.GAP
    return max(1, int(max(shape) * min(1.0, room / shape[1])))


def _lines(title: str, reading: Reading, style: Style, *, warned: bool) -> list[Line]:
    words, model = WORDS[style.language], reading.model
    made_by = words.made_by.format(
        node=dicom_node.__version__,
        model=model.version,
        digest=model.digest[:12],
        at=f"{style.at:%Y-%m-%d %H:%M %Z}",
    )
    return [
        *(Line(warning, palette.WARNING, 1.9) for warning in words.banner()),
        Line(title, scale=1.2),
        *([Line(words.unreliable, palette.WARNING)] if warned else []),
        *(Line(verdict) for verdict in words.verdicts(reading)),
        Line(made_by, palette.FAINT),
    ]
