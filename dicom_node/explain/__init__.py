"""Turn a reading into pictures and outlines that a radiologist can check.

A `Reading` and its film become an `Explanation`: what is said, pictures for the Secondary Capture
series, and polygons for the report. Nothing here depends on DICOM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from dicom_node.domain.values import Image
from dicom_node.explain import pictures
from dicom_node.explain.canvas import Page
from dicom_node.explain.message import Message, message
from dicom_node.explain.pictures import Overlay, Style
from dicom_node.explain.pictures import refusal as refusal_picture
from dicom_node.explain.regions import Polygon, Region, hull, regions
from dicom_node.explain.scene import Scene
from models.reading import FloatMap, Reading

__all__ = [
    "Explanation", "Message", "Overlay", "Polygon", "Region", "Style", "explain", "in_film_pixels",
    "refusal_picture", "regions",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What is said of a film, the pictures in the order they are shown, and outlines.

    ``lungs`` goes round the lung field. The regions are for the report: those of a positive stage,
    numbered as in the pictures. ``draw`` makes the summary and the details.
    """

    message: Message
    lungs: Polygon
    pneumonia: tuple[Region, ...]
    covid19: tuple[Region, ...]
    draw: Callable[[], tuple[Overlay | None, tuple[Overlay, ...]]]

    @property
    def summary(self) -> Overlay | None:
        """The picture that carries the message; None if it is switched off."""
        return self._drawn[0]

    @property
    def details(self) -> tuple[Overlay, ...]:
        """The pictures of the second series."""
        return self._drawn[1]

    @cached_property
    def _drawn(self) -> tuple[Overlay | None, tuple[Overlay, ...]]:
        return self.draw()


def explain(image: Image, reading: Reading, style: Style) -> Explanation:
    """Put a reading into words, pictures and outlines.

    The pictures are drawn when they are asked for: a thread needs some time to scale the film.
    """
    scene = Scene(image, reading, Page(style.width))
    pneumonia, covid19 = _regions(reading, max(pictures.SHOWN, style.max_regions))
    lungs = hull(reading.lungs.mask, reading.frame)
    said = message(
        reading, [each.place for each in pneumonia], image.notes, style.facts, style.language
    )

    def draw() -> tuple[Overlay | None, tuple[Overlay, ...]]:
        summary = pictures.summary(scene, said, pneumonia, style) if style.summary else None
        return summary, tuple(pictures.Details(scene, said, (pneumonia, covid19), style).pictures())

    return Explanation(
        message=said,
        draw=draw,
        lungs=lungs,
        pneumonia=pneumonia[: style.max_regions],
        covid19=covid19[: style.max_regions],
    )


def in_film_pixels(explanation: Explanation, reading: Reading, max_regions: int) -> Explanation:
    """Return the same explanation, outlined in the pixels of another reading's frame.

    The places stay: they are the patient's, also where the film's own pixels are mirrored.
    """
    found = _regions(reading, max_regions)
    pneumonia, covid19 = (
        tuple(replace(new, place=old.place) for new, old in zip(those, these, strict=True))
        for those, these in zip(found, (explanation.pneumonia, explanation.covid19), strict=True)
    )
    lungs = hull(reading.lungs.mask, reading.frame)
    return replace(explanation, lungs=lungs, pneumonia=pneumonia, covid19=covid19)


def _regions(reading: Reading, limit: int) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
    """Outline what is hot in each positive stage."""
    covid19 = reading.covid19 is not None and reading.covid19.positive
    return (
        _outlines(reading, reading.h2, limit, positive=reading.pneumonia.positive),
        _outlines(reading, reading.h3, limit, positive=covid19),
    )


def _outlines(
    reading: Reading, heat: FloatMap | None, limit: int, *, positive: bool
) -> tuple[Region, ...]:
    if heat is None or not positive:
        return ()
    return regions(heat, reading.lungs.aerated, reading.frame, limit)
