"""The Structured Report of one film: document header around the tree of `compose.content`.

Preliminary, unverified and partial on purpose: a finding with a probability, never a diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from dicom_node.compose import codes
from dicom_node.compose.clean import clean
from dicom_node.compose.content import content
from dicom_node.compose.lineage import Kind, Lineage, reference
from models.reading import Reading

if TYPE_CHECKING:
    from dicom_node.explain import Explanation

# report.sop_class -> SOP class; the content is the same, no SCOORD3D is used
SOP_CLASSES: dict[str, UID] = {
    "comprehensive_3d": Comprehensive3DSRStorage,
    "comprehensive": ComprehensiveSRStorage,
    "enhanced": EnhancedSRStorage,
}
# Referenced Request Sequence, Type 2 beside the study and the accession number (PS3.3 C.17.2)
_REQUEST = (
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
)


def report(
    lineage: Lineage, reading: Reading, explanation: Explanation, images: Iterable[Dataset]
) -> Dataset:
    """Report a reading; ``images`` are the pictures that go with it, named as evidence."""
    ds = lineage.derive(_kind(lineage.context.report.sop_class), "sr", 1)
    ds.CompletionFlag = "PARTIAL"
    ds.VerificationFlag = "UNVERIFIED"
    ds.PreliminaryFlag = "PRELIMINARY"
    ds.ReferencedPerformedProcedureStepSequence = Sequence()
    done = clean(lineage.source, ["ProcedureCodeSequence"])
    ds.PerformedProcedureCodeSequence = done.get("ProcedureCodeSequence", Sequence())
    ds.ReferencedRequestSequence = _requests(ds, lineage.source)
    if not ds.ReferencedRequestSequence:
        del ds.ReferencedRequestSequence
    ds.CurrentRequestedProcedureEvidenceSequence = _evidence([lineage.source, *images])
    ds.CodingSchemeIdentificationSequence = Sequence([_scheme(lineage)])
    for element in content(lineage, reading, explanation):
        ds.add(element)
    return ds


def _kind(sop_class: str) -> Kind:
    return Kind(
        name="sr",
        sop_class_uid=SOP_CLASSES[sop_class],
        modality="SR",
        series_number=9901,
        series_description="AI report - NOT FOR DIAGNOSTIC USE",
    )


def _requests(ds: Dataset, source: Dataset) -> Sequence:
    """The orders the film answers: its request attributes, or its accession number."""
    orders = clean(source, ["RequestAttributesSequence"]).get("RequestAttributesSequence", [])
    if not orders and ds.get("AccessionNumber"):
        orders = [Dataset()]
    return Sequence([_request(ds, order) for order in orders])


def _request(ds: Dataset, order: Dataset) -> Dataset:
    request = clean(order, [*_REQUEST, "AccessionNumber", "StudyInstanceUID"])
    for keyword in _REQUEST:
        if keyword not in request:
            setattr(request, keyword, Sequence() if keyword.endswith("Sequence") else None)
    request.StudyInstanceUID = request.get("StudyInstanceUID") or ds.StudyInstanceUID
    request.AccessionNumber = request.get("AccessionNumber") or ds.AccessionNumber
    request.ReferencedStudySequence = Sequence()
    return request


def _evidence(instances: Iterable[Dataset]) -> Sequence:
    """Hierarchical SOP Instance Reference macro, PS3.3 C.17.2.1, of instances of one study."""
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


def _scheme(lineage: Lineage) -> Dataset:
    """Whose codes ours are (PS3.3 C.12.1.1)."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.SCHEME
    scheme.CodingSchemeName = codes.SCHEME_NAME
    scheme.CodingSchemeResponsibleOrganization = lineage.context.results.manufacturer
    return scheme
