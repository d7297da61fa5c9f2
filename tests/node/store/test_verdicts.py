"""The table of verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.fakes import START, StoreHarness, instance, store_harness

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.verdicts import MOST_PER_STUDY, Fate, Finding, Source, Verdict


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StoreHarness]:
    with store_harness(tmp_path) as made:
        yield made


def _verdict(
    finding: Finding = Finding.NORMAL, *, days: float = 0, study: str = "1.2", accession: str = ""
) -> Verdict:
    return Verdict(
        finding=finding,
        source=Source.CSV,
        given_at=START + timedelta(days=days),
        given_by="R7",
        study_instance_uid=None if accession else study,
        accession_keys=(accession,) if accession else (),
    )


def test_the_newest_verdict_counts_in_whatever_order_they_come(node: StoreHarness) -> None:
    """By the time it was given, not by the time it was stored."""
    node.receive()
    node.store.verdicts.add([_verdict(Finding.PNEUMONIA, days=2), _verdict(Finding.NORMAL, days=1)])
    assert node.store.verdicts.current() == {"1.2": Finding.PNEUMONIA}
    node.store.verdicts.add([_verdict(Finding.COVID19, days=2)])
    assert node.store.verdicts.current() == {"1.2": Finding.COVID19}
    shown = [(row["finding"], row["superseded"]) for row in node.store.verdicts.listed(9)]
    assert shown == [("covid19", False), ("pneumonia", True), ("normal", True)]


def test_the_same_verdict_twice_is_stored_once(node: StoreHarness) -> None:
    """So that a file can be imported again."""
    node.receive()
    tally = node.store.verdicts.add([_verdict(), _verdict()])
    assert (tally.fates[Fate.STORED], tally.fates[Fate.SAME], tally.lost) == (1, 1, 0)
    assert node.kinds().count(AuditKind.VERDICT_STORED) == 1
    assert AuditKind.VERDICTS_TAKEN not in node.kinds()


def test_unknown_studies_are_counted_and_stop_nothing(node: StoreHarness) -> None:
    """An audit line counts what came to nothing."""
    node.receive()
    tally = node.store.verdicts.add([_verdict(study="9.9"), _verdict()], unreadable=3)
    assert tally.as_json() == {
        "stored": 1, "same": 0, "unknown": 1, "ambiguous": 0, "unreadable": 3, "undecided": 0,
        "preliminary": 0, "too_many": 0,
    }  # fmt: skip
    line = node.store.audit.tail(1)[0].event
    assert line.kind is AuditKind.VERDICTS_TAKEN
    assert line.detail == {"sources": ["csv"], **tally.as_json()}


def test_an_accession_number_finds_its_study_unless_two_have_it(node: StoreHarness) -> None:
    """A later film without the number does not remove it."""
    for study, number, accession in (("1.2", 1, "aa"), ("1.2", 2, ""), ("1.3", 1, "bb")):
        node.store.inbox.add(instance(study, number), accession=accession)
    node.store.inbox.add(instance("1.4"), accession="bb")
    tally = node.store.verdicts.add([_verdict(accession="aa"), _verdict(accession="bb")])
    assert (tally.fates[Fate.STORED], tally.fates[Fate.AMBIGUOUS]) == (1, 1)
    assert node.store.verdicts.current() == {"1.2": Finding.NORMAL}


def test_a_flood_of_reports_on_a_study_is_refused_and_a_person_still_decides(
    node: StoreHarness,
) -> None:
    """None is forgotten: the first one, sent again as if it were new, supersedes nothing."""
    node.receive()
    flood = [
        replace(_verdict(days=day), source=Source.HL7, message_key=f"M{day}")
        for day in range(MOST_PER_STUDY + 5)
    ]
    tally = node.store.verdicts.add(flood)
    assert (tally.fates[Fate.STORED], tally.fates[Fate.TOO_MANY]) == (MOST_PER_STUDY, 5)
    again = replace(flood[0], finding=Finding.COVID19, given_at=START + timedelta(days=99))
    assert node.store.verdicts.add([again]).fates[Fate.SAME] == 1
    assert node.kinds().count(AuditKind.VERDICT_STORED) == MOST_PER_STUDY
    node.store.verdicts.add([_verdict(Finding.PNEUMONIA, days=100)])
    assert node.store.verdicts.current() == {"1.2": Finding.PNEUMONIA}


def test_verdicts_leave_with_their_study(node: StoreHarness) -> None:
    """An erased study keeps none."""
    node.receive()
    node.store.verdicts.add([_verdict()])
    node.store.retention.erase("1.2", "root")
    assert node.rows("verdicts") == []


def test_verdicts_of_studies_received_since_a_time(node: StoreHarness) -> None:
    """Older studies are left out."""
    node.receive("1.2")
    node.clock.tick(60)
    node.receive("1.3")
    node.store.verdicts.add([_verdict(study="1.2"), _verdict(study="1.3")])
    assert node.store.verdicts.current(since=node.clock.now) == {"1.3": Finding.NORMAL}


def test_who_is_kept_as_given_without_what_a_terminal_acts_on(node: StoreHarness) -> None:
    """And not at any length."""
    node.receive()
    given = Verdict(
        finding=Finding.OTHER, source=Source.HL7, given_at=START, given_by="R7\x1b\n" + "x" * 99,
        study_instance_uid="1.2",
    )  # fmt: skip
    node.store.verdicts.add([given])
    assert node.rows("verdicts")[0]["given_by"] == "R7" + "x" * 62
