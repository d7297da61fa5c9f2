"""Figures 2 to 5: what the cascade saw and where it looked. They show patients' films."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
import typer
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.progress import track

from models import preprocess, steps
from models.cascade import Cascade
from train.data.films import Film, load_pixels, read_films
from train.experiments.result import Result, Run

Panel: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32] | None]  # film, what lies on it
_HEADS = {
    "fig2": ("film", "heat, whole film", "masked film", "heat, masked film"),
    "fig3": ("film", "lungs"),
    "fig4": ("film", "lungs", "H2: pneumonia", "H3: COVID-19", "Guided Grad-CAM"),
    "fig5": ("film", "lungs", "H2: pneumonia", "H3: COVID-19", "Guided Grad-CAM"),
}


def figures(run: Run) -> Result:
    """Draw a row of panels for each film, a PNG for each figure, into ``run.out``."""
    refuse_inside_git(run.out)
    cascade = run.cascade()
    test = read_films(run.data, ("test",))
    run.out.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, heads in _HEADS.items():
        chosen = _chosen(test, **run.config[name])
        rows = [_panels(name, cascade, film) for film in track(chosen, name)]
        _draw(rows, heads, run.out / f"{name}.png")
        drawn[name] = chosen
    return Result(
        title="Panels like the paper's Figures 2 to 5",
        head=("figure", "columns", "films"),
        rows=[
            (f"{name}.png", ", ".join(_HEADS[name]),
             f"{len(films)} of {', '.join(run.config[name]['sources'])}, test split")
            for name, films in drawn.items()
        ],
        numbers={name: len(films) for name, films in drawn.items()},
        digests=dict(cascade.identity.digests),
        says="The pictures show patients' films under other licences than this repository's: they "
        "lie where `--out` said, and the command refuses a folder inside a git repository. Films "
        "are the first of the manifest that fit, none was picked for its looks. The paper's Fig. 4 "
        "shows its own clinical films; hannover's stand here.",
    )  # fmt: skip


def refuse_inside_git(folder: Path) -> None:
    """Check that patients' films in this folder cannot be committed.

    Raises
    ------
    BadParameter
        The folder is inside a git repository.
    """
    whole = folder.resolve()
    if any((parent / ".git").exists() for parent in (whole, *whole.parents)):
        raise typer.BadParameter(
            f"{folder} is inside a git repository; patients' films go elsewhere.",
            param_hint="--out",
        )


def _chosen(films: Sequence[Film], *, sources: list[str], labels: list[str], films_shown: int
            ) -> list[Film]:  # fmt: skip
    """Take the first films that fit, one of each patient."""
    first: dict[str, Film] = {}
    for film in films:
        if film.source in sources and film.label in labels:
            first.setdefault(film.group, film)
    return list(first.values())[:films_shown]


def _panels(figure: str, cascade: Cascade, film: Film) -> list[Panel]:
    image = load_pixels(film.path)
    shown, _ = preprocess.to_network(image, cascade.settings.size)
    if figure == "fig2":
        return _with_and_without_mask(cascade, image)
    reading = cascade.read(image, force_stage3=True)
    lungs = reading.lungs.mask.astype(np.float32)
    maps = (None, lungs, reading.h2, reading.h3, reading.guided)
    return [(shown, over) for over in maps[: len(_HEADS[figure])]]


@torch.inference_mode()
def _with_and_without_mask(cascade: Cascade, image: NDArray[np.float32]) -> list[Panel]:
    film = cascade.mask(image)
    shown, whole = film.x[0, 0].numpy(), steps.masked(film.x, film.lungs, None, [film.area])
    heat = [
        steps.heat(cascade.pneumonia, cascade.pneumonia.features(seen), where, cascade.settings.h2)
        for seen, where in ((whole, whole != 0), (film.masked, film.field))
    ]
    inside = np.where(film.masked[0, 0].numpy() != 0, shown, np.float32(0.0))
    return [(shown, None), (shown, heat[0][0, 0].numpy()), (inside, None),
            (inside, heat[1][0, 0].numpy())]  # fmt: skip


def _draw(rows: Sequence[Sequence[Panel]], heads: Sequence[str], path: Path) -> None:
    if not rows:
        return
    figure = Figure(figsize=(2.2 * len(heads), 2.2 * len(rows) + 0.6), layout="constrained")
    grid = figure.subplots(len(rows), len(heads), squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for axes, (film, over) in zip(line, row, strict=True):
            axes.imshow(film, cmap="gray", vmin=0, vmax=1)
            if over is not None:
                axes.imshow(over, cmap="inferno", vmin=0, vmax=1, alpha=0.6 * (over > 0.05))
            axes.set_axis_off()
    for axes, head in zip(grid[0], heads, strict=True):
        axes.set_title(head, fontsize="small")
    figure.supxlabel("Research software, not a medical device", fontsize="x-small")
    figure.savefig(path, dpi=150)
