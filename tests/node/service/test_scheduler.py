"""The ticks: what each asks the store, and that one which fails does not stop the others."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.config import StudyConfig
from dicom_node.service.scheduler import Ticks, scheduler

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Shelf:
    """Stands for Jobs and Outbox: remembers what it was asked."""

    def __init__(self) -> None:
        self.quiet_before: list[datetime] = []
        self.overdue_before: datetime | None = None
        self.released = 0
        self.ready = 0
        self.next: datetime | None = None

    def open_ready(self, quiet_before: datetime, overdue_before: datetime | None = None) -> int:
        self.quiet_before.append(quiet_before)
        self.overdue_before = overdue_before
        return self.ready

    def next_quiet(self, quiet_before: datetime) -> datetime | None:
        return self.next

    def release(self, owner: str | None = None) -> int:
        self.released += 1
        return 1


def _ticks(shelf: Shelf) -> Ticks:
    return Ticks(
        study=StudyConfig(quiet_seconds=7.0),
        jobs=shelf,  # type: ignore[arg-type]
        release=shelf.release,
        repair_clock_skew=lambda: 0,
        clock=lambda: NOW,
    )


def test_a_study_is_ready_when_it_was_quiet_for_the_configured_time() -> None:
    """Nothing younger than study.quiet_seconds is taken."""
    shelf = Shelf()
    _ticks(shelf).assemble()
    assert shelf.quiet_before == [NOW - timedelta(seconds=7)]
    assert shelf.overdue_before == NOW - timedelta(seconds=60)


@pytest.mark.parametrize(("seconds", "at"), [(0.04, NOW + timedelta(seconds=0.04)), (3.0, None)])
def test_a_study_that_is_quiet_before_the_next_tick_is_opened_at_its_time(
    seconds: float, at: datetime | None
) -> None:
    """A later one is left to a later tick."""
    shelf = Shelf()
    shelf.next = NOW - timedelta(seconds=7) + timedelta(seconds=seconds)
    assert _ticks(shelf).assemble() == at


def test_workers_are_woken_when_a_study_is_ready() -> None:
    """And only then."""
    shelf, woken = Shelf(), []
    ticks = replace(_ticks(shelf), ready=lambda: woken.append(1))
    ticks.assemble()
    assert not woken
    shelf.ready = 1
    ticks.assemble()
    assert woken == [1]


def test_leases_that_ran_out_go_back() -> None:
    """Every queue's, with one sweep."""
    shelf = Shelf()
    _ticks(shelf).sweep_leases()
    assert shelf.released == 1


def test_a_tick_that_fails_is_tried_again_and_the_others_go_on() -> None:
    """A delivery that blows up every time does not keep studies from being read."""
    shelf, tries, enough = Shelf(), [], threading.Event()

    def explode() -> None:
        tries.append(1)
        if len(tries) >= 2 and shelf.quiet_before:
            enough.set()
        raise ValueError("boom")

    ticking = scheduler(_ticks(shelf), explode)
    ticking.start()
    try:
        assert enough.wait(10)
    finally:
        ticking.shutdown()
