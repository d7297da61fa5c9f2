"""The APScheduler ticks: studies to open, due deliveries, expired leases.

One process runs them. All state is in the store, so a tick that was missed is only late.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from dicom_node.fail_points import fail_point
from dicom_node.log import where

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dicom_node.config import Config, StudyConfig
    from dicom_node.ports import Clock, Jobs

_ASSEMBLE_SECONDS = 0.1  # how late a quiet study may be noticed
_DELIVER_SECONDS = 0.25  # how late a due delivery may be noticed that nothing announces
_BACKGROUND_SECONDS = 0.5  # how late a verification, a report or a probe may be
_LEASE_SECONDS = 10.0  # how late an expired lease may be noticed
_HOUSEKEEPING_SECONDS = 3600.0
_CHECKPOINT_SECONDS = 10.0  # how late a checkpoint may be

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """Studies to open, expired leases to free."""

    study: StudyConfig
    jobs: Jobs
    release: Callable[[], int]  # frees expired leases; how many
    repair_clock_skew: Callable[[], int]  # makes due what a wrong clock postponed; how many
    clock: Clock
    ready: Callable[[], object] = lambda: None  # called when studies are to be read

    def assemble(self) -> datetime | None:
        """Make a job of every study that was quiet, or has waited, for long enough.

        Returns when the next study will have been quiet, if that is before the next tick.
        """
        now = self.clock()
        quiet_before = now - timedelta(seconds=self.study.quiet_seconds)
        overdue_before = now - timedelta(seconds=self.study.longest_wait_seconds)
        if self.jobs.open_ready(quiet_before, overdue_before):
            fail_point("study.opened")
            self.ready()
        last = self.jobs.next_quiet(quiet_before)
        soon = last is not None and last - quiet_before < timedelta(seconds=_ASSEMBLE_SECONDS)
        return now + (last - quiet_before) if last is not None and soon else None

    def sweep_leases(self) -> None:
        """Free work whose lease expired, and repair what a wrong clock wrote."""
        released = self.release()
        if released:
            log.warning("leases expired", released=released)
        repaired = self.repair_clock_skew()
        if repaired:
            log.warning("the clock was ahead; postponed work is due now", rows=repaired)


def scheduler(
    ticks: Ticks | None,
    deliver: Callable[[], object] | None,
    background_tasks: Iterable[Callable[[], object]] = (),
) -> BackgroundScheduler:
    """A scheduler, not yet started.

    A tick that still runs is not started again; the ticks missed meanwhile run once.

    Parameters
    ----------
    ticks
        None if another machine has them.
    deliver
        Starts sending everything due; None if another machine sends.
    background_tasks
        Each in a thread: it may wait for a peer.
    """
    ticking = BackgroundScheduler(
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    if ticks is not None:
        ticking.add_job(_assemble, "interval", (ticking, ticks), seconds=_ASSEMBLE_SECONDS)
        ticking.add_job(ticks.sweep_leases, "interval", seconds=_LEASE_SECONDS)
    if deliver is not None:
        ticking.add_job(deliver, "interval", seconds=_DELIVER_SECONDS)
    for task in background_tasks:
        ticking.add_job(task, "interval", seconds=_BACKGROUND_SECONDS)
    ticking.add_listener(_report, EVENT_JOB_ERROR)
    return ticking


def _assemble(ticking: BackgroundScheduler, ticks: Ticks) -> None:
    """Open what is ready now, and at its very time what will be before the next tick."""
    if (at := ticks.assemble()) is not None:
        ticking.add_job(
            _assemble, "date", (ticking, ticks), run_date=at, id="ready", replace_existing=True
        )


def keep_house(
    ticking: BackgroundScheduler, hourly: Callable[[], object], often: Callable[[], object]
) -> None:
    """Run one task now and then every hour, and another every few seconds."""
    ticking.add_job(often, "interval", seconds=_CHECKPOINT_SECONDS)
    now = datetime.now(UTC)
    ticking.add_job(hourly, "interval", seconds=_HOUSEKEEPING_SECONDS, next_run_time=now)


def _report(event: JobExecutionEvent) -> None:
    log.error("periodic task failed", tick=event.job_id, error=where(event.exception))


def longest_wait(config: Config) -> timedelta:
    """Return the longest delay that the node itself ever sets."""
    return timedelta(
        seconds=max(
            config.study.quiet_seconds, config.workers.lease_seconds,
            config.delivery.max_retry_seconds, config.delivery.lease_seconds,
            config.delivery.commitment_timeout_seconds,
        )
    )  # fmt: skip
