"""The APScheduler ticks: whole studies, due deliveries, leases that ran out.

One process runs them; the state they move is in the store, so a tick that never ran is simply late.
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
    from collections.abc import Callable

    from dicom_node.config import StudyConfig
    from dicom_node.ports import Clock, Jobs

_ASSEMBLE_SECONDS = 0.25  # how late a quiet study may be noticed
_DELIVER_SECONDS = 0.25  # how late a due delivery may be noticed
_ASIDE_SECONDS = 0.5  # how late a question, a report or a probe may go out
_LEASE_SECONDS = 10.0  # how late a lease that ran out may be noticed
_HOUSEKEEPING_SECONDS = 3600.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticks:
    """What is done again and again."""

    study: StudyConfig
    jobs: Jobs
    deliver: Callable[[], object]  # sends everything due, returns when nothing is
    background_tasks: tuple[
        Callable[[], object], ...
    ]  # what else may wait for a peer: a thread for each
    release: Callable[[], int]  # gives back the leases that ran out; how many
    repair_clock_skew: Callable[[], int]  # makes due what a wrong clock has put off; how much
    clock: Clock

    def assemble(self) -> None:
        """Make a job of every study that has been quiet long enough."""
        if self.jobs.open_ready(self.clock() - timedelta(seconds=self.study.quiet_seconds)):
            fail_point("study.opened")

    def sweep_leases(self) -> None:
        """Give back the work of holders that let their lease run out."""
        released = self.release()
        if released:
            log.warning("leases ran out", released=released)
        pulled = self.repair_clock_skew()
        if pulled:
            log.warning("the clock was ahead, what it put off is due now", rows=pulled)


def scheduler(ticks: Ticks) -> BackgroundScheduler:
    """A scheduler with all ticks in it, not yet started.

    A tick that is still running is not started again; ticks missed meanwhile become one.
    """
    ticking = BackgroundScheduler(
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        timezone="UTC",
    )
    ticking.add_job(ticks.assemble, "interval", seconds=_ASSEMBLE_SECONDS)
    ticking.add_job(ticks.deliver, "interval", seconds=_DELIVER_SECONDS)
    for aside in ticks.background_tasks:
        ticking.add_job(aside, "interval", seconds=_ASIDE_SECONDS)
    ticking.add_job(ticks.sweep_leases, "interval", seconds=_LEASE_SECONDS)
    ticking.add_listener(_report, EVENT_JOB_ERROR)
    return ticking


def keep_house(ticking: BackgroundScheduler, run: Callable[[], object]) -> None:
    """Have this done at once, then every hour."""
    ticking.add_job(run, "interval", seconds=_HOUSEKEEPING_SECONDS, next_run_time=datetime.now(UTC))


def _report(event: JobExecutionEvent) -> None:
    log.error("tick failed", tick=event.job_id, error=where(event.exception))
