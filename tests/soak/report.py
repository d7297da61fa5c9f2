"""The summary of a soak: figures, verdict, plot."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from soak.samples import MEASURES, Disk, Sample, Trend

_UNITS = {"memory": "MB", "descriptors": "", "threads": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished soak."""

    minutes: float
    machine: str
    commit: str
    counts: dict[str, int]
    did: dict[str, int]
    seconds: dict[str, list[float]]  # durations by kind
    trends: list[Trend]
    disks: list[Disk]
    lost: list[str]
    twice: list[str]
    unsettled: dict[str, Any]  # work that the node had not finished

    @property
    def complaints(self) -> list[str]:
        """Why it failed; empty if it passed."""
        said = [f"{trend.name}: {trend.measure} grows" for trend in self.trends if trend.grows]
        if not self.trends:
            said.append("too few samples to say whether anything grows")
        if self.lost:
            said.append(f"lost: {len(self.lost)}")
        if self.twice:
            said.append(f"twice: {len(self.twice)}")
        if self.unsettled:
            said.append(f"not settled: {self.unsettled}")
        return said

    def as_json(self) -> dict[str, Any]:
        """Everything but the samples."""
        values = asdict(self)
        values["seconds"] = {name: _percentiles(each) for name, each in self.seconds.items()}
        values["trends"] = [asdict(each) | {"grows": each.grows} for each in self.trends]
        values["disks"] = [asdict(each) for each in self.disks[-1:]]
        return values | {"complaints": self.complaints}

    def show(self, console: Console) -> None:
        """Print the tables."""
        console.print(f"{self.minutes:.0f} minutes, {self.machine}, commit {self.commit}")
        counted = Table("what", "count", title="Traffic and faults")
        for name, count in (self.counts | dict(sorted(self.did.items()))).items():
            counted.add_row(name, str(count))
        waits = Table("seconds", "n", "p50", "p95", "p99", "worst", title="Latencies")
        for name, each in self.seconds.items():
            numbers = _percentiles(each)
            waits.add_row(
                name,
                str(len(each)),
                *(f"{numbers[key]:.3f}" for key in ("p50", "p95", "p99", "worst") if numbers),
            )
        console.print(counted, waits, self._growth())
        if self.disks:
            most = {name: max(getattr(each, name) for each in self.disks) for name in _DISK}
            now = self.disks[-1]
            console.print(
                "data folder, most / at the end: "
                + ", ".join(f"{n} {most[n]:.1f} / {getattr(now, n):.1f} MB" for n in _DISK)
            )
        console.print(f"lost = {len(self.lost)}, twice = {len(self.twice)}", highlight=False)
        console.print(
            "\n".join(self.complaints) or "nothing lost, nothing twice, nothing grows",
            style="red" if self.complaints else "green",
        )

    def _growth(self) -> Table:
        table = Table(
            "process", "what", "minutes", "first", "last", "gained", "may", "",
            title="After warm-up, longest life",
        )  # fmt: skip
        for each in self.trends:
            table.add_row(
                each.name,
                f"{each.measure} {_UNITS[each.measure]}".strip(),
                *(f"{value:.1f}" for value in (each.minutes, each.first, each.last)),
                f"{each.gained:+.1f}",
                f"{each.tolerance:.1f}",
                "GROWS" if each.grows else "ok",
            )
        return table


_DISK = ("database", "log", "spool", "results")


def plot(samples: Sequence[Sample], disks: Sequence[Disk], path: Path) -> None:
    """Plot everything over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(4, 1, figsize=(10, 14), sharex=True)
    lives: defaultdict[str, list[Sample]] = defaultdict(list)
    for each in samples:
        lives[each.name].append(each)
    for axis, measure in zip(axes, MEASURES, strict=False):
        for name, life in sorted(lives.items()):
            minutes = [each.at / 60 for each in life]
            axis.plot(minutes, [getattr(each, measure) for each in life], label=name)
        axis.set_ylabel(f"{measure} {_UNITS[measure]}")
        axis.legend(fontsize="small")
    axes[0].set_yscale("log")
    for name in _DISK:
        axes[3].plot([d.at / 60 for d in disks], [getattr(d, name) for d in disks], label=name)
    axes[3].set_ylabel("data folder MB")
    axes[3].set_xlabel("minutes")
    axes[3].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path)


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    if len(seconds) < 2:
        return {}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "worst": max(seconds)}
