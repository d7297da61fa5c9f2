"""The networks: each stage against its arithmetic floor, the cascade against a textbook version."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from bench.floors import Stage, peak_gflops, stages
from bench.machine import Times, times
from bench.recipe import Answer, Recipe
from bench.rows import Row
from bench.run import Run
from bench.weights import cascade, version

from dicom_node.demo.phantom import FloatMap, phantom
from models.reading import HeatCheck, Reading

ROWS, COLUMNS = 2500, 2048


@cache
def picture() -> FloatMap:
    """A film of usual size with an opacity in one lung; no map of the `paper` version is flat."""
    return phantom(ROWS, COLUMNS, seed=11, opacity=0.9)


def against_floors(run: Run) -> Iterator[Row]:
    """Each stage as `Cascade.read` runs it, the best of several runs."""
    seconds: list[dict[str, float]] = []
    times(lambda: seconds.append(_read().seconds), run.repeat)
    for stage in stages():
        spent = min(sum(one[key] for key in stage.keys) for one in seconds[1:])
        yield _stage_row(stage, spent)


def _stage_row(stage: Stage, spent: float) -> Row:
    return Row(
        name=f"stage {stage.name} / arithmetic floor",
        ratio=spent / stage.floor,
        measured=(
            f"{_ms(spent)}; {stage.gflop:.1f} GFLOP at {peak_gflops():.0f} GFLOP/s "
            f"is {_ms(stage.floor)}"
        ),
    )


def against_recipe(run: Run) -> Iterator[Row]:
    """The textbook's time over ours, measured alternately, and how far the answers differ."""
    recipe = Recipe(cascade(folded=False))
    ours, theirs = _read(), recipe.read(picture())
    pairs = [(times(_read, 1, warm=False), times(lambda: recipe.read(picture()), 1, warm=False))
             for _ in range(run.repeat)]  # fmt: skip
    mine = Times(tuple(pair[0].best for pair in pairs))
    textbook = Times(tuple(pair[1].best for pair in pairs))
    yield Row(
        name="textbook recipe / cascade, all stages",
        ratio=textbook.median / mine.median,
        target="≥ 2.5",
        measured=f"{_ms(textbook.median)} / {_ms(mine.median)}, networks {version()}",
    )
    yield Row(name="cascade and recipe agree", measured=_agreement(ours, theirs, recipe),
              target="guided ≤ 1e-3")  # fmt: skip


def _read() -> Reading:
    return cascade().read(picture(), force_stage3=True)


def _agreement(ours: Reading, theirs: Answer, recipe: Recipe) -> str:
    if not recipe.can_compare:
        return "not compared: stage 2's map is paper-eq1"
    if ours.covid19 is None or ours.h3 is None or ours.guided is None:
        return "not compared: stage 3 did not run"
    apart = max(
        abs(ours.pneumonia.probability - theirs.pneumonia),
        abs(ours.covid19.probability - theirs.covid19),
    )
    maps = {"H2": (ours.h2, theirs.h2), "H3": (ours.h3, theirs.h3),
            "guided": (ours.guided, theirs.guided)}  # fmt: skip
    alike = ", ".join(f"{name} {_correlation(*pair)}" for name, pair in maps.items())
    error = _relative_error(ours.guided, theirs.guided)
    checked = "same" if _checked(ours.heat_check) == _checked(theirs.check) else "other"
    return (
        f"|dp| {apart:.1e}; correlation {alike}; guided relative error {error:.1e}; "
        f"{checked} heat check"
    )


def _checked(check: HeatCheck | None) -> tuple[bool | None, bool] | None:
    """Its answer, and whether other regions were hidden."""
    return None if check is None else (check.reliable, check.random_drop is not None)


def _correlation(ours: FloatMap, theirs: FloatMap) -> str:
    if not (ours.std() and theirs.std()):
        return "undefined (a map is flat)"
    return f"{np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]:.6f}"


def _relative_error(ours: FloatMap, theirs: FloatMap) -> float:
    scale = float(np.linalg.norm(theirs)) or 1.0
    return float(np.linalg.norm(ours - theirs)) / scale


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
