"""The answer to each C-STORE: Success if the object is kept, else the status of the fault."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import structlog
from pydicom.dataset import Dataset

from dicom_node.dicom.uids import is_uid
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import StoreWriteError
from dicom_node.fail_points import fail_point
from dicom_node.log import where
from dicom_node.receive.store_status import STATUS, SUCCESS, StoreFault, StoreRefused

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event

    from dicom_node.ports import Audit
    from dicom_node.receive.arrival import Arrival, SpoolingDimse
    from dicom_node.receive.associations import Link, Links
    from dicom_node.receive.per_minute import PerMinute
    from dicom_node.receive.reception import Reception

log = structlog.get_logger()


class CStoreHandler:
    """Answers C-STORE requests."""

    def __init__(self, reception: Reception, links: Links, audit: Audit, floods: PerMinute) -> None:
        self._reception = reception
        self._links = links
        self._audit = audit
        self._floods = floods

    def answer(self, event: Event) -> int | Dataset:
        """Answer a C-STORE-RQ; it always returns an answer, even after an unexpected error."""
        link = self._links.of(event.assoc)
        arrival = cast("SpoolingDimse", event.assoc.dimse).claim(event.dataset_path)
        sop_instance_uid = str(cast("C_STORE", event.request).AffectedSOPInstanceUID)
        try:
            return self._store(arrival, link, sop_instance_uid)
        except Exception as error:
            # Without an answer the peer would hang, or assume that the object is stored.
            log.error(
                "store failed", sop_instance_uid=_loggable(sop_instance_uid), error=where(error)
            )
            log.debug("store failed", exc_info=True)
            refusal = StoreRefused(StoreFault.INTERNAL, "unexpected error, see the node's log")
            return self._refuse(refusal, link, sop_instance_uid)
        finally:
            if arrival is not None:
                arrival.discard()

    def _store(self, arrival: Arrival | None, link: Link, sop_instance_uid: str) -> int | Dataset:
        try:
            if arrival is None:
                raise StoreRefused(StoreFault.NO_DATA_SET, "no data set came with the command")
            self._reception.keep(arrival, link)
        except StoreRefused as refusal:
            return self._refuse(refusal, link, sop_instance_uid)
        except (OSError, StoreWriteError) as error:
            log.error(
                "out of resources", sop_instance_uid=_loggable(sop_instance_uid), error=where(error)
            )
            full = StoreRefused(StoreFault.RESOURCES, "the node cannot store now; send again later")
            return self._refuse(full, link, sop_instance_uid)
        fail_point("receive.answering")
        link.kept += 1
        return SUCCESS

    def _refuse(self, refusal: StoreRefused, link: Link, sop_instance_uid: str) -> Dataset:
        link.refused += 1
        uid = _loggable(sop_instance_uid)
        reason = {"fault": refusal.fault.value, "reason": refusal.reason}
        if refusal.fault is StoreFault.QUOTA:
            detail = {**link.peer, "reason": refusal.reason}
            self._floods.record(AuditKind.QUOTA_EXCEEDED, "above a quota", detail)
            return _answer(refusal)
        detail = {**link.peer, **reason, "status": f"0x{STATUS[refusal.fault]:04X}"}
        if refusal.fault is StoreFault.DUPLICATE:
            self._floods.record(
                AuditKind.INSTANCE_REFUSED, "instance refused", detail,
                study_instance_uid=refusal.study_instance_uid, sop_instance_uid=uid,
            )  # fmt: skip
            return _answer(refusal)
        log.warning("instance refused", sop_instance_uid=uid, calling=link.calling, **reason)
        event = AuditEvent(
            kind=AuditKind.INSTANCE_REFUSED,
            study_instance_uid=refusal.study_instance_uid,
            sop_instance_uid=uid,
            detail=detail,
        )
        with suppress(OSError, StoreWriteError):
            # Nothing was kept, so a refusal that cannot be audited is still answered, and logged.
            link.record(self._audit.append, event)
        return _answer(refusal)


def _answer(refusal: StoreRefused) -> Dataset:
    answer = Dataset()
    answer.Status = STATUS[refusal.fault]
    answer.ErrorComment = refusal.reason[:64]  # VR LO
    return answer


def _loggable(uid: str) -> str | None:
    """The UID, or None if the peer sent something else, which might be a name."""
    return uid if is_uid(uid) else None
