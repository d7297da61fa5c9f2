"""Plots as SVG; none shows a film."""

from __future__ import annotations

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from train.evaluation.metrics import Interval


def save(figure: Figure, path: Path) -> None:
    """Write an SVG; the same figure gives the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": path.stem}):
        figure.savefig(path, metadata={"Date": None})


def intervals(rows: dict[str, dict[str, Interval]], measure: str, path: Path) -> None:
    """Draw the intervals of a table, a panel for each column, and save them as SVG.

    Parameters
    ----------
    rows
        Row -> column -> interval; every row has the columns of the first, and there is one at
        least.
    measure
        What the intervals are of; names the horizontal axis.
    path
        The file to write.
    """
    columns = list(next(iter(rows.values())))
    figure = Figure(figsize=(3.2 * len(columns) + 1, 0.35 * len(rows) + 1.2), layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    places = range(len(rows))
    for panel, column in zip(panels, columns, strict=True):
        for place, row in zip(places, rows.values(), strict=True):
            one = row[column]
            panel.plot([one.low, one.high], [place, place], color="0.5")
            panel.plot(one.value, place, "o", color="black")
        panel.set(title=column, xlabel=measure)
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(places, list(rows))
    panels[0].invert_yaxis()
    save(figure, path)
