"""The timeline of a study: every second between the last film and the last answer has a name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import START, reading_summary

from dicom_node.domain.timeline import timeline


def _at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def _line(kind: str, seconds: float, **detail: object) -> dict[str, Any]:
    return {"kind": kind, "at": _at(seconds).isoformat(), "detail": detail}


def _study(**changes: Any) -> dict[str, Any]:
    summary = replace(reading_summary(), seconds={"decode": 0.1, "lungs": 0.2})
    study = {
        "instances": [
            {"received_at": _at(0), "job_id": 1, "reading": summary},
            {"received_at": _at(1), "job_id": 1, "reading": summary},
        ],
        "jobs": [
            {"id": 1, "revision": 1, "created_at": _at(6), "started_at": _at(6.5),
             "finished_at": _at(8)},
        ],
        "audit": [
            _line("study-ready", 6),
            _line("delivery-begun", 9, destination="pacs", connecting=0.25),
            _line("delivery-accepted", 10, destination="pacs"),
            _line("delivery-accepted", 12, destination="pacs"),
        ],
    }  # fmt: skip
    return study | changes


def test_every_second_has_a_name() -> None:
    """From the last film on: quiet time, wait, the worker's own steps, the rest, the delivery."""
    steps = timeline(_study())
    assert [(step.name, round(step.seconds, 4)) for step in steps] == [
        ("quiet", 5.0),
        ("claim", 0.5),
        ("decode", 0.2),
        ("lungs", 0.4),
        ("store", 0.9),
        ("wait for pacs", 0.75),
        ("connect to pacs", 0.25),
        ("send to pacs", 1.0),
        ("send to pacs", 2.0),
    ]
    assert steps[-1].at == sum(step.seconds for step in steps) == 11.0


def test_two_destinations_have_their_own_steps() -> None:
    """One waits while the other is sent to."""
    lines = [
        _line("delivery-begun", 9, destination="a", connecting=0.0),
        _line("delivery-begun", 9.5, destination="b", connecting=0.0),
        _line("delivery-accepted", 10, destination="b"),
        _line("delivery-accepted", 11, destination="a"),
    ]
    found = {step.name: step.seconds for step in timeline(_study(audit=lines))}
    assert found["send to a"] == 2.0
    assert found["send to b"] == 0.5
    assert found["wait for b"] == 1.5


def test_a_line_of_an_older_version_has_no_time_to_connect() -> None:
    """The wait then includes it."""
    lines = [_line("delivery-begun", 9, destination="pacs")]
    assert timeline(_study(audit=lines))[-2].seconds == 1.0


@pytest.mark.parametrize("missing", ["jobs", "instances"])
def test_a_study_that_is_not_read_has_none(missing: str) -> None:
    """Nothing to say yet, or the films belong to a later reading."""
    assert timeline(_study(**{missing: []})) == []
