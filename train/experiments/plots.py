"""Intervals side by side, as a plot that holds no film."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from train import plot
from train.metrics import Interval


def intervals(rows: dict[str, dict[str, Interval]], measure: str, path: Path) -> None:
    """Draw every row's intervals, a panel for each column."""
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
    plot.save(figure, path)
