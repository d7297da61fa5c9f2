"""What keeps an arrived object or refuses it: the same for every door to the node."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dicom_node.dicom.uids import is_uid
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import StoreWriteError
from dicom_node.log import where
from dicom_node.receive.disk_space import DiskGuard
from dicom_node.receive.per_minute import PerMinute
from dicom_node.receive.quotas import PeerGuard, Quotas
from dicom_node.receive.reception import Reception, Rules, Spool
from dicom_node.receive.store_status import STATUS, StoreFault, StoreRefused
from dicom_node.store.bucket import blobs_of

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.ports import Audit, Clock, Inbox
    from dicom_node.receive.arrival import Arrival
    from dicom_node.receive.associations import Link

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Keeping:
    """Reception with its limits and its records; safe to use from all threads."""

    spool: Spool
    reception: Reception
    disk: DiskGuard
    quotas: Quotas
    audit: Audit
    floods: PerMinute

    @classmethod
    def of(cls, config: Config, inbox: Inbox, audit: Audit, clock: Clock, secret: bytes) -> Keeping:
        """Put it together by the configuration."""
        spool = Spool(data_dir=config.node.data_dir, blobs=blobs_of(config))
        return cls(
            spool=spool,
            reception=Reception(spool, inbox, audit, clock, Rules.of(config, secret)),
            disk=DiskGuard(config.node.data_dir, config.spool, audit),
            # What is in a bucket fills no disk.
            quotas=Quotas(config.quotas, dict if config.store.in_bucket else inbox.stored_bytes),
            audit=audit,
            floods=PerMinute(audit),
        )

    def guard(self, link: Link) -> PeerGuard:
        """The limits of a link."""
        return PeerGuard(self.disk, self.quotas, link)

    def keep(
        self,
        arrival: Arrival | None,
        link: Link,
        sop_instance_uid: str,
        study_instance_uid: str | None = None,
    ) -> StoreRefused | None:
        """Keep the object durably and return None, or refuse it, with an audit line.

        Parameters
        ----------
        arrival
            None if no data set came.
        sop_instance_uid
            As the peer announced it.
        study_instance_uid
            The study that it must belong to, if the peer announced one.
        """
        try:
            if arrival is None:
                raise StoreRefused(StoreFault.NO_DATA_SET, "no data set came with the command")
            self.reception.keep(arrival, link, study_instance_uid)
        except StoreRefused as refusal:
            return self.refuse(refusal, link, sop_instance_uid)
        except (OSError, StoreWriteError) as error:
            log.error(
                "out of resources", sop_instance_uid=loggable(sop_instance_uid), error=where(error)
            )
            full = StoreRefused(StoreFault.RESOURCES, "the node cannot store now; send again later")
            return self.refuse(full, link, sop_instance_uid)
        link.kept += 1
        return None

    def refuse(self, refusal: StoreRefused, link: Link, sop_instance_uid: str) -> StoreRefused:
        """Record a refusal and return it."""
        link.refused += 1
        uid = loggable(sop_instance_uid)
        reason = {"fault": refusal.fault.value, "reason": refusal.reason}
        if refusal.fault is StoreFault.QUOTA:
            detail = {**link.peer, "reason": refusal.reason}
            self.floods.record(AuditKind.QUOTA_EXCEEDED, "above a quota", detail)
            return refusal
        detail = {**link.peer, **reason, "status": f"0x{STATUS[refusal.fault]:04X}"}
        if refusal.fault is StoreFault.DUPLICATE or uid is None:  # a peer can repeat it for nothing
            self.floods.record(
                AuditKind.INSTANCE_REFUSED, "instance refused", detail,
                study_instance_uid=refusal.study_instance_uid, sop_instance_uid=uid,
            )  # fmt: skip
            return refusal
        log.warning("instance refused", sop_instance_uid=uid, calling=link.calling, **reason)
        event = AuditEvent(
            kind=AuditKind.INSTANCE_REFUSED,
            study_instance_uid=refusal.study_instance_uid,
            sop_instance_uid=uid,
            detail=detail,
        )
        with suppress(OSError, StoreWriteError):
            # Nothing was kept, so a refusal that cannot be audited is still answered, and logged.
            link.record(self.audit.append, event)
        return refusal


def loggable(uid: str) -> str | None:
    """The UID, or None if the peer sent something else, which might be a name."""
    return uid if is_uid(uid) else None
