"""Pictures and outlines of a reading."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from support import readings

from dicom_node.demo.phantom import phantom
from dicom_node.domain.values import Image, Refusal, RefusalCode
from dicom_node.explain import (
    Explanation,
    Overlay,
    Style,
    explain,
    palette,
    refusal_picture,
    regions,
)
from dicom_node.explain.canvas import Box, Page
from dicom_node.explain.message import Earlier, Facts
from dicom_node.explain.paint import RGB, Grey, coloured, lay_heat, levels, scaled, stroke
from dicom_node.explain.phrases import WORDS, Language
from dicom_node.explain.regions import hull, outline
from models.reading import Asymmetry, FloatMap, Frame, HeatCheck, Reading

STYLE = Style(width=1000, max_regions=2, at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
PAGE = Page(1000)
FRAME = readings.frame()
AERATED = readings.lungs(FRAME).aerated
FILM = PAGE.film.fitted((FRAME.rows, FRAME.columns))


def image(frame: Frame = FRAME) -> Image:
    pixels = phantom(frame.rows, frame.columns).astype(np.float32)
    return Image(pixels=pixels, spacing_mm=None)


def explained(reading: Reading, style: Style = STYLE) -> Explanation:
    return explain(image(reading.frame), reading, style)


def summary(reading: Reading, style: Style = STYLE) -> Overlay:
    overlay = explained(reading, style).summary
    assert overlay is not None
    return overlay


def film_of(overlay: Overlay, box: Box = FILM) -> RGB:
    """The film's part of a picture."""
    return overlay.rgb[box.top : box.top + box.height, box.left : box.left + box.width]


def plain(box: Box = FILM, frame: Frame = FRAME) -> RGB:
    """What is there before anything is drawn."""
    return coloured(scaled(levels(image(frame).pixels), (box.width, box.height)))


def drawn(overlay: Overlay) -> np.ndarray:
    """Where something is drawn on the film."""
    different: np.ndarray = (film_of(overlay) != plain()).any(axis=-1)
    return different


