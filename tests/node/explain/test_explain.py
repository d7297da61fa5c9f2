"""Pictures and outlines of a reading."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from support import readings
from support.phantom import phantom

from dicom_node.domain.values import Image
from dicom_node.explain import Explanation, Style, explain, palette, regions
from dicom_node.explain.paint import RGB, Grey, coloured, lay_heat, levels, stroke
from dicom_node.explain.regions import hull, outline
from models.reading import FloatMap, Frame, HeatCheck, Reading

STYLE = Style(max_side=2048, max_regions=3, at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
FRAME = readings.frame()
AERATED = readings.lungs(FRAME).aerated


def image(frame: Frame = FRAME) -> Image:
    pixels = phantom(frame.rows, frame.columns).astype(np.float32)
    return Image(pixels=pixels, spacing_mm=None)


def explained(reading: Reading, style: Style = STYLE) -> Explanation:
    return explain(image(reading.frame), reading, style)


def blend(film: Grey, heat: FloatMap) -> RGB:
    rgb = coloured(film)
    lay_heat(rgb, heat)
    return rgb


def colourful(rgb: np.ndarray) -> np.ndarray:
    """Where a picture is not grey."""
    spread: np.ndarray = rgb.max(axis=-1).astype(int) - rgb.min(axis=-1)
    return spread > 24


@pytest.mark.parametrize(
    ("reading", "kinds"),
    [
        (readings.positive(), ["panels", "lungs", "h2", "h3", "guided"]),
        (readings.positive_without_covid(), ["panels", "lungs", "h2", "h3", "guided"]),
        (readings.negative(), ["panels", "h2"]),
        (readings.reading(FRAME, pneumonia=0.1, covid19=0.1), ["panels", "lungs", "h2", "h3"]),
    ],
)
def test_a_film_gets_the_pictures_its_reading_has(reading: Reading, kinds: list[str]) -> None:
    """Stage 3's maps are there where it ran; a plain negative gets the overview and H2."""
    assert [overlay.kind for overlay in explained(reading).overlays][: len(kinds)] == kinds


def test_a_picture_is_as_large_as_its_film_and_the_words_stand_below() -> None:
    """One factor, no offset: a pixel of the picture is the pixel of the film at the same place."""
    h2 = explained(readings.positive()).overlays[2]
    assert h2.factor == 1
    assert h2.rgb.dtype == np.uint8
    assert h2.rgb.shape[1] == FRAME.columns
    assert h2.rgb.shape[0] > FRAME.rows
    corner = levels(image().pixels)[:20, :20]
    np.testing.assert_array_equal(h2.rgb[:20, :20], np.stack([corner] * 3, axis=-1))


def test_a_large_film_is_shrunk_with_its_aspect() -> None:
    """The longest side of the film's part obeys results.max_side."""
    overlay = explained(readings.positive(), replace(STYLE, max_side=512)).overlays[2]
    assert overlay.factor == pytest.approx(640 / 512)
    assert not overlay.rgb[512:520, :].any()  # below the film the strip begins, black
    assert overlay.rgb[:512, :410].any()


def test_a_small_film_is_not_enlarged() -> None:
    """It gets black beside it for the words instead."""
    frame = readings.frame(300, 260)
    h2 = explained(readings.positive(frame)).overlays[2]
    assert h2.factor == 1
    assert h2.rgb.shape[1] >= 480
    assert not h2.rgb[:300, 260:].any()


def test_the_overview_is_no_wider_than_a_picture_may_be() -> None:
    """Four panels share the width; none is measured in, so it has no factor."""
    panels = explained(readings.positive()).overlays[0]
    assert panels.rgb.shape[1] <= STYLE.max_side
    assert panels.factor is None
    assert "COVID-19 (H3)" in panels.title


def test_the_overview_of_a_negative_film_says_below_threshold() -> None:
    """The map of a negative film does not look like a finding."""
    panels, h2 = explained(readings.negative()).overlays
    assert "below threshold" in panels.title
    assert "below threshold" in h2.title


def test_heat_is_drawn_where_it_is_and_nowhere_below_the_iso_level() -> None:
    """A cold map leaves the film grey; a hot spot colours its place."""
    reading = readings.positive()
    cold = replace(reading, h2=np.minimum(reading.h2, np.float32(palette.ISO - 0.02)))
    blank = replace(reading.lungs, aerated=np.zeros_like(reading.lungs.aerated))
    film = np.s_[: FRAME.rows, : FRAME.columns]
    plain = explained(replace(cold, lungs=blank)).overlays[2].rgb[film]
    assert not colourful(plain).any()
    hot = colourful(explained(replace(reading, lungs=blank)).overlays[2].rgb[film])
    assert hot[int(0.66 * FRAME.rows), int(0.32 * FRAME.columns)]
    assert not hot[: FRAME.rows // 3].any()


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


def test_blending_is_the_rule_the_pictures_follow() -> None:
    """Film and heat give the picture to the last grey level, lines apart."""
    reading = readings.positive()
    lit = np.zeros((FRAME.rows, FRAME.columns), bool)
    lit[405:430, 155:175] = True  # inside the hottest region
    film = levels(image().pixels)
    blended = blend(film, FRAME.crop(reading.h2).astype(np.float32))
    np.testing.assert_array_equal(explained(reading).overlays[2].rgb[:640][lit], blended[lit])
    assert colourful(blended)[lit].all()


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
    stroke([line], 1.0, bone[..., 0]).draw(bone, palette.CONTOUR)
    assert (bone == 255).mean() > 0.98
    assert bone.min() < 170
    assert len(np.unique(bone)) > 4
    lung = np.zeros((700, 700, 3), np.uint8)
    stroke([line], 1.0, lung[..., 0]).draw(lung, palette.CONTOUR)
    assert lung[225, 300].max() == 255


def test_a_heatmap_that_explains_nothing_is_hatched_and_says_so() -> None:
    """Black and white diagonals through stage 2's heat; stage 3's was not checked."""
    reading = readings.positive()
    failed = HeatCheck(inside_lungs=0.3, drop=0.0, random_drop=0.1, reliable=False)
    plain = explained(replace(reading, heat_check=replace(failed, reliable=True))).overlays
    struck = explained(replace(reading, heat_check=failed)).overlays
    part = np.s_[400:440, 150:180]
    for colour in (palette.RIM, palette.CONTOUR):
        assert (struck[2].rgb[part] == colour).all(axis=-1).any()
        assert not (plain[2].rgb[part] == colour).all(axis=-1).any()
    np.testing.assert_array_equal(struck[2].rgb[:200], plain[2].rgb[:200])  # no heat, no hatching
    np.testing.assert_array_equal(struck[3].rgb, plain[3].rgb)
    assert len(struck[2].rgb) > len(plain[2].rgb)  # one more line in the strip
    assert "unreliable" in struck[2].description


def test_the_guided_map_is_grey_on_black() -> None:
    """Only the lungs' outline is coloured."""
    reading = readings.positive()
    blank = replace(reading.lungs, aerated=np.zeros_like(reading.lungs.aerated))
    rgb = explained(replace(reading, lungs=blank)).overlays[4].rgb[: FRAME.rows]
    assert not colourful(rgb).any()
    assert np.median(rgb) == 0
    assert rgb.max() > 100


def test_not_for_diagnostic_use_is_burned_into_every_picture() -> None:
    """The warning's colour is in each strip, below the film."""
    for overlay in explained(readings.positive()).overlays:
        assert (overlay.rgb == palette.WARNING).all(axis=-1).sum() > 100


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
