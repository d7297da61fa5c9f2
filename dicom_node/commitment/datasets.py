"""The data sets of storage commitment, written and read: PS3.4 Tables J.3-1 and J.3-2.

Reading is bounded and strict: input that is not a request or a report raises ValueError, and the
message never quotes the peer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.dataset import Dataset

from dicom_node.dicom.malformed import MALFORMED
from dicom_node.dicom.uids import is_uid
from dicom_node.domain.commitment import (
    ALL_KEPT,
    FAILURES_EXIST,
    PROCESSING_FAILURE,
    CommitmentReport,
    Failure,
    Reference,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_REFERENCES = 5000  # in one request or report

#: pydicom raises OSError at a sequence that is cut off.
_UNREADABLE = (*MALFORMED, OSError)


def request_data_set(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    """The Action Information of an N-ACTION."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = [_item(each) for each in references]
    return ds


def report_data_set(report: CommitmentReport) -> Dataset:
    """The Event Information of an N-EVENT-REPORT."""
    ds = request_data_set(report.transaction_uid, report.kept)
    if not report.kept:
        del ds.ReferencedSOPSequence
    if report.missing:
        ds.FailedSOPSequence = []
        for failure in report.missing:
            item = _item(failure.reference)
            item.FailureReason = failure.code
            ds.FailedSOPSequence.append(item)
    return ds


def event_type(report: CommitmentReport) -> int:
    """The Event Type ID of a report."""
    return FAILURES_EXIST if report.missing else ALL_KEPT


def read_request(source: Callable[[], Dataset]) -> tuple[str, tuple[Reference, ...]]:
    """Read Transaction UID and instances from an Action Information.

    Parameters
    ----------
    source
        Decodes the data set; called here, so that its errors are handled here.

    Raises
    ------
    ValueError
        The data set is not a storage commitment request.
    """
    try:
        ds = source()
        references = tuple(_reference(item) for item in _items(ds, "ReferencedSOPSequence"))
        transaction_uid = _uid(ds, "TransactionUID")
    except _UNREADABLE:
        raise ValueError("not a storage commitment request") from None
    if not references:
        raise ValueError("the storage commitment request names no instance")
    return transaction_uid, references


def read_report(source: Callable[[], Dataset]) -> CommitmentReport:
    """Read the report in an Event Information; parameters and errors as in `read_request`."""
    try:
        ds = source()
        return CommitmentReport(
            transaction_uid=_uid(ds, "TransactionUID"),
            kept=tuple(_reference(item) for item in _items(ds, "ReferencedSOPSequence")),
            missing=tuple(
                Failure(reference=_reference(item), code=_reason(item))
                for item in _items(ds, "FailedSOPSequence")
            ),
        )
    except _UNREADABLE:
        raise ValueError("not a storage commitment report") from None


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    items = list(ds.get(keyword) or ())
    if len(items) > MAX_REFERENCES:
        raise ValueError(keyword)
    return items


def _reference(item: Dataset) -> Reference:
    return Reference(
        sop_class_uid=_uid(item, "ReferencedSOPClassUID"),
        sop_instance_uid=_uid(item, "ReferencedSOPInstanceUID"),
    )


def _reason(item: Dataset) -> int:
    """The Failure Reason; processing failure if it is absent."""
    return int(item.get("FailureReason") or PROCESSING_FAILURE)


def _uid(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    if not isinstance(value, str) or not is_uid(value):
        raise ValueError(keyword)
    return str(value)
