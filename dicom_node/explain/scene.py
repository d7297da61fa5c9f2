"""Draw a reading on its film, on a page."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage

from dicom_node.domain.values import Image
from dicom_node.explain import paint, palette, strip
from dicom_node.explain.canvas import Box, Page
from dicom_node.explain.message import evidence
from dicom_node.explain.paint import RGB
from dicom_node.explain.regions import Polygon, Region, outline
from models.reading import FloatMap, Reading, StageResult

# Widths in thousandths of the page's width
_REGION, _LUNGS, _BADGE = 2.6, 1.3, 24


class Scene:
    """A film on a page, and what can be drawn on it; every picture starts from `blank`.

    A thread scales the film meanwhile: Pillow needs no lock of Python's for that.
    """

    def __init__(self, image: Image, reading: Reading, page: Page) -> None:
        self.reading, self.page = reading, page
        self.box = page.film.fitted(image.pixels.shape)
        #: Film pixels per pixel of the page.
        self.factor = image.pixels.shape[1] / self.box.width
        thread = ThreadPoolExecutor(1)
        self._film = thread.submit(blank, image, page, self.box)
        thread.shutdown(wait=False)  # it ends when the film is scaled

    def blank(self) -> RGB:
        """Return a page with nothing but the film on it."""
        return self._film.result().copy()

    def regions(self, rgb: RGB, regions: Sequence[Region], *, numbered: bool) -> None:
        """Outline regions, and number them where an outline is furthest from the lungs' border."""
        film = self._part(rgb)
        lines = [region.outline for region in regions]
        paint.stroke(lines, *self._pen(_REGION)).draw(film, palette.CONTOUR)
        for number, region in enumerate(regions if numbered else (), 1):
            self._badge(film, str(number), region.outline)

    def lungs(self, rgb: RGB) -> None:
        """Outline the aerated lungs."""
        self._lungs.draw(self._part(rgb), palette.LUNGS)

    def heat(self, rgb: RGB, heat: FloatMap, stage: StageResult, *, hatched: bool) -> None:
        """Blend a stage's heat over the lungs, scaled by its score."""
        frame = self.reading.frame
        paint.lay_heat(
            self._part(rgb),
            frame.crop(heat).astype(np.float32, copy=False),
            frame.crop(self.reading.lungs.aerated).astype(np.bool_),
            evidence(stage),
            hatched=hatched,
        )

    def guided(self, rgb: RGB, guided: FloatMap) -> None:
        """Replace the film with Guided Grad-CAM."""
        part = self._part(rgb)
        paint.lay_grey(part, self.reading.frame.crop(guided).astype(np.float32, copy=False))

    def _part(self, rgb: RGB) -> RGB:
        box = self.box
        return rgb[box.top : box.top + box.height, box.left : box.left + box.width]

    @cached_property
    def _lungs(self) -> paint.Stroke:
        lines = outline(self.reading.lungs.aerated, self.reading.frame)
        return paint.stroke(lines, *self._pen(_LUNGS))

    def _pen(self, width: float) -> tuple[float, tuple[int, int], float]:
        """What `paint.stroke` needs beside the lines."""
        size = (self.box.width, self.box.height)
        return self.factor, size, width * self.page.width / 1000

    def _badge(self, film: RGB, text: str, points: Polygon) -> None:
        side = round(_BADGE * self.page.width / 1000)
        inside = self._depth[tuple(self._cells(points).T)]
        column, row = (points[int(inside.argmax())] + 0.5) / self.factor
        left = int(np.clip(column - side / 2, 0, film.shape[1] - side))
        top = int(np.clip(row - side / 2, 0, film.shape[0] - side))
        place = film[top : top + side, left : left + side]
        picture = Picture.fromarray(np.ascontiguousarray(place))
        ring = strip.ring(text, side)
        picture.paste(ring, (0, 0), ring)
        place[...] = np.asarray(picture)

    @cached_property
    def _depth(self) -> FloatMap:
        """Return the distance of each cell of the map from the lungs' border."""
        lungs = self.reading.frame.crop(self.reading.lungs.aerated)
        depth: FloatMap = ndimage.distance_transform_edt(lungs).astype(np.float32)
        return depth

    def _cells(self, points: Polygon) -> NDArray[np.intp]:
        """Convert film points to (row, column) of the cropped map."""
        frame = self.reading.frame
        scale = np.array([frame.height / frame.rows, frame.width / frame.columns])
        cells = np.floor((points[:, ::-1] + 0.5) * scale).astype(np.intp)
        clipped: NDArray[np.intp] = np.clip(cells, 0, [frame.height - 1, frame.width - 1])
        return clipped


def blank(image: Image | None, page: Page, box: Box) -> RGB:
    """Return a black page with the film, if there is one, in a box."""
    rgb = np.zeros((page.height, page.width, 3), np.uint8)
    if image is not None:
        film = paint.scaled(paint.levels(image.pixels), (box.width, box.height))
        coloured = np.asarray(Picture.fromarray(film).convert("RGB"))
        rgb[box.top : box.top + box.height, box.left : box.left + box.width] = coloured
    return rgb


def unreliable(reading: Reading) -> bool:
    """Whether the check of the stage-2 heatmap found that it does not explain the decision."""
    return reading.heat_check is not None and reading.heat_check.reliable is False
