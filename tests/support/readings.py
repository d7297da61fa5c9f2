"""Believable readings without a network: two lungs, warm spots where pneumonia likes to sit."""

from __future__ import annotations

import numpy as np

from models.reading import (
    BoolMap,
    FloatMap,
    Frame,
    GateLimits,
    HeatCheck,
    Look,
    Lungs,
    ModelIdentity,
    Reading,
    StageResult,
)

SIZE = 512
MODEL = ModelIdentity(
    version="0.1.0",
    digests={"covid19": "c" * 64, "lungs": "a" * 64, "pneumonia": "b" * 64},
    h2_variant="cam",
)

LIMITS = GateLimits(
    lateral=0.5,
    part=0.5,
    other=0.5,
    turned=0.5,
    inverted=0.5,
    distance=3.0,
    lung_area=0.05,
    lungs_at_edge=0.5,
    black=0.9,
    white=0.9,
    contrast=0.05,
)


def look(kind: str = "frontal", turn: int = 0, inverted: float = 0.0) -> Look:
    """The gate's network is sure that this is such a picture."""
    kinds = {name: float(name == kind) for name in ("frontal", "lateral", "part", "other")}
    turns = {degrees: float(degrees == turn) for degrees in (0, 90, 180, 270)}
    return Look(kinds=kinds, turns=turns, inverted=inverted, limits=LIMITS)


def frame(rows: int = 640, columns: int = 512, size: int = SIZE) -> Frame:
    """The letterbox `models.preprocess` would make for a film of this shape."""
    scale = size / max(rows, columns)
    height, width = round(rows * scale), round(columns * scale)
    return Frame(
        rows=rows,
        columns=columns,
        size=size,
        scale=scale,
        top=(size - height) // 2,
        left=(size - width) // 2,
        height=height,
        width=width,
    )


def positive(where: Frame | None = None) -> Reading:
    """Pneumonia and COVID-19, both above threshold; every map is there."""
    return reading(where or frame(), pneumonia=0.873, covid19=0.712)


def positive_without_covid(where: Frame | None = None) -> Reading:
    """Pneumonia above threshold, stage 3 ran and stayed below its own."""
    return reading(where or frame(), pneumonia=0.873, covid19=0.121)


def negative(where: Frame | None = None) -> Reading:
    """Below stage 2's threshold: stage 3 did not run."""
    return reading(where or frame(), pneumonia=0.084, covid19=None)


def reading(where: Frame, *, pneumonia: float, covid19: float | None) -> Reading:
    """A reading with these probabilities, thresholds 0.5 and 0.4."""
    h2 = heat(where, (0.32, 0.66, 0.12, 1.0), (0.7, 0.6, 0.08, 0.7))
    h3 = heat(where, (0.30, 0.70, 0.07, 1.0)) if covid19 is not None else None
    return Reading(
        frame=where,
        lungs=lungs(where),
        pneumonia=stage(pneumonia, 0.5),
        covid19=None if covid19 is None else stage(covid19, 0.4),
        h2=h2,
        h3=h3,
        guided=None if h3 is None else _guided(h3),
        model=MODEL,
        heat_check=heat_check(tried=pneumonia >= 0.5),
        seconds={"lungs": 0.02, "pneumonia": 0.03, "covid19": 0.03, "explain": 0.01},
    )


def heat_check(*, tried: bool = True, reliable: bool = True) -> HeatCheck:
    """A heatmap that is believed, one that lies beside the lungs, or one that was not tested."""
    return HeatCheck(
        inside_lungs=0.81 if reliable else 0.24,
        drop=0.062 if tried else None,
        random_drop=-0.013 if tried else None,
        reliable=reliable if tried else None,
        log_odds_drop=0.471 if tried else None,
        random_log_odds_drop=-0.124 if tried else None,
    )


def stage(probability: float, threshold: float) -> StageResult:
    """A decision whose logit agrees with its probability (temperature 1)."""
    logit = float(np.log(probability / (1 - probability)))
    return StageResult(probability=probability, threshold=threshold, logit=logit)


def heat(where: Frame, *spots: tuple[float, float, float, float]) -> FloatMap:
    """Gaussian (x, y, radius, height) spots in fractions of the film, cut off below 0.02."""
    x, y = _grid(where)
    total = np.zeros((where.size, where.size), np.float64)
    for cx, cy, radius, peak in spots:
        total = np.maximum(total, peak * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / radius**2))
    inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
    return np.where(inside & (total > 0.02), total, 0.0).astype(np.float32)


def lungs(where: Frame) -> Lungs:
    """Two ellipses, and the field between them."""
    x, y = _grid(where)
    right = ((x - 0.3) / 0.16) ** 2 + ((y - 0.48) / 0.34) ** 2 < 1
    left = ((x - 0.7) / 0.16) ** 2 + ((y - 0.48) / 0.34) ** 2 < 1
    aerated: BoolMap = right | left
    heart = ((x - 0.54) / 0.2) ** 2 + ((y - 0.6) / 0.16) ** 2 < 1
    mask: BoolMap = aerated | heart
    return Lungs(
        mask=mask,
        aerated=aerated,
        area_fraction=float(mask.sum() / (where.height * where.width)),
    )


def _grid(where: Frame) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[0 : where.size, 0 : where.size]
    return (columns - where.left) / where.width, (rows - where.top) / where.height


def _guided(h3: FloatMap) -> FloatMap:
    noise = np.random.default_rng(3).random(h3.shape, dtype=np.float32) ** 4
    return (h3 * noise).astype(np.float32)
