"""docs/GLOSSARY.md gives each term one meaning, and leaves out no state."""

from __future__ import annotations

import re
from pathlib import Path

from dicom_node.domain.states import DeliveryStatus, JobStatus

PAGE = (Path(__file__).parents[2] / "docs" / "GLOSSARY.md").read_text()
TERMS = [
    term.strip()
    for cell in re.findall(r"^\| ([^|]+) \| .+ \|$", PAGE, re.M)
    for term in cell.split(",")
    if term.strip() not in {"term", "---"}
]


def test_every_term_is_defined_once() -> None:
    """A word with two rows would have two meanings."""
    assert sorted(TERMS) == sorted(set(TERMS))
    assert {"film", "gate", "refusal", "shipment", "audit log"} <= set(TERMS)


def test_every_status_of_a_job_and_a_delivery_is_defined() -> None:
    """What `dicom-node status` prints can be looked up."""
    for status in (*JobStatus, *DeliveryStatus):
        assert status.value in TERMS
