"""The answer to each C-STORE: Success if the object is kept, else the status of the fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import structlog
from pydicom.dataset import Dataset

from dicom_node.fail_points import fail_point
from dicom_node.log import where
from dicom_node.receive.keeping import loggable
from dicom_node.receive.store_status import STATUS, SUCCESS, StoreFault, StoreRefused

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event

    from dicom_node.receive.arrival import SpoolingDimse
    from dicom_node.receive.associations import Links
    from dicom_node.receive.keeping import Keeping

log = structlog.get_logger()


class CStoreHandler:
    """Answers C-STORE requests."""

    def __init__(self, keeping: Keeping, links: Links) -> None:
        self._keeping = keeping
        self._links = links

    def answer(self, event: Event) -> int | Dataset:
        """Answer a C-STORE-RQ; it always returns an answer, even after an unexpected error."""
        link = self._links.of(event.assoc)
        arrival = cast("SpoolingDimse", event.assoc.dimse).claim(event.dataset_path)
        sop_instance_uid = str(cast("C_STORE", event.request).AffectedSOPInstanceUID)
        try:
            refusal = self._keeping.keep(arrival, link, sop_instance_uid)
        except Exception as error:
            # Without an answer the peer would hang, or assume that the object is stored.
            log.error(
                "store failed", sop_instance_uid=loggable(sop_instance_uid), error=where(error)
            )
            log.debug("store failed", exc_info=True)
            unexpected = StoreRefused(StoreFault.INTERNAL, "unexpected error, see the node's log")
            refusal = self._keeping.refuse(unexpected, link, sop_instance_uid)
        finally:
            if arrival is not None:
                arrival.discard()
        if refusal is not None:
            return _answer(refusal)
        fail_point("receive.answering")
        return SUCCESS


def _answer(refusal: StoreRefused) -> Dataset:
    answer = Dataset()
    answer.Status = STATUS[refusal.fault]
    answer.ErrorComment = refusal.reason[:64]  # VR LO
    return answer
