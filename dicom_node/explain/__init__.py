"""What the networks saw, as pictures and outlines a radiologist can check.

A `Reading` and its film become an `Explanation`: pictures for the Secondary Capture series and
polygons for the report. Nothing here touches DICOM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

import dicom_node
from dicom_node.domain import Image
from dicom_node.explain import canvas, palette
from dicom_node.explain.canvas import Bar, Line
from dicom_node.explain.regions import Polygon, Region, contours, hull, outline, regions
from models.reading import FloatMap, Reading, StageResult

__all__ = ["Explanation", "Overlay", "Polygon", "Region", "Style", "explain", "regions"]

_ACTIVATION = f"relative activation; drawn from {palette.ISO:g} (white contour)"
_PALETTE_NOTE = (
    f"inferno colours, opacity in proportion to the relative activation from 0 to 1, nothing below "
    f"{palette.ISO:g}, contour at {palette.ISO:g}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the pictures depend on beside the reading."""

    max_side: int  # pixels, longest side of a picture's film; never enlarged
    max_regions: int  # outlines per heatmap, for the report
    at: datetime  # when the film was read, as burned in


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """One picture. ``rgb`` is (height, width, 3) uint8, the film at its top left.

    ``factor`` is film pixels per picture pixel, 1 where nothing was scaled; None where the picture
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """A film at one size, with the lines that go on it."""

    film: PILImage.Image
    factor: float  # source pixels per pixel of ``film``
    reading: Reading
    lines: dict[str, list[Polygon]]

    def shrunk(self, max_side: int) -> _Scene:
        film = canvas.shrunk(self.film, max_side)
        return replace(self, film=film, factor=self.factor * max(self.film.size) / max(film.size))

    def plain(self) -> PILImage.Image:
        return self.film.convert("RGB")

    def lungs(self) -> PILImage.Image:
        return self._outlined(self.plain())

    def h2(self) -> PILImage.Image:
        return self._hot(self.reading.h2, "h2")

    def h3(self) -> PILImage.Image:
        return self._hot(_present(self.reading.h3), "h3")

    def guided(self) -> PILImage.Image:
        values = self.reading.frame.crop(_present(self.reading.guided)).astype(np.float32)
        grey = canvas.stretched(values, self.film.size).point(palette.guided())
        return self._outlined(grey.convert("RGB"))

    def _hot(self, heat: FloatMap, name: str) -> PILImage.Image:
        values = self.reading.frame.crop(heat).astype(np.float32)
        picture = self._outlined(canvas.heated(self.film, values))
        canvas.trace(picture, self.lines[name], self.factor, palette.CONTOUR)
        return picture

    def _outlined(self, picture: PILImage.Image) -> PILImage.Image:
        canvas.trace(picture, self.lines["lungs"], self.factor, palette.LUNGS)
        return picture


@dataclass(frozen=True, slots=True)
class _View:
    """How one map is drawn and named."""

    draw: Callable[[_Scene], PILImage.Image]
    label: str
    title: str
    note: str
    bar: Bar | None = None


def explain(image: Image, reading: Reading, style: Style) -> Explanation:
    """Draw every picture and outline the reading gives rise to.

    A film below stage 2's threshold gets the panels and H2; stage 3's maps appear where it ran.
    """
    scene = _scene(image, reading, style.max_side)
    views = _views(reading)
    shown = views if reading.pneumonia.positive or reading.covid19 else {"h2": views["h2"]}
    singles = [_single(kind, view, scene, style) for kind, view in shown.items()]
    covid19 = reading.covid19 is not None and reading.covid19.positive
    return Explanation(
        overlays=(_panels(scene, views, style), *singles),
        lungs=hull(reading.lungs.mask, reading.frame),
        pneumonia=_outlines(reading, reading.h2, style, reading.pneumonia.positive),
        covid19=_outlines(reading, reading.h3, style, covid19),
    )


def _outlines(
    reading: Reading, heat: FloatMap | None, style: Style, positive: bool
) -> tuple[Region, ...]:
    if heat is None or not positive:
        return ()
    return regions(heat, reading.frame, style.max_regions)


def _scene(image: Image, reading: Reading, max_side: int) -> _Scene:
    film = canvas.shrunk(canvas.levels(image.pixels), max_side)
    lines = {"lungs": outline(reading.lungs.aerated, reading.frame)}
    lines["h2"] = contours(reading.h2, reading.frame)
    if reading.h3 is not None:
        lines["h3"] = contours(reading.h3, reading.frame)
    factor = max(image.pixels.shape) / max(film.size)
    return _Scene(film=film, factor=factor, reading=reading, lines=lines)


def _views(reading: Reading) -> dict[str, _View]:
    """The maps this reading has, in the order they are shown."""
    heat = Bar(palette.inferno(), _ACTIVATION)
    finding = "" if reading.pneumonia.positive else ": below threshold"
    views = {
        "lungs": _View(_Scene.lungs, "Lungs", "Lungs (stage 1)", "outline of the aerated lungs"),
        "h2": _View(
            _Scene.h2,
            f"Pneumonia (H2){finding}",
            f"Pneumonia heatmap H2 (stage 2, {reading.model.h2_variant}){finding}",
            f"class activation map, {_PALETTE_NOTE}",
            heat,
        ),
    }
    if reading.h3 is not None:
        note = f"gradient-weighted class activation map, {_PALETTE_NOTE}"
        title = "COVID-19 heatmap H3 (stage 3, Grad-CAM)"
        views["h3"] = _View(_Scene.h3, "COVID-19 (H3)", title, note, heat)
    if reading.guided is not None:
        ramp = Bar([g for g in palette.guided() for _ in range(3)], "relative activation")
        note = "guided gradients times H3, square-root grey on black"
        title = "COVID-19 Guided Grad-CAM (stage 3)"
        views["guided"] = _View(_Scene.guided, "", title, note, ramp)
    return views


def _single(kind: str, view: _View, scene: _Scene, style: Style) -> Overlay:
    words = _words(view.title, scene.reading, style)
    return Overlay(
        kind=kind,
        rgb=canvas.array(canvas.with_strip(view.draw(scene), words, view.bar)),
        title=view.title,
        description=f"{view.title}: {view.note}; blue: lungs",
        factor=scene.factor,
    )


def _panels(scene: _Scene, views: dict[str, _View], style: Style) -> Overlay:
    """Film, lungs and heatmaps in one row no wider than ``style.max_side``."""
    drawn = [("Film", _Scene.plain)] + [(v.label, v.draw) for v in views.values() if v.label]
    small = scene.shrunk(_panel_side(scene.film.size, len(drawn), style.max_side))
    row = canvas.side_by_side([(draw(small), label) for label, draw in drawn])
    title = f"Overview: {', '.join(label for label, _ in drawn)}"
    words = _words("Overview", scene.reading, style)
    return Overlay(
        kind="panels",
        rgb=canvas.array(canvas.with_strip(row, words, views["h2"].bar)),
        title=title,
        description=f"{title}; heatmaps: {_PALETTE_NOTE}; blue: lungs",
        factor=None,
    )


def _panel_side(size: tuple[int, int], count: int, max_side: int) -> int:
    """Longest side of a panel, so that ``count`` in a row fit into ``max_side``."""
    room = max_side // count - canvas.GAP
    return max(1, int(max(size) * min(1.0, room / size[0])))


def _words(title: str, reading: Reading, style: Style) -> list[Line]:
    model = reading.model
    lines = [
        Line("NOT FOR DIAGNOSTIC USE", palette.WARNING, 1.9),
        Line(title, scale=1.2),
        Line(_verdict("Pneumonia", reading.pneumonia)),
        Line("COVID-19: stage 3 not run")
        if reading.covid19 is None
        else Line(_verdict("COVID-19", reading.covid19)),
        Line(
            f"dicom-node {dicom_node.__version__}, model {model.version} ({model.digest[:12]}), "
            f"read {style.at:%Y-%m-%d %H:%M %Z}. Research software. Blue: lungs.",
            palette.FAINT,
        ),
    ]
    return lines


def _verdict(name: str, stage: StageResult) -> str:
    side = "above" if stage.positive else "below"
    return (
        f"{name} probability {stage.probability:.1%}, {side} threshold ({stage.threshold:.1%})"
    ).replace("%", " %")


def _present(heat: FloatMap | None) -> FloatMap:
    if heat is None:
        raise ValueError("stage 3 did not run: it left no map")
    return heat