def lungs() -> np.ndarray:
    """The aerated lungs, as large as the film in the picture."""
    y, x = np.mgrid[0 : FILM.height, 0 : FILM.width]
    rows = (y * FRAME.height // FILM.height) + FRAME.top
    columns = (x * FRAME.width // FILM.width) + FRAME.left
    inside: np.ndarray = AERATED[rows, columns]
    return inside


def blend(film: Grey, heat: FloatMap, evidence: float = 1.0) -> RGB:
    rgb = coloured(film)
    lay_heat(rgb, heat, np.ones(heat.shape, np.bool_), evidence)
    return rgb


def colourful(rgb: np.ndarray) -> np.ndarray:
    """Where a picture is not grey."""
    spread: np.ndarray = rgb.max(axis=-1).astype(int) - rgb.min(axis=-1)
    return spread > 24


@pytest.mark.parametrize(
    ("reading", "kinds"),
    [
        (readings.positive(), ["h2", "h3"]),
        (readings.positive_without_covid(), ["h2"]),
        (readings.negative(), []),
        (readings.reading(FRAME, pneumonia=0.1, covid19=0.9), ["h3"]),  # stage 3 was forced
    ],
)
def test_details_are_the_heatmaps_of_the_stages_above_their_cut_off(
    reading: Reading, kinds: list[str]
) -> None:
    """Beside the summary, which every film gets."""
    found = explained(reading)
    assert found.summary is not None
    assert [overlay.kind for overlay in found.details] == kinds


@pytest.mark.parametrize(
    ("style", "kinds"),
    [
        (replace(STYLE, heatmaps="none"), []),
        (replace(STYLE, heatmaps="all"), ["h2", "h3"]),
        (replace(STYLE, guided=True, lungs=True), ["h2", "guided", "lungs"]),
    ],
)
def test_the_style_switches_details_on_and_off(style: Style, kinds: list[str]) -> None:
    """Heat below the cut-off only if it is asked for."""
    found = explained(readings.positive_without_covid(), style)
    assert [overlay.kind for overlay in found.details] == kinds


def test_every_page_has_the_same_size_and_the_film_its_largest_place() -> None:
    """In the square at the left: no pixel of it is lost, none is stretched."""
    for rows, columns in ((640, 512), (300, 400), (900, 900)):
        frame = readings.frame(rows, columns)
        picture = summary(readings.negative(frame))
        assert picture.rgb.shape == (700, 1000, 3)
        box = PAGE.film.fitted((rows, columns))
        assert max(box.width, box.height) == 700
        assert picture.factor == pytest.approx(columns / box.width)
        np.testing.assert_array_equal(film_of(picture, box), plain(box, frame))


def test_a_report_without_regions_leaves_the_picture_its_outlines() -> None:
    """`report.max_regions` is the report's."""
    bare = explained(readings.positive(), replace(STYLE, max_regions=0))
    assert (bare.pneumonia, len(bare.message.places)) == ((), 2)
    assert bare.summary is not None
    assert drawn(bare.summary).any()


def test_nothing_is_drawn_on_a_film_below_its_cut_off() -> None:
    """No outline, no heat: the film with its window."""
    assert not drawn(summary(readings.negative())).any()


def test_outlines_and_numbers_lie_in_the_lungs() -> None:
    """But for half the width of a line, or of a number that is on it."""
    far = np.lib.stride_tricks.sliding_window_view(np.pad(lungs(), 13), (27, 27)).any(axis=(2, 3))
    on_film = drawn(summary(readings.positive()))
    assert on_film.any()
    assert not (on_film & ~far).any()


def test_heat_beside_the_lungs_is_neither_outlined_nor_painted() -> None:
    """A hot marker in the corner of the film stays unmarked."""
    reading = readings.positive()
    corner = readings.heat(FRAME, (0.05, 0.05, 0.05, 1.0))
    found = explained(replace(reading, h2=corner), replace(STYLE, lungs=True))
    assert found.pneumonia == ()
    h2, _, outlines = found.details
    np.testing.assert_array_equal(film_of(h2), film_of(outlines))


def test_a_weak_finding_does_not_glow_like_a_strong_one() -> None:
    """Heat is scaled by the score, not by the film's own maximum."""
    weak = readings.reading(FRAME, pneumonia=0.51, covid19=None)
    strong = readings.reading(FRAME, pneumonia=0.96, covid19=None)
    light = [
        np.abs(film_of(explained(each).details[0]).astype(int) - plain()).sum()
        for each in (weak, strong)
    ]
    assert light[0] < 0.75 * light[1]


def test_lines_are_as_wide_on_every_page() -> None:
    """In parts of its width: twice the page, twice the line."""
    small = drawn(summary(readings.positive())).mean()
    page = Page(2000)
    large = summary(readings.positive(), replace(STYLE, width=2000))
    box = page.film.fitted((FRAME.rows, FRAME.columns))
    changed = (film_of(large, box) != plain(box)).any(axis=-1).mean()
    assert changed == pytest.approx(small, rel=0.15)


@pytest.mark.parametrize("language", WORDS)
def test_everything_fits_into_the_strip(language: Language) -> None:
    """With every warning and two earlier results, in each language: the margin stays black."""
    facts = Facts(
        sides_stated=False,
        age_stated=False,
        second_film=True,
        earlier=(Earlier(date="2026-10-02", score=31), Earlier(date="2026-10-09", score=100)),
    )
    reading = readings.positive()
    reading = replace(
        reading,
        lungs=replace(
            reading.lungs,
            mask=AERATED,
            asymmetry=Asymmetry(area_ratio=0.5, base_difference=0.0),
        ),
        heat_check=HeatCheck(inside_lungs=0.3, drop=0.0, random_drop=0.1, reliable=False),
    )
    notes = {"polarity": "corrected", "mirrored": "R", "decoding": "with errors"}
    found = explain(
        replace(image(), notes=notes), reading, replace(STYLE, language=language, facts=facts)
    )
    assert len(found.message.warnings) == 7
    for overlay in (found.summary, *found.details):
        assert overlay is not None
        assert not overlay.rgb[90:, -3:].any(), overlay.kind
        assert not overlay.rgb[-3:, PAGE.height :].any(), overlay.kind


def test_a_state_is_a_shape_and_not_a_colour_alone() -> None:
    """In grey, the strips of above, near and below still differ where the shape is."""
    shapes = [
        summary(readings.reading(FRAME, pneumonia=p, covid19=None)).rgb[60:110, 710:750].max(-1)
        > 90
        for p in (0.9, 0.52, 0.48, 0.1)
    ]
    assert len({shape.tobytes() for shape in shapes}) == 4


@pytest.mark.parametrize("shown", [True, False])
def test_a_refusal_is_a_picture_with_the_reason_large(shown: bool) -> None:
    """The film small, or left out where its pixels cannot be shown."""
    refusal = Refusal(code=RefusalCode.AGE, reason="the patient is 5 years old")
    picture = refusal_picture(image() if shown else None, refusal, STYLE)
    assert picture.title == "NOT READ: Child: only adults are read"
    assert picture.rgb.shape == (700, 1000, 3)
    assert picture.rgb[:, :300].any() == shown
    assert (picture.rgb[:, 300:] == palette.WARNING).all(axis=-1).sum() > 5000
    assert (picture.factor is None) is not shown


def test_opacity_grows_with_activation_from_the_iso_level_on() -> None:
    """The film shows through everywhere."""
    alpha = palette.opacity()
    level = int(palette.ISO * 255)
    assert alpha[: level + 1] == [0] * (level + 1)
    assert alpha[level + 1 :] == sorted(alpha[level + 1 :])
    assert 0 < alpha[level + 1] < alpha[255] < 255


def test_the_colours_grow_lighter_all_the_way() -> None:
    """Inferno is read by brightness alone, so with any colour vision."""
    light = np.array(palette.inferno()).reshape(256, 3) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > -0.5).all()
    assert light[-1] > 240
    assert light[0] < 2


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_full_heat_covers_seven_tenths_of_the_film(grey: int) -> None:
    """Opacity is 0.7 times the activation, whatever the film."""
    blended = blend(np.full((40, 30), grey, np.uint8), np.ones((20, 15), np.float32))
    hottest = np.array(palette.inferno()[-3:])
    np.testing.assert_allclose(blended[20, 15], 0.7 * hottest + 0.3 * grey, atol=1)


def test_heat_is_enlarged_as_if_the_whole_map_were() -> None:
    """Only its hot part is computed; a map twice as hot elsewhere changes nothing there."""
    film = np.full((500, 400), 90, np.uint8)
    heat = np.zeros((50, 40), np.float32)
    heat[20:26, 10:15] = 0.9
    alone = blend(film, heat)
    heat[2, 38] = 1.0
    together = blend(film, heat)
    np.testing.assert_array_equal(together[100:], alone[100:])
    assert colourful(together[:60, 350:]).any()


def test_blending_leaves_its_film_alone() -> None:
    """It is a function of its arguments."""
    film = np.full((40, 30), 77, np.uint8)
    blend(film, np.ones((20, 15), np.float32))
    assert (film == 77).all()


def test_lines_are_smooth_and_dark_rimmed() -> None:
    """They show on lung and on bone, and their edges have greys in between."""
    bone = np.full((700, 700, 3), 255, np.uint8)
    line = np.array([[100.0, 100.0], [500.0, 350.0]])
    stroke([line], 1.0, (700, 700), 2.0).draw(bone, palette.CONTOUR)
    assert (bone == 255).mean() > 0.98
    assert bone.min() < 170
    assert len(np.unique(bone)) > 4
    lung = np.zeros((700, 700, 3), np.uint8)
    stroke([line], 1.0, (700, 700), 2.0).draw(lung, palette.CONTOUR)
    assert lung[225, 300].max() == 255


def test_a_place_that_is_not_confirmed_is_hatched() -> None:
    """Black and white diagonals through stage 2's heat; stage 3's was not checked."""
    reading = readings.positive()
    failed = HeatCheck(inside_lungs=0.9, drop=0.0, random_drop=0.1, reliable=False)
    sound = explained(replace(reading, heat_check=replace(failed, reliable=True))).details
    struck = explained(replace(reading, heat_check=failed)).details
    row, column = int(0.66 * FILM.height), int(0.32 * FILM.width)
    part = np.s_[row - 20 : row + 20, column - 15 : column + 15]
    for colour in (palette.RIM, palette.WHITE):
        assert (film_of(struck[0])[part] == colour).all(axis=-1).any()
        assert not (film_of(sound[0])[part] == colour).all(axis=-1).any()
    np.testing.assert_array_equal(film_of(struck[1]), film_of(sound[1]))


def test_the_guided_map_is_grey_on_black() -> None:
    """Only the lungs' outline is coloured."""
    reading = readings.positive()
    blank = replace(reading.lungs, aerated=np.zeros_like(reading.lungs.aerated))
    style = replace(STYLE, heatmaps="none", guided=True)
    (guided,) = explained(replace(reading, lungs=blank), style).details
    rgb = film_of(guided)
    assert not colourful(rgb).any()
    assert np.median(rgb) == 0
    assert rgb.max() > 100


def test_not_for_diagnostic_use_is_burned_into_every_picture() -> None:
    """The warning's colour is at the top of each strip."""
    found = explained(readings.positive(), replace(STYLE, guided=True, lungs=True))
    for overlay in (found.summary, *found.details):
        assert overlay is not None
        assert (overlay.rgb[:40, 700:] == palette.WARNING).all(axis=-1).sum() > 100


def test_regions_come_hottest_first_closed_and_inside_the_film() -> None:
    """Few vertices, for a viewer draws each."""
    found = regions(readings.positive().h2, AERATED, FRAME, 3)
    assert [region.share for region in found] == sorted([r.share for r in found], reverse=True)
    assert len(found) == 2
    for region in found:
        np.testing.assert_array_equal(region.points[0], region.points[-1])
        assert 4 <= len(region.points) <= 60
        assert (region.points >= -0.5).all()
        assert (region.points <= [FRAME.columns - 0.5, FRAME.rows - 0.5]).all()
    assert sum(region.share for region in found) < 1


def test_a_region_lies_where_the_heat_is_in_film_pixels() -> None:
    """The spot was set at 32 % of the width and 66 % of the height."""
    (hottest,) = regions(readings.positive().h2, AERATED, FRAME, 1)
    middle = (hottest.points.min(axis=0) + hottest.points.max(axis=0)) / 2
    np.testing.assert_allclose(middle, [0.32 * FRAME.columns, 0.66 * FRAME.rows], atol=4)


def test_heat_up_to_the_edge_of_the_film_still_closes() -> None:
    """The letterbox around the film cuts every island off."""
    heat = readings.heat(FRAME, (0.0, 0.0, 0.3, 1.0))
    (corner,) = regions(heat, np.ones_like(AERATED), FRAME, 3)
    np.testing.assert_array_equal(corner.points[0], corner.points[-1])


@pytest.mark.parametrize("limit", [0, 1])
def test_no_more_regions_than_asked_for(limit: int) -> None:
    """Zero switches them off."""
    assert len(regions(readings.positive().h2, AERATED, FRAME, limit)) == limit


def test_a_map_without_heat_has_no_region() -> None:
    """Nothing above the iso level: nothing outlined."""
    assert regions(np.zeros((512, 512), np.float32), AERATED, FRAME, 3) == ()


def test_a_speck_is_not_a_region() -> None:
    """One hot pixel is noise."""
    heat = np.zeros((512, 512), np.float32)
    heat[256, 256] = 1
    assert regions(heat, AERATED, FRAME, 3) == ()


def test_a_stage_below_threshold_outlines_nothing() -> None:
    """Regions are evidence of a finding; without one there are none."""
    assert explained(readings.negative()).pneumonia == ()
    half = explained(readings.positive_without_covid())
    assert half.pneumonia
    assert half.covid19 == ()


def test_the_hull_goes_round_both_lungs_once() -> None:
    """One closed polygon with few vertices, whatever the mask's holes."""
    points = hull(readings.positive().lungs.mask, FRAME)
    np.testing.assert_array_equal(points[0], points[-1])
    assert len(points) < 60
    pieces = np.concatenate(outline(readings.positive().lungs.mask, FRAME))
    assert (points.min(axis=0) <= pieces.min(axis=0) + 3).all()
    assert (points.max(axis=0) >= pieces.max(axis=0) - 3).all()


def test_without_lungs_the_hull_is_the_film() -> None:
    """An empty mask leaves the report something legal to point at."""
    points = hull(np.zeros((512, 512), np.bool_), FRAME)
    assert points.max(axis=0).tolist() == [FRAME.columns - 1, FRAME.rows - 1]


def test_pictures_are_drawn_without_matplotlib() -> None:
    """A plotting library has no place in a process that must start fast and stay small."""
    script = "import sys, dicom_node.compose; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
