"""How a study's story and its audit lines look to a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dicom_node.cli.output import NOT_FOR_DIAGNOSIS, print_line, print_table, probability

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SHOWN_DETAIL = 100  # characters of an audit line's detail; --json has all


def print_story(story: Mapping[str, Any]) -> None:
    """Print films, objects with their deliveries, and the audit lines of one study."""
    print_line(f"study {story['study_instance_uid']}, revision {story['revision']}")
    print_table(
        NOT_FOR_DIAGNOSIS,
        ["film", "received", "from", "decision", "pneumonia", "COVID-19"],
        (_film(instance) for instance in story["instances"]),
    )
    for job in story["jobs"]:
        reason = f": {job['last_reason']}" if job["last_reason"] else ""
        print_line(f"reading {job['revision']}: {job['status']}, attempt {job['attempt']}{reason}")
    print_table(
        "results",
        ["object", "kind", "series", "deliveries"],
        (
            [
                result["sop_instance_uid"],
                result["modality"],
                result["series_description"],
                "\n".join(map(_delivery, result["deliveries"])),
            ]
            for result in story["results"]
        ),
    )
    print_audit(story["audit"])


def print_audit(lines: Iterable[Mapping[str, Any]]) -> None:
    """Print audit lines, the detail shortened."""
    print_table(
        "audit",
        ["#", "at", "kind", "detail"],
        (
            [line["sequence"], line["at"][:19], line["kind"], _short(line["detail"])]
            for line in lines
        ),
    )


def _film(instance: Mapping[str, Any]) -> list[object]:
    reading = instance["reading"] or {}
    decision = instance["decision"]
    if instance["refusal_code"]:
        decision = f"{instance['refusal_code']}: {instance['refusal_reason']}"
    elif polarity := reading.get("polarity"):
        decision = f"{decision}, polarity: {polarity}"
    return [
        instance["sop_instance_uid"],
        f"{instance['received_at']:%Y-%m-%d %H:%M:%S}",
        instance["calling_ae_title"],
        decision,
        probability(reading.get("pneumonia")),
        probability(reading.get("covid19")),
    ]


def _delivery(delivery: Mapping[str, Any]) -> str:
    said = delivery["last_reason"]
    if delivery["committed_by"]:
        said = f"{delivery['committed_at']:%Y-%m-%d %H:%M:%S}, by {delivery['committed_by']}"
    reason = f" ({said})" if said else ""
    return f"{delivery['destination']}: {delivery['status']}{reason}"


def _short(detail: object) -> str:
    text = json.dumps(detail)
    return text if len(text) <= _SHOWN_DETAIL else text[: _SHOWN_DETAIL - 1] + "…"
