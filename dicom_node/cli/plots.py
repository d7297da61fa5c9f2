"""`stats --plot`: films and delays by day, week or sender as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"above": "#b2182b", "near": "#f4a582", "below": "#4393c3", "refused": "#999999"}


def draw(by: str, groups: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Draw the groups of `stats --json`: films by result, and seconds from received to committed.

    Raises
    ------
    NodeError
        matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(max(8.0, 0.35 * len(groups)), 7.0)
    films, delays = figure.subplots(2, 1)
    _films(films, groups)
    _delays(delays, groups)
    for axes in (films, delays):
        axes.set_xlabel(by)
        axes.tick_params("x", rotation=45)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    save(figure, file)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, which needs no display.

    Raises
    ------
    NodeError
        matplotlib is not installed.
    """
    try:
        from matplotlib import rcParams
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NodeError("--plot needs matplotlib: pip install 'dicom-node[plots]'") from error
    rcParams["text.parse_math"] = False  # an AE title may have dollar signs
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, file: Path) -> None:
    """Write a figure in the format that the file's ending names.

    Raises
    ------
    NodeError
        The file cannot be written, or its ending is not known.
    """
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:  # ValueError: an ending that it does not know
        raise NodeError(f"{file} cannot be written: {error}") from error


def _films(axes: Axes, groups: Mapping[str, Mapping[str, Any]]) -> None:
    """Stacked bars: pneumonia score above, near and below the cut-off, and refused films."""
    names, under = list(groups), [0] * len(groups)
    for kind, colour in _COLOURS.items():
        counts = [
            sum(each["refused"].values()) if kind == "refused" else each[kind]
            for each in groups.values()
        ]
        axes.bar(names, counts, bottom=under, label=kind, color=colour)
        under = [low + count for low, count in zip(under, counts, strict=True)]
    axes.set_ylabel("films")
    axes.locator_params("y", integer=True)


def _delays(axes: Axes, groups: Mapping[str, Mapping[str, Any]]) -> None:
    """Lines of each destination: the median, and what 95 of 100 objects do not exceed."""
    destinations = sorted({name for group in groups.values() for name in group["destinations"]})
    for name in destinations:
        for figure, style in (("p50_seconds", "-"), ("p95_seconds", "--")):
            at = [group for group, each in groups.items() if name in each["destinations"]]
            seconds = [groups[group]["destinations"][name][figure] for group in at]
            axes.plot(at, seconds, style, marker="o", label=f"{name}, {figure[:3]}")
    axes.set_ylabel("seconds from received to committed")
    if not destinations:
        axes.set_xticks([])
        axes.text(0.5, 0.5, "nothing was committed", transform=axes.transAxes, ha="center")
