"""Draw a reading on its film, at one size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from dicom_node.domain.values import Image
from dicom_node.explain import paint, palette
from dicom_node.explain.paint import RGB, Grey, Stroke
from dicom_node.explain.regions import Polygon, contours, outline
from models.reading import FloatMap, Reading


class Scene:
    """Draws maps on the film's part of a page, of the same size as ``film``.

    ``factor`` is source pixels per pixel of ``film``.
    """

    def __init__(
        self, film: Grey, factor: float, reading: Reading, lines: Mapping[str, Sequence[Polygon]]
    ) -> None:
        self.film, self.factor, self.reading = film, factor, reading
        self._lines = lines

    @classmethod
    def of(cls, image: Image, reading: Reading, max_side: int) -> Scene:
        """Create the scene at the largest size allowed."""
        lines = {"lungs": outline(reading.lungs.aerated, reading.frame)}
        lines["h2"] = contours(reading.h2, reading.frame)
        if reading.h3 is not None:
            lines["h3"] = contours(reading.h3, reading.frame)
        return cls(paint.levels(image.pixels), 1.0, reading, lines).shrunk(max_side)

    def shrunk(self, max_side: int) -> Scene:
        """Return the same scene with a longest side of at most ``max_side``."""
        film = paint.shrunk(self.film, max_side)
        factor = self.factor * max(self.film.shape) / max(film.shape)
        return Scene(film, factor, self.reading, self._lines)

    @cached_property
    def background(self) -> RGB:
        """The film in three channels; copy it before drawing."""
        return paint.coloured(self.film)

    def plain(self, _rgb: RGB) -> None:
        """Leave the film as it is."""

    def lungs(self, rgb: RGB) -> None:
        """Outline the aerated lungs."""
        self._round_lungs.draw(rgb, palette.LUNGS)

    def h2(self, rgb: RGB) -> None:
        """Blend stage 2's heat over the film, hatched if it is unreliable."""
        self._hot(rgb, self.reading.h2, "h2", hatched=unreliable(self.reading))

    def h3(self, rgb: RGB) -> None:
        """Blend stage 3's heat over the film."""
        self._hot(rgb, _present(self.reading.h3), "h3")

    def guided(self, rgb: RGB) -> None:
        """Replace the film with Guided Grad-CAM."""
        paint.lay_grey(rgb, self._crop(_present(self.reading.guided)))
        self.lungs(rgb)

    def _hot(self, rgb: RGB, heat: FloatMap, name: str, *, hatched: bool = False) -> None:
        paint.lay_heat(rgb, self._crop(heat), hatched=hatched)
        self.lungs(rgb)
        self._stroke(name).draw(rgb, palette.CONTOUR)

    def _crop(self, heat: FloatMap) -> FloatMap:
        return self.reading.frame.crop(heat).astype(np.float32, copy=False)

    @cached_property
    def _round_lungs(self) -> Stroke:
        return self._stroke("lungs")

    def _stroke(self, name: str) -> Stroke:
        return paint.stroke(self._lines[name], self.factor, self.film)


def unreliable(reading: Reading) -> bool:
    """Whether the check of the stage-2 heatmap found that it does not explain the decision."""
    return reading.heat_check is not None and reading.heat_check.reliable is False


def _present(heat: FloatMap | None) -> FloatMap:
    if heat is None:
        raise ValueError("stage 3 did not run: it left no map")
    return heat
