"""The audit log against the disk it is written to."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.machine import syncs_per_second
from bench.rows import Row
from bench.run import Run

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.clock import utc_now
from dicom_node.store.store import open_store

_EVENTS = 300


def events(run: Run) -> Iterator[Row]:
    """Events a second, each in its own commit."""
    store = open_store(run.scratch / "data", utc_now)
    event = AuditEvent(
        kind=AuditKind.INSTANCE_RECEIVED,
        study_instance_uid="1.2.826.0.1.3680043.10.1",
        sop_instance_uid="1.2.826.0.1.3680043.10.1.1.1",
        detail={"calling": "MODALITY", "size": 10_240_000, "sha256": "0" * 64},
    )
    rates, disk = [], []
    for _ in range(3):
        disk.append(syncs_per_second(run.scratch))
        began = time.perf_counter()
        for _ in range(_EVENTS):
            store.audit.append(event)
        rates.append(_EVENTS / (time.perf_counter() - began))
    store.close()
    rate, syncs = statistics.median(rates), statistics.median(disk)
    yield Row(
        name="durable audit events / fdatasync of the disk",
        ratio=rate / syncs,
        target="≥ 0.5",
        measured=f"{rate:.0f} / {syncs:.0f} a second",
    )
