"""The answer to each C-STORE: Success only for what is kept, else the status of its fault."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import structlog
from pydicom.dataset import Dataset

from dicom_node.dicom.uids import is_uid
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import AuditError
from dicom_node.fail_points import fail_point
from dicom_node.log import where
from dicom_node.receive.store_status import STATUS, SUCCESS, Fault, StoreRefused

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event

    from dicom_node.ports import Audit
    from dicom_node.receive.arrival import Arrival, SpoolingDimse
    from dicom_node.receive.associations import Link, Links
    from dicom_node.receive.reception import Reception

log = structlog.get_logger()


class CStoreHandler:
    """Answers C-STORE."""

    def __init__(self, reception: Reception, links: Links, audit: Audit) -> None:
        self._reception = reception
        self._links = links
        self._audit = audit

    def answer(self, event: Event) -> int | Dataset:
        """Answer a C-STORE-RQ, whatever happens."""
        link = self._links.of(event.assoc)
        arrival = cast("SpoolingDimse", event.assoc.dimse).claim(event.dataset_path)
        sop_instance_uid = str(cast("C_STORE", event.request).AffectedSOPInstanceUID)
        try:
            return self._store(arrival, link, sop_instance_uid)
        except Exception as error:
            # The peer waits for an answer; without one it would hang, and perhaps think it stored.
            log.error(
                "store failed", sop_instance_uid=_loggable(sop_instance_uid), error=where(error)
            )
            log.debug("store failed", exc_info=True)
            fault = StoreRefused(Fault.INTERNAL, "unexpected error, see the node's log")
            return self._refuse(fault, link, sop_instance_uid)
        finally:
            if arrival is not None:
                arrival.discard()

    def _store(self, arrival: Arrival | None, link: Link, sop_instance_uid: str) -> int | Dataset:
        try:
            if arrival is None:
                raise StoreRefused(Fault.NO_DATA_SET, "no data set came with the command")
            self._reception.keep(arrival, link)
        except StoreRefused as error:
            return self._refuse(error, link, sop_instance_uid)
        except (OSError, AuditError) as error:
            log.error(
                "out of resources", sop_instance_uid=_loggable(sop_instance_uid), error=where(error)
            )
            full = StoreRefused(Fault.RESOURCES, "the node cannot store now; send again later")
            return self._refuse(full, link, sop_instance_uid)
        fail_point("receive.answering")
        link.kept += 1
        return SUCCESS

    def _refuse(self, fault: StoreRefused, link: Link, sop_instance_uid: str) -> Dataset:
        link.refused += 1
        uid = _loggable(sop_instance_uid)
        reason = {"fault": fault.fault.value, "reason": fault.reason}
        log.warning("instance refused", sop_instance_uid=uid, calling=link.calling, **reason)
        detail = {**link.peer, **reason, "status": f"0x{STATUS[fault.fault]:04X}"}
        refused = AuditEvent(kind=AuditKind.INSTANCE_REFUSED, sop_instance_uid=uid, detail=detail)
        with suppress(OSError, AuditError):
            # Nothing was taken: where the trail cannot be written, the refusal stands in the log.
            self._audit.append(*link.opening_events, refused)
            link.introduced = True
        answer = Dataset()
        answer.Status = STATUS[fault.fault]
        answer.ErrorComment = fault.reason[:64]  # VR LO
        return answer


def _loggable(uid: str) -> str | None:
    """A UID, or None for what a peer sent in its place: that may be anything, a name even."""
    return uid if is_uid(uid) else None
