"""Keep an arrived object: the file, then its row and audit line in one transaction.

No path is made of what a peer sent: a file's name is the SHA-256 of its SOP Instance UID. A crash
between the file and the row leaves a file without a row; the peer got no Success, sends again, and
the file is overwritten. Only one receiver works on a data folder, so its locks are enough.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from dicom_node.dicom.files import durable_rename, sync_folder
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

_LOCKS = 64  # two UIDs may share one, and wait a few milliseconds

log = structlog.get_logger()


def instance_path(sop_instance_uid: str, beside: str = "") -> Path:
    """The file of an instance, relative to the data folder.

    ``beside`` is the SHA-256 of a second object under the same UID, which gets its own name.
    """
    name = hashlib.sha256(sop_instance_uid.encode()).hexdigest()
    suffix = f".{beside[:12]}.dcm" if beside else ".dcm"
    return INSTANCES / name[:2] / f"{name}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """The folders below the data folder that reception writes to."""

    data_dir: Path

    @property
    def incoming(self) -> Path:
        """Where data sets are written while they arrive; on the same file system as the spool."""
        return self.data_dir / INCOMING

    def prepare(self) -> None:
        """Create the folders, and remove what a crash left half received."""
        self.incoming.mkdir(parents=True, exist_ok=True)
        for part in self.incoming.glob("*.part"):
            part.unlink()
        (self.data_dir / INSTANCES).mkdir(exist_ok=True)
        for folder in (INSTANCES.parent, Path()):
            sync_folder(self.data_dir / folder)

    def place(self, arrival: Arrival, path: Path) -> None:
        """Move a sealed arrival to its final place, durably."""
        target = self.data_dir / path
        if not target.parent.exists():  # 256 times in a node's life
            target.parent.mkdir(exist_ok=True)
            sync_folder(target.parent.parent)
        durable_rename(arrival.path, target)


class Reception:
    """Decides what happens to a data set that has arrived.

    Parameters
    ----------
    own
        The equipment of this node's results; None: they are recognised by UID alone.
    """

    def __init__(
        self, spool: Spool, inbox: Inbox, audit: Audit, clock: Clock, own: Equipment | None,
        priority: PriorityRule,
    ) -> None:  # fmt: skip
        self._spool = spool
        self._inbox = inbox
        self._audit = audit
        self._clock = clock
        self._own = own
        self._priority = priority
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def keep(self, arrival: Arrival, link: Link) -> None:
        """Keep the instance, durably. When this returns, Success may be answered.

        Raises
        ------
        StoreRefused
            The object is not what the command announced, or incomplete.
        OSError
            The disk cannot store it.
        """
        fail_point("receive.written")
        arrival.seal()
        fail_point("receive.synced")
        header = read_header(
            arrival.path,
            arrival.data_set_offset,
            arrival.transfer_syntax_uid,
            self._priority.tag,
        )
        check_identity(header, arrival.sop_class_uid, arrival.sop_instance_uid)
        if self._is_own(header):
            self._record(AuditKind.OWN_RESULT_RECEIVED, header, arrival, link)
            return
        check_pixels(header, arrival.transfer_syntax_uid)
        with self._locks[hash(header.sop_instance_uid) % _LOCKS]:
            known = self._inbox.find(header.sop_instance_uid)
            if known is None and not self._add(header, arrival, link):
                known = self._inbox.find(header.sop_instance_uid)
            if known is not None:
                self._keep_again(known, header, arrival, link)

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
            priority=self._priority.of(header, link.calling),
        )
        received = _event(AuditKind.INSTANCE_RECEIVED, header, arrival, link)
        return link.record(partial(self._inbox.add, instance), received)

    def _keep_again(self, known: Instance, header: Header, arrival: Arrival, link: Link) -> None:
        """Handle a UID that is known already: the first object under it stays."""
        if known.sha256 == arrival.sha256:
            self._record(AuditKind.INSTANCE_DUPLICATE, header, arrival, link)
            return
        path = instance_path(header.sop_instance_uid, beside=arrival.sha256)
        self._spool.place(arrival, path)
        self._record(
            AuditKind.INSTANCE_DIFFERS, header, arrival, link,
            path=str(path), known_sha256=known.sha256,
            known_transfer_syntax_uid=known.transfer_syntax_uid,
        )  # fmt: skip

    def _record(
        self, kind: AuditKind, header: Header, arrival: Arrival, link: Link, **more: str
    ) -> None:
        log.info(kind.value, sop_instance_uid=header.sop_instance_uid, calling=link.calling)
        link.record(self._audit.append, _event(kind, header, arrival, link, **more))


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
