"""Whether the disk has space for another object; checked before its first byte is written."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import structlog

from dicom_node.audit.best_effort import record_or_log
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.receive.store_status import StoreFault, StoreRefused

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.config import SpoolConfig
    from dicom_node.ports import Audit

CHECK_EVERY_BYTES = 16 * 2**20  # of one object, between two checks of the disk
_RECOVERED = 1.1  # times the least free space; hysteresis, so that the state does not flutter
_MIB = 2**20

log = structlog.get_logger()


class DiskGuard:
    """Enforces `spool.min_free_mb` and `spool.max_object_mb`; safe to use from all threads."""

    def __init__(self, folder: Path, spool: SpoolConfig, audit: Audit) -> None:
        self._folder = folder
        self._least = spool.min_free_mb * _MIB
        self._largest = spool.max_object_mb * _MIB
        self._audit = audit
        self._lock = threading.Lock()
        self._full = False

    def check(self, size: int = 0) -> None:
        """Raise StoreRefused if the disk is low or the object has grown too large.

        ``size`` is the number of bytes of the object so far.
        """
        if size > self._largest:
            raise StoreRefused(StoreFault.BOUNDS, f"more than {self._largest // _MIB} MiB")
        free = self._free()
        with self._lock:
            was = self._full
            self._full = free < self._least * (_RECOVERED if was else 1)
            now = self._full
        if now is not was:
            self._report(AuditKind.DISK_LOW if now else AuditKind.DISK_RECOVERED, free)
        if now:
            raise StoreRefused(StoreFault.RESOURCES, "the node's disk is full; send again later")

    def room(self) -> int:
        """Bytes that are free above the least free space; negative below it."""
        return self._free() - self._least

    def _free(self) -> int:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def _report(self, kind: AuditKind, free: int) -> None:
        detail: dict[str, object] = {"free_mb": free // _MIB, "least_mb": self._least // _MIB}
        log.warning(kind.value, **detail)
        record_or_log(self._audit, AuditEvent(kind=kind, detail=detail))
