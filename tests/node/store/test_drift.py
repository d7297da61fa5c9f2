"""The reference of drift, and the alarms about it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert
from support.fakes import START, StoreHarness, reading_summary

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.drift import LEAST
from dicom_node.errors import NodeError
from dicom_node.store import recent, schema
from dicom_node.store.database import writing

WEEK = timedelta(days=7)


def _receive(
    node: StoreHarness,
    scores: Sequence[float],
    *,
    refused: int = 0,
    code: str = "unfamiliar",
    version: str = "1.0.0",
) -> None:
    """Films of one study that were read or refused now, a new study at each call."""
    now, job = node.clock.now, len(node.rows("jobs")) + 1
    study = f"1.{job}"
    films, readings = [], []
    for number in range(len(scores) + refused):
        is_read = number < len(scores)
        uid = f"{study}.{number}"
        films.append({
            "sop_instance_uid": uid, "sop_class_uid": "1.2", "study_instance_uid": study,
            "series_instance_uid": "1.3", "transfer_syntax_uid": "1.2", "path": uid, "size": 1,
            "sha256": "a", "calling_ae_title": "CR1", "received_at": now,
            "decision": "read" if is_read else "refused",
            "refusal_code": None if is_read else code,
        })  # fmt: skip
        if is_read:
            summary = replace(
                reading_summary(scores[number]), model_version=version, distance=scores[number]
            )
            readings.append({
                "sop_instance_uid": uid, "job_id": job, "read_at": now,
                "summary": summary.as_json(),
            })  # fmt: skip
    with writing(node.store._engine) as connection:
        connection.execute(insert(schema.studies).values(
            study_instance_uid=study, first_received_at=now, last_received_at=now,
        ))  # fmt: skip
        connection.execute(insert(schema.jobs).values(
            id=job, study_instance_uid=study, revision=1, status="done", created_at=now, due_at=now,
        ))  # fmt: skip
        connection.execute(insert(schema.instances), films)
        connection.execute(insert(schema.readings), readings)


def _scores(seed: int, more: float = 0.0, count: int = 2 * LEAST) -> list[float]:
    draw = random.Random(seed)
    return [min(1.0, draw.random() ** 2 + more) for _ in range(count)]


def _freeze(node: StoreHarness) -> None:
    """A month of films that becomes the reference."""
    _receive(node, _scores(1))
    node.clock.tick(60)
    node.store.drift.freeze(START - WEEK, node.clock.now, "admin")


def _settle(node: StoreHarness) -> list[AuditKind]:
    found = node.store.drift.look(WEEK)
    assert found is not None
    return [event.kind for event in node.store.drift.settle(found.shifts, 0.25)]


def test_an_alarm_begins_and_ends_with_one_audit_line_each(node: StoreHarness) -> None:
    """Other scores and distances, compared twice; then a week later films as before."""
    _freeze(node)
    _receive(node, _scores(2, more=0.5))
    node.clock.tick(60)
    assert _settle(node) == [AuditKind.DRIFT_BEGAN] * 2
    assert _settle(node) == []
    measures = [row["measure"] for row in node.rows("drift_alarms")]
    assert sorted(measures) == ["distance", "score"]
    node.clock.tick(WEEK.total_seconds())
    _receive(node, _scores(3))
    node.clock.tick(60)
    assert _settle(node) == [AuditKind.DRIFT_ENDED] * 2
    assert node.rows("drift_alarms") == []


def test_only_refusals_by_the_gate_count(node: StoreHarness) -> None:
    """A lateral film, refused by its header, says nothing about the films that are read."""
    _freeze(node)
    _receive(node, _scores(2), refused=LEAST, code="view")
    node.clock.tick(60)
    assert _settle(node) == []
    _receive(node, _scores(3), refused=4 * LEAST)
    node.clock.tick(60)
    assert _settle(node) == [AuditKind.DRIFT_BEGAN]
    assert [row["measure"] for row in node.rows("drift_alarms")] == ["refused"]


def test_the_reference_outlives_its_films_and_another_one_ends_the_alarms(
    node: StoreHarness,
) -> None:
    """Counts are kept; a reference of the new films is as they are."""
    _freeze(node)
    _receive(node, _scores(2, more=0.5))
    node.clock.tick(60)
    _settle(node)
    node.store.drift.freeze(START + timedelta(seconds=30), node.clock.now, "admin")
    assert node.rows("drift_alarms") == []
    assert node.kinds()[-3:] == [AuditKind.DRIFT_FROZEN, *[AuditKind.DRIFT_ENDED] * 2]
    reference = node.store.drift.reference()
    assert reference is not None
    assert reference.senders["CR1"]["score"].total == 2 * LEAST


def test_scores_of_other_networks_are_not_compared(node: StoreHarness) -> None:
    """After a promotion the reference must be made again; an alarm ends."""
    _freeze(node)
    _receive(node, _scores(2, more=0.5))
    node.clock.tick(60)
    _settle(node)
    _receive(node, _scores(2), version="2.0.0")
    node.clock.tick(60)
    found = node.store.drift.look(WEEK)
    assert found is not None
    assert (found.other_networks, list(found.shifts)) == ("2.0.0", [])
    assert _settle(node) == [AuditKind.DRIFT_ENDED] * 2


def test_too_few_films_make_no_reference(node: StoreHarness) -> None:
    """The sentence says how many there are; without a reference there is nothing to compare."""
    _receive(node, _scores(1, count=LEAST - 1))
    with pytest.raises(NodeError, match="the most are 99"):
        node.store.drift.freeze(START - WEEK, node.clock.now + WEEK, "admin")
    assert node.store.drift.look(WEEK) is None


def test_status_reads_the_alarms_without_sqlalchemy(node: StoreHarness, tmp_path: Path) -> None:
    """By plain SQL, with the time when the alarm began."""
    _freeze(node)
    _receive(node, _scores(2, more=0.5))
    node.clock.tick(60)
    _settle(node)
    found = recent.drift(tmp_path, node.url)
    assert [(each.sender, each.measure) for each in found] == [
        ("CR1", "distance"),
        ("CR1", "score"),
    ]
