"""What the hour says: what was lost, what came twice, what grew, how long things took."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import theilslopes

#: How much the last quarter's median may be above the first's: absolute, and as a share of it.
TOLERANCES = {"memory MB": (16.0, 0.05), "descriptors": (4.0, 0.0), "threads": (2.0, 0.0)}
_FEWEST_SAMPLES = 12  # after the warm-up; a process with fewer is not judged
_REPORT, _PICTURE = "SR", "OT"  # modalities of what comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A film in a study of its own, and how it was answered."""

    kind: str  # "read", or "refused": only a report comes back
    study: str
    path: str
    sop_instance_uid: str
    sent_at: float  # seconds of the run, as all times here
    answered_at: float
    status: int | None  # DIMSE; None: no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An object our PACS took."""

    sop_instance_uid: str
    study: str
    modality: str
    role: str  # which of a film's results it is
    at: float
    heard: bool  # Success went out, and nothing broke the answer off


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One figure of one process, or of the disk."""

    at: float
    name: str
    pid: int  # a successor is another process, and judged by itself; 0: the disk
    measure: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How one figure of one process went after its warm-up."""

    name: str
    pid: int
    measure: str
    minutes: float  # that were judged
    first: float  # median of the first quarter
    last: float  # median of the last quarter
    slope: float  # Theil-Sen, a hour
    allowed: float

    @property
    def grown(self) -> bool:
        """Whether it is more than chance and caches explain."""
        return self.last - self.first > self.allowed and self.slope > 0


def lost(sent: Iterable[Sent], arrived: Iterable[Arrived], composed: Collection[str]) -> list[str]:
    """Films answered Success without results at the PACS, and results that never got there."""
    came: dict[str, set[str]] = defaultdict(set)
    there = set()
    for each in arrived:
        came[each.study].add(each.modality)
        there.add(each.sop_instance_uid)
    missing = [
        f"{film.kind} film of {film.study}: no {wanted}"
        for film in sent
        if film.status == 0
        for wanted in ((_REPORT, _PICTURE) if film.kind == "read" else (_REPORT,))
        if wanted not in came[film.study]
    ]
    return missing + [
        f"result {uid} was composed and did not come" for uid in composed if uid not in there
    ]


def twice(sent: Iterable[Sent], arrived: Iterable[Arrived]) -> list[str]:
    """Results of which a film has two, and objects sent again though Success was heard."""
    ours = {film.study for film in sent}
    heard: Counter[str] = Counter()
    objects: dict[tuple[str, str], set[str]] = defaultdict(set)
    again = []
    for each in sorted(arrived, key=lambda one: one.at):
        if heard[each.sop_instance_uid]:
            again.append(f"{each.sop_instance_uid} was sent again after Success")
        heard[each.sop_instance_uid] += each.heard
        if each.study in ours:
            objects[each.study, each.role].add(each.sop_instance_uid)
    return again + [
        f"{study} has {len(uids)} of {role}"
        for (study, role), uids in objects.items()
        if len(uids) > 1
    ]


def growths(samples: Iterable[Sample], warm_up: float) -> list[Growth]:
    """Every figure of every process that lived long enough, ``warm_up`` seconds left out."""
    series: dict[tuple[str, int, str], list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.measure in TOLERANCES:
            series[sample.name, sample.pid, sample.measure].append(sample)
    return [
        _growth(warm)
        for whole in series.values()
        if len(warm := [s for s in whole if s.at >= whole[0].at + warm_up]) >= _FEWEST_SAMPLES
    ]


def _growth(warm: Sequence[Sample]) -> Growth:
    values = [sample.value for sample in warm]
    quarter = len(values) // 4
    first = statistics.median(values[:quarter])
    last = statistics.median(values[-quarter:])
    hours = [sample.at / 3600 for sample in warm]
    absolute, share = TOLERANCES[warm[0].measure]
    return Growth(
        name=warm[0].name, pid=warm[0].pid, measure=warm[0].measure,
        minutes=(hours[-1] - hours[0]) * 60, first=first, last=last,
        slope=float(theilslopes(values, hours).slope), allowed=max(absolute, share * first),
    )  # fmt: skip


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """How many, p50, p95 and p99."""
    if len(seconds) < 2:
        return {"count": len(seconds), **{name: sum(seconds) for name in ("p50", "p95", "p99")}}
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"count": len(seconds), "p50": cuts[49], "p95": cuts[94], "p99": cuts[98]}
