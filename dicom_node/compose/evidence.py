"""References of a document: its orders, its evidence and its predecessor documents.

PS3.3 C.17.2 (SR Document General) and C.17.6.2 (Key Object Document).
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_node.compose.lineage import Lineage, reference
from dicom_node.compose.sanitize import clean

# Referenced Request Sequence, Type 2 beside the study and the accession number (PS3.3 C.17.2)
_REQUEST = (
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
)


def point(ds: Dataset, lineage: Lineage, instances: Iterable[Dataset]) -> None:
    """List the instances a document is about, and the orders of the film, if there are any."""
    ds.CurrentRequestedProcedureEvidenceSequence = _hierarchy(instances)
    orders = clean(lineage.source, ["RequestAttributesSequence"]).get(
        "RequestAttributesSequence", []
    )
    if not orders and ds.get("AccessionNumber"):
        orders = [Dataset()]
    if orders:
        ds.ReferencedRequestSequence = Sequence([_request(ds, order) for order in orders])


def succeed(ds: Dataset, lineage: Lineage) -> None:
    """List the film's earlier reports as predecessor documents, if there are any."""
    earlier = []
    for result in lineage.context.predecessors:
        document = Dataset()
        document.StudyInstanceUID = ds.StudyInstanceUID
        document.SeriesInstanceUID = result.series_instance_uid
        document.SOPClassUID = result.sop_class_uid
        document.SOPInstanceUID = result.sop_instance_uid
        earlier.append(document)
    if earlier:
        ds.PredecessorDocumentsSequence = _hierarchy(earlier)


def _request(ds: Dataset, order: Dataset) -> Dataset:
    request = clean(order, [*_REQUEST, "AccessionNumber", "StudyInstanceUID"])
    for keyword in _REQUEST:
        if keyword not in request:
            setattr(request, keyword, Sequence() if keyword.endswith("Sequence") else None)
    request.StudyInstanceUID = request.get("StudyInstanceUID") or ds.StudyInstanceUID
    request.AccessionNumber = request.get("AccessionNumber") or ds.AccessionNumber
    request.ReferencedStudySequence = Sequence()
    return request


def _hierarchy(instances: Iterable[Dataset]) -> Sequence:
    """Build the Hierarchical SOP Instance Reference macro (PS3.3 C.17.2.1) for one study."""
    series: dict[str, Dataset] = {}
    for instance in instances:
        uid = str(instance.SeriesInstanceUID)
        if uid not in series:
            series[uid] = Dataset()
            series[uid].SeriesInstanceUID = uid
            series[uid].ReferencedSOPSequence = Sequence()
        series[uid].ReferencedSOPSequence.append(reference(instance))
        study_uid = instance.StudyInstanceUID
    study = Dataset()
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = Sequence(series.values())
    return Sequence([study])
