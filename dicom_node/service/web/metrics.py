"""The metrics in Prometheus' text format: counters from the audit log, gauges from `status`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from dicom_node import __version__
from dicom_node.service.web.history import BOUNDS, History

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.service.alarms import Alarm
    from dicom_node.store.status import Status

Labels = TypeVar("Labels", bound="tuple[str, ...]")
#: Counts, process ids by name, and alarms.
Look: TypeAlias = "tuple[Status, Mapping[str, int], list[Alarm]]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NodeMetrics(Collector):
    """Everything that `/metrics` shows.

    Parameters
    ----------
    look
        Reads the node's state now.
    """

    config: Config
    history: History
    look: Callable[[], Look]
    clock: Callable[[], datetime]

    def describe(self) -> list[Metric]:
        """Describe no metric, so that registering the collector does not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its current value."""
        self.history.update()
        counted, alive, alarms = self.look()
        yield _gauge("info", "Version of node and networks.", ["version", "model_version"],
                     {(__version__, self.history.model_version): 1})  # fmt: skip
        yield from self._counters()
        yield from _work(counted)
        yield from self._machine(counted, alive)
        codes: dict[tuple[str, ...], float] = {}
        for alarm in alarms:
            codes[alarm.code, alarm.level] = codes.get((alarm.code, alarm.level), 0) + 1
        yield _gauge("alarms", "Alarms of `dicom-node status`.", ["code", "level"], codes)

    def _counters(self) -> Iterator[Metric]:
        history = self.history
        yield _counter("audit_events", "Audit lines by kind, such as instance-received.", ["kind"],
                       {(kind,): count for kind, count in history.events.items()})  # fmt: skip
        yield _counter("films_refused", "Films that were not read, by code.", ["code"],
                       {(code,): count for code, count in history.refused.items()})  # fmt: skip
        yield _counter("delivery_events", "What became of deliveries.", ["destination", "event"],
                       history.delivered)  # fmt: skip
        seconds = HistogramMetricFamily(
            "dicom_node_reading_seconds", "Wall time of each step of a reading.", labels=["step"]
        )
        for step, durations in sorted(history.steps.items()):
            running, buckets = 0, []
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), durations.counts, strict=True):
                running += count
                buckets.append((bound, float(running)))
            seconds.add_metric([step], buckets, sum_value=durations.total)
        yield seconds

    def _machine(self, counted: Status, alive: Mapping[str, int]) -> Iterator[Metric]:
        yield _gauge("process_up", "Running processes.", ["process"],
                     {(name,): 1 for name in alive})  # fmt: skip
        for name, about, since in (
            ("oldest_unread_seconds", "Age of the oldest film to be read.", "oldest_undecided"),
            ("oldest_undelivered_seconds", "Age of the oldest result to be sent.",
             "oldest_undelivered"),
        ):  # fmt: skip
            at = counted[since]  # type: ignore[literal-required]
            age = (self.clock() - datetime.fromisoformat(at)).total_seconds() if at else 0.0
            yield _gauge(name, about, [], {(): age})
        disk = shutil.disk_usage(self.config.node.data_dir)
        yield _gauge("disk_free_bytes", "Free space of the data folder.", [], {(): disk.free})
        yield _gauge("audit_queue_lines", "Audit lines that the repository does not have.", [],
                     {(): counted["audit_lines"] - counted["audit_sent"]
                      if self.config.audit.repository else 0})  # fmt: skip
        yield from self._certificates()

    def _certificates(self) -> Iterator[Metric]:
        path = self.config.tls.certificate_file
        if path is None:
            return
        from dicom_node.errors import ConfigError
        from dicom_node.tls.certificates import describe

        try:
            days = min(each.days_left(self.clock()) for each in describe(path))
        except ConfigError:  # an alarm says so
            return
        yield _gauge("certificate_days", "Days until our certificate expires.", [], {(): days})


def _work(counted: Status) -> Iterator[Metric]:
    """Yield gauges of studies, films, readings and deliveries by state."""
    yield _gauge("instances", "Instances by decision.", ["decision"],
                 {(name,): count for name, count in counted["instances"].items()})  # fmt: skip
    yield _gauge("readings", "Readings by status.", ["status"],
                 {(name,): count for name, count in counted["jobs"].items()})  # fmt: skip
    deliveries = {
        (destination, status): count
        for destination, by_status in counted["deliveries"].items()
        for status, count in by_status.items()
    }
    yield _gauge("deliveries", "Deliveries by destination and status.",
                 ["destination", "status"], deliveries)  # fmt: skip
    breakers = {(name,): int(each["open"]) for name, each in counted["breakers"].items()}
    yield _gauge("destination_down", "1 while nothing is sent to it.", ["destination"], breakers)


def _gauge(name: str, about: str, labels: list[str], values: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(f"dicom_node_{name}", about, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def _counter(name: str, about: str, labels: list[str], values: Mapping[Labels, int]) -> Metric:
    family = CounterMetricFamily(f"dicom_node_{name}", about, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family
