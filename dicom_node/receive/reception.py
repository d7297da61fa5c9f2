"""Bytes to disk, durably and once per SOP Instance UID; the row and its audit line in one commit.

No path is made of what a peer sent: a file's name is the SHA-256 of its SOP Instance UID. A crash
between the file and the row leaves a file without a row; the peer got no Success, sends again, and
the same name is written over. One receiver works on a data folder: the locks are its own.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.values import Instance
from dicom_node.fail_points import fail_point
from dicom_node.receive.checks import check_identity, check_pixels
from dicom_node.receive.header_scan import Header, read_header

if TYPE_CHECKING:
    from dicom_node.ports import Audit, Clock, Inbox
    from dicom_node.receive.arrival import Arrival
    from dicom_node.receive.associations import Link
    from dicom_node.receive.checks import Equipment
    from dicom_node.receive.priority import PriorityRule

INCOMING = Path("spool/incoming")
INSTANCES = Path("spool/instances")

_LOCKS = 64  # two UIDs share one now and then, and wait a few milliseconds

log = structlog.get_logger()


def instance_path(sop_instance_uid: str, beside: str = "") -> Path:
    """Where an instance lies, relative to the data folder.

    ``beside`` is the SHA-256 of other bytes under the same UID: they get a name of their own.
    """
    name = hashlib.sha256(sop_instance_uid.encode()).hexdigest()
    suffix = f".{beside[:12]}.dcm" if beside else ".dcm"
    return INSTANCES / name[:2] / f"{name}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """The folders under the data folder that reception writes to."""

    data_dir: Path

    @property
    def incoming(self) -> Path:
        """Where data sets lie while they come; on the file system of their last place."""
        return self.data_dir / INCOMING

    def prepare(self) -> None:
        """Create the folders, and clear away what a crash left half received."""
        self.incoming.mkdir(parents=True, exist_ok=True)
        for part in self.incoming.glob("*.part"):
            part.unlink()
        (self.data_dir / INSTANCES).mkdir(exist_ok=True)
        for folder in (INSTANCES.parent, Path()):
            _sync(self.data_dir / folder)

    def place(self, arrival: Arrival, path: Path) -> None:
        """Move a sealed arrival to its last place, durably."""
        target = self.data_dir / path
        if not target.parent.exists():  # 256 times in a node's life
            target.parent.mkdir(exist_ok=True)
            _sync(target.parent.parent)
        arrival.path.rename(target)
        _sync(target.parent)


class Reception:
    """Decides what becomes of a data set that has arrived.

    Parameters
    ----------
    own
        The equipment this node's results carry, or None: then they are known by UID alone.
    """

    def __init__(
        self, spool: Spool, inbox: Inbox, audit: Audit, clock: Clock, own: Equipment | None,
        urgency: PriorityRule,
    ) -> None:  # fmt: skip
        self._spool = spool
        self._inbox = inbox
        self._audit = audit
        self._clock = clock
        self._own = own
        self._urgency = urgency
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def keep(self, arrival: Arrival, link: Link) -> None:
        """Keep the instance, durably; where this returns, the peer may be told Success.

        Raises
        ------
        StoreRefused
            The object is not what it says, or not all there.
        OSError
            The disk does not take it.
        """
        fail_point("receive.written")
        arrival.seal()
        fail_point("receive.synced")
        header = read_header(
            arrival.path,
            arrival.data_set_offset,
            arrival.transfer_syntax_uid,
            self._urgency.tag,
        )
        check_identity(header, arrival.sop_class_uid, arrival.sop_instance_uid)
        if self._is_own(header):
            self._tell(AuditKind.OWN_RESULT_RECEIVED, header, arrival, link)
            return
        check_pixels(header, arrival.transfer_syntax_uid)
        with self._locks[hash(header.sop_instance_uid) % _LOCKS]:
            known = self._inbox.find(header.sop_instance_uid)
            if known is None and not self._add(header, arrival, link):
                known = self._inbox.find(header.sop_instance_uid)
            if known is not None:
                self._again(known, header, arrival, link)

    def _is_own(self, header: Header) -> bool:
        by_equipment = self._own is not None and self._own.made(header)
        return by_equipment or self._inbox.is_own_result(header.sop_instance_uid)

    def _add(self, header: Header, arrival: Arrival, link: Link) -> bool:
        path = instance_path(header.sop_instance_uid)
        self._spool.place(arrival, path)
        fail_point("receive.renamed")
        instance = Instance(
            sop_instance_uid=header.sop_instance_uid,
            sop_class_uid=header.sop_class_uid,
            study_instance_uid=header.study_instance_uid,
            series_instance_uid=header.series_instance_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            path=path,
            size=arrival.size,
            sha256=arrival.sha256,
            calling_ae_title=link.calling,
            received_at=self._clock(),
            priority=self._urgency.of(header, link.calling),
        )
        received = _event(AuditKind.INSTANCE_RECEIVED, header, arrival, link)
        added = self._inbox.add(instance, *link.opening_events, received)
        link.introduced |= added
        return added

    def _again(self, known: Instance, header: Header, arrival: Arrival, link: Link) -> None:
        """Answer for an UID that is there already: a UID names one object, the first one stays."""
        if known.sha256 == arrival.sha256:
            self._tell(AuditKind.INSTANCE_DUPLICATE, header, arrival, link)
            return
        path = instance_path(header.sop_instance_uid, beside=arrival.sha256)
        self._spool.place(arrival, path)
        self._tell(
            AuditKind.INSTANCE_DIFFERS, header, arrival, link,
            path=str(path), known_sha256=known.sha256,
            known_transfer_syntax_uid=known.transfer_syntax_uid,
        )  # fmt: skip

    def _tell(
        self, kind: AuditKind, header: Header, arrival: Arrival, link: Link, **more: str
    ) -> None:
        log.info(kind.value, sop_instance_uid=header.sop_instance_uid, calling=link.calling)
        self._audit.append(*link.opening_events, _event(kind, header, arrival, link, **more))
        link.introduced = True


def _event(
    kind: AuditKind, header: Header, arrival: Arrival, link: Link, **more: str
) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        study_instance_uid=header.study_instance_uid,
        sop_instance_uid=header.sop_instance_uid,
        detail={
            **link.peer,
            "sop_class_uid": header.sop_class_uid,
            "transfer_syntax_uid": arrival.transfer_syntax_uid,
            "size": arrival.size,
            "sha256": arrival.sha256,
            **more,
        },
    )


def _sync(folder: Path) -> None:
    """Make the folder's entries durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
