"""`performance --plot`: ROC curve and reliability of each group as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.cli.plots import new_figure, save

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

    from dicom_node.domain.performance import Performance


def draw(title: str, groups: Mapping[str, Performance], file: Path) -> None:
    """Draw the groups with enough studies, and name the others.

    Raises
    ------
    NodeError
        matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(10.0, 5.5)
    figure.suptitle(title)
    roc, reliability = figure.subplots(1, 2)
    for name, each in groups.items():
        if each.auc is None:
            continue
        roc.plot(
            [point.false_positives for point in each.roc],
            [point.sensitivity for point in each.roc],
            label=f"{name}: AUC {each.auc}",
        )
        reliability.plot(
            [part.said for part in each.reliability],
            [part.true for part in each.reliability],
            marker="o",
            label=f"{name}: {each.ill} ill, {each.well} well",
        )
    _finish(roc, "1 - specificity", "sensitivity")
    _finish(reliability, "mean score of a fifth of the studies", "share of them that is ill")
    few = [name for name, each in groups.items() if each.auc is None]
    if few:
        figure.supxlabel(f"too few to say: {', '.join(few)}", fontsize="small")
    save(figure, file)


def _finish(axes: Axes, along: str, up: str) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=along, ylabel=up, aspect="equal")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
