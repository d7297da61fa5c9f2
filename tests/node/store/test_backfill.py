"""What the store knows of studies that are fetched from a PACS."""

from __future__ import annotations

from dataclasses import replace

from support.fakes import StoreHarness, instance

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.values import BACKFILL


def say(node: StoreHarness, kind: AuditKind, study: str = "1.2") -> None:
    node.store.audit.append(AuditEvent(kind=kind, study_instance_uid=study))


def test_films_of_a_backfill_are_read_last(node: StoreHarness) -> None:
    """A film of today overtakes a month of older ones."""
    node.store.inbox.add(replace(instance("1.2", 1, node.clock.now), priority=BACKFILL))
    node.clock.tick()
    node.receive("1.3")
    node.clock.tick()
    node.open_ready()
    assert [node.claim().study_instance_uid for _ in range(2)] == ["1.3", "1.2"]


def test_a_study_is_asked_for_until_its_films_came(node: StoreHarness) -> None:
    """And a few hours at most: a backfill may have been killed."""
    inbox = node.store.inbox
    assert not inbox.is_asked_for("1.2")
    say(node, AuditKind.BACKFILL_ASKED)
    assert inbox.is_asked_for("1.2")
    assert not inbox.is_asked_for("1.3")
    say(node, AuditKind.BACKFILL_FAILED)
    assert not inbox.is_asked_for("1.2")
    say(node, AuditKind.BACKFILL_ASKED)
    node.clock.tick(24 * 3600)
    assert not inbox.is_asked_for("1.2")


def test_what_was_here_is_known_for_good(node: StoreHarness) -> None:
    """Fetched, removed by retention, or erased by a person; not what only failed."""
    node.receive("1.2")
    say(node, AuditKind.BACKFILL_FAILED)
    assert not node.store.queries.was_here("1.2")
    say(node, AuditKind.STUDY_ERASED)
    assert node.store.queries.was_here("1.2")
    say(node, AuditKind.BACKFILL_FETCHED, "1.3")
    assert node.store.queries.was_here("1.3")


def test_instances_are_counted_by_series_and_while_they_wait(node: StoreHarness) -> None:
    """A parked film waits for a person, not for the queue."""
    queries = node.store.queries
    series = node.receive("1.2", 1).series_instance_uid
    node.receive("1.2", 2)
    assert queries.received("1.2") == {series: 2}
    assert queries.waiting_films() == 2
    node.open_ready()
    node.store.jobs.fail(node.claim(), "it fails", None)
    assert queries.waiting_films() == 0
