"""STAT first: who says so, and what it changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.fakes import StoreHarness, instance
from support.receiving import MemoryStore, receiver, send, small_film

from dicom_node.config import PriorityConfig
from dicom_node.errors import ConfigError
from dicom_node.receive.header_scan import Header
from dicom_node.receive.priority import PriorityRule
from dicom_node.store.due import FILMS_AT_ONCE


def receive(node: StoreHarness, study: str, priority: int = 0) -> None:
    node.store.inbox.add(replace(instance(study, 1, node.clock.now), priority=priority))
    node.clock.tick()
    node.open_ready()


def test_an_urgent_study_overtakes_those_that_wait(node: StoreHarness) -> None:
    """STAT first, among equals the oldest; what is being read is finished."""
    receive(node, "1.2")
    receive(node, "1.3")
    receive(node, "1.4", priority=1)
    receive(node, "1.5", priority=1)
    claimed = [node.claim().study_instance_uid for _ in range(4)]
    assert claimed == ["1.4", "1.5", "1.2", "1.3"]


def test_an_urgent_film_makes_the_study_urgent_that_waits_already(node: StoreHarness) -> None:
    """It joins its study's job, which then goes first."""
    receive(node, "1.2")
    receive(node, "1.3")
    node.store.inbox.add(replace(instance("1.3", 2, node.clock.now), priority=1))
    assert node.claim().study_instance_uid == "1.3"


def test_a_study_is_urgent_once(node: StoreHarness) -> None:
    """A routine film that comes after an urgent one was read waits like all others."""
    receive(node, "1.2", priority=1)
    node.finish(node.claim())
    receive(node, "1.3")
    node.receive("1.2", 2)
    node.open_ready()
    assert node.claim().study_instance_uid == "1.3"


@pytest.mark.parametrize(
    ("value", "calling", "urgent"),
    [("STAT", "CT1", 1), ("high", "CT1", 1), ("ROUTINE", "CT1", 0), ("", "ER", 1), ("", "CT1", 0)],
)
def test_the_header_or_the_sender_says_so(value: str, calling: str, urgent: int) -> None:
    """One of `stat_values`, whatever its case, or one of `stat_ae_titles`."""
    rule = PriorityRule(PriorityConfig(stat_ae_titles=("ER",), header_from=("CT1",)))
    assert rule.of(Header(priority=value), calling) == urgent


def test_only_listed_peers_may_say_urgent() -> None:
    """Else any peer could put its studies before all others; without a list, none may."""
    assert PriorityRule(PriorityConfig()).of(Header(priority="STAT"), "CT1") == 0
    rule = PriorityRule(PriorityConfig(header_from=("ER",)))
    stat = Header(priority="STAT")
    assert (rule.of(stat, "ER"), rule.of(stat, "CT1")) == (1, 0)


def test_peers_take_turns(node: StoreHarness) -> None:
    """One peer's many studies delay another peer's by one reading."""
    for number in range(2, 6):
        receive(node, f"1.{number}")
    other = replace(instance("1.9", 1, node.clock.now), calling_ae_title="OTHER")
    node.store.inbox.add(other)
    node.open_ready()
    claimed = [node.claim().study_instance_uid for _ in range(5)]
    assert claimed == ["1.2", "1.9", "1.3", "1.4", "1.5"]


def test_a_study_of_hundreds_of_films_yields_to_an_urgent_one(node: StoreHarness) -> None:
    """It is read in parts; the urgent study is read after the part that is being read."""
    for number in range(1, 2 * FILMS_AT_ONCE + 1):
        node.store.inbox.add(instance("1.2", number, node.clock.now))
    node.open_ready()
    part = node.claim()
    assert len(part.instances) == FILMS_AT_ONCE
    receive(node, "1.3", priority=1)
    node.finish(part)
    node.open_ready()
    assert node.claim().study_instance_uid == "1.3"
    assert len(node.claim().instances) == FILMS_AT_ONCE


def test_a_word_that_is_no_keyword_stops_the_start() -> None:
    """A typing error would make nothing urgent, in silence."""
    with pytest.raises(ConfigError, match=r"priority\.attribute: Urgent"):
        PriorityRule(PriorityConfig(attribute="Urgent"))


def test_a_film_keeps_its_urgency_from_the_wire_to_the_store(tmp_path: Path) -> None:
    """Requested Procedure Priority (0040,1003) of the header."""
    store = MemoryStore()
    stat = small_film(RequestedProcedurePriority="STAT")
    routine = small_film(seed=1)
    listed = PriorityConfig(header_from=("MODALITY",))
    with receiver(tmp_path, store, priority=listed) as running:
        assert send(running.ports[0], stat) == send(running.ports[0], routine) == 0x0000
    assert store.rows[stat.SOPInstanceUID].priority == 1
    assert store.rows[routine.SOPInstanceUID].priority == 0
