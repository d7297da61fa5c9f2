"""`drift --plot`: the shares of the reference and of today, for each sender and measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.cli.plots import new_figure, save
from dicom_node.domain.drift import MEASURES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from dicom_node.domain.drift import Parts, Shift


def draw(shifts: Sequence[Shift], file: Path) -> None:
    """Draw a row of bar charts for each sender.

    Raises
    ------
    NodeError
        matplotlib is not installed, or the file cannot be written.
    """
    senders = sorted({each.sender for each in shifts})
    figure = new_figure(10.0, 3.0 * max(1, len(senders)))
    grid = figure.subplots(max(1, len(senders)), len(MEASURES), squeeze=False)
    for each in shifts:
        _bars(grid[senders.index(each.sender)][MEASURES.index(each.measure)], each)
    save(figure, file)


def _bars(axes: Axes, shift: Shift) -> None:
    names = ["read", "refused"] if shift.measure == "refused" else _names(shift.reference)
    for offset, parts, label in ((-0.2, shift.reference, "reference"), (0.2, shift.now, "now")):
        shares = [count / max(1, parts.total) for count in parts.films]
        places = [number + offset for number in range(len(names))]
        axes.bar(places, shares, width=0.4, label=label)
    said = "too few to say" if shift.index is None else f"{shift.index:.2f}"
    axes.set_title(f"{shift.sender}, {shift.measure}: {said}", fontsize="small")
    axes.set_xticks(range(len(names)), names, fontsize="x-small")
    axes.set_ylabel("share of the films")
    axes.legend(fontsize="x-small")


def _names(parts: Parts) -> list[str]:
    edges = [f"{edge:.2f}" for edge in parts.edges]
    return [f"< {edges[0]}", *(f">= {edge}" for edge in edges)] if edges else ["all"]
