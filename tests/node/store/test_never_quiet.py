"""A study is read although instances keep arriving under its UID."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from support.fakes import StoreHarness, instance

from dicom_node.config import Config
from dicom_node.service.work_alarms import unread
from dicom_node.store.status import read_status

REPORT = "1.2.840.10008.5.1.4.1.1.88.11"  # Basic Text SR, which is never read
QUIET, LONGEST = 5.0, 60.0


def _opened(node: StoreHarness) -> int:
    return node.store.jobs.open_ready(node.clock.after(-QUIET), node.clock.after(-LONGEST))


def _companion(node: StoreHarness, number: int) -> None:
    report = replace(instance("1.2", number, node.clock.now), sop_class_uid=REPORT)
    assert node.store.inbox.add(report)


def test_what_is_never_read_does_not_delay_the_films(node: StoreHarness) -> None:
    """A report every second; the film is read after the quiet time."""
    node.receive()
    for second in range(int(QUIET)):
        assert _opened(node) == 0
        _companion(node, 100 + second)
        node.clock.tick()
    assert _opened(node) == 1


def test_the_study_that_is_quiet_next_is_known_until_it_is_opened(node: StoreHarness) -> None:
    """By its last instance; one that was quiet already does not count."""
    jobs, first = node.store.jobs, node.clock.now
    assert jobs.next_quiet(node.clock.after(-QUIET)) is None
    node.receive("1.2")
    node.clock.tick()
    node.receive("1.3", number=2)
    assert jobs.next_quiet(node.clock.after(-QUIET)) == first
    assert jobs.next_quiet(first) == node.clock.now
    node.open_ready()
    node.claim()
    node.claim()
    assert jobs.next_quiet(node.clock.after(-QUIET)) is None


def test_films_that_keep_arriving_delay_the_first_one_by_the_longest_wait(
    node: StoreHarness,
) -> None:
    """A film every second: the study is opened `study.longest_wait_seconds` after its first."""
    opened = 0
    for second in range(int(LONGEST) + 1):
        assert opened == 0
        node.receive(number=second + 1)
        opened = _opened(node)
        node.clock.tick()
    assert opened == 1


def test_reports_alone_do_not_open_a_study_for_each_of_them(node: StoreHarness) -> None:
    """They are decided together, after the longest wait."""
    for second in range(int(LONGEST)):
        _companion(node, second + 1)
        assert _opened(node) == 0
        node.clock.tick()
    assert _opened(node) == 1


def test_an_undecided_film_waits_and_raises_an_alarm_in_time(
    node: StoreHarness, tmp_path: Path
) -> None:
    """`status` counts it as waiting although there is no job; after ten longest waits, alarm."""
    came = node.receive().received_at
    assert read_status(tmp_path, node.url)["oldest_waiting"] == came.isoformat(
        timespec="microseconds"
    )
    longest = Config().study.longest_wait_seconds
    assert unread(Config(), came, came + timedelta(seconds=longest)) == []
    (alarm,) = unread(Config(), came, came + timedelta(seconds=11 * longest))
    assert "11 minutes" in alarm.sentence
