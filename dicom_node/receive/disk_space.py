"""Whether there is room for another object: asked before its first byte is written."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import structlog

from dicom_node.audit.best_effort import tell
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.receive.store_status import Fault, StoreRefused

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.config import SpoolConfig
    from dicom_node.ports import Audit

LOOK_BYTES = 16 * 2**20  # of one object, between two looks at the disk
_RECOVERED = 1.1  # of the least free space; without it, refusing and taking would alternate
_MIB = 2**20

log = structlog.get_logger()


class Room:
    """The disk's low watermark and the size of an object; safe to use from all threads."""

    def __init__(self, folder: Path, spool: SpoolConfig, audit: Audit) -> None:
        self._folder = folder
        self._least = spool.min_free_mb * _MIB
        self._largest = spool.max_object_mb * _MIB
        self._audit = audit
        self._lock = threading.Lock()
        self._full = False

    def check(self, size: int = 0) -> None:
        """Raise StoreRefused where there is no room, or where the object has grown too large."""
        if size > self._largest:
            raise StoreRefused(Fault.BOUNDS, f"more than {self._largest // _MIB} MiB")
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        with self._lock:
            was = self._full
            self._full = free < self._least * (_RECOVERED if was else 1)
            now = self._full
        if now is not was:
            self._tell(AuditKind.DISK_LOW if now else AuditKind.DISK_RECOVERED, free)
        if now:
            raise StoreRefused(Fault.RESOURCES, "the node's disk is full; send again later")

    def _tell(self, kind: AuditKind, free: int) -> None:
        detail: dict[str, object] = {"free_mb": free // _MIB, "least_mb": self._least // _MIB}
        log.warning(kind.value, **detail)
        tell(self._audit, AuditEvent(kind=kind, detail=detail))
