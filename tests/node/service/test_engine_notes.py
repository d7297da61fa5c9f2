"""What `status` says of the engine that each worker computes with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.service.engine_notes import EngineNotes, engines


@dataclass
class Lines:
    """An `Audit` in memory."""

    events: list[AuditEvent] = field(default_factory=list)

    def append(self, *events: AuditEvent) -> None:
        self.events += events


def test_status_says_why_a_worker_stays_at_fp32(tmp_path: Path) -> None:
    """The engine and the reasons are those the worker noted; ended workers are left out."""
    for name in ("worker-1", "worker-2"):
        EngineNotes(tmp_path, name, Lines()).chosen("cpu fp32", ["cuda fp32 was not measured"])
    found = engines(tmp_path, {"supervisor": 1, "worker-1": 2, "deliverer-1": 3})
    assert found == {"worker-1": {"engine": "cpu fp32", "why": ["cuda fp32 was not measured"]}}


def test_a_gpu_without_memory_is_in_the_audit_log(tmp_path: Path) -> None:
    """The line names worker and reason, and `status` follows."""
    lines = Lines()
    EngineNotes(tmp_path, "worker-1", lines).fell_back("cuda bf16")
    (event,) = lines.events
    assert event.kind is AuditKind.ENGINE_FAILED
    assert event.detail == {"process": "worker-1", "reason": "cuda bf16 had no memory for a film"}
    assert engines(tmp_path, ["worker-1"])["worker-1"]["engine"] == "cpu fp32"


def test_a_worker_of_a_cluster_notes_its_engine_too(tmp_path: Path) -> None:
    """Its leases name the machine as well; the notes lie in that machine's own folder."""
    EngineNotes(tmp_path, "east/worker-1", Lines()).chosen("cpu fp32", [])
    assert engines(tmp_path, ["worker-1"])["worker-1"]["engine"] == "cpu fp32"
