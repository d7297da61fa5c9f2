"""The Structured Report of one film: the document header around a content tree.

The document is PRELIMINARY, UNVERIFIED and PARTIAL on purpose: it states a finding with a
probability, never a diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
)

from dicom_node.compose import codes, evidence, series
from dicom_node.compose.lineage import Lineage
from dicom_node.compose.sanitize import clean

# report.sop_class -> SOP class. All but Basic Text hold the same content; SCOORD3D is not used.
SOP_CLASSES: dict[str, UID] = {
    "comprehensive_3d": Comprehensive3DSRStorage,
    "comprehensive": ComprehensiveSRStorage,
    "enhanced": EnhancedSRStorage,
    "basic_text": BasicTextSRStorage,
}


def report(
    lineage: Lineage, name: str, content: Dataset, images: Iterable[Dataset] = ()
) -> Dataset:
    """Build the document around a root container.

    Parameters
    ----------
    name
        Part of the derived SOP Instance UID.
    content
        The root container of the content tree.
    images
        Objects listed as evidence beside the film.
    """
    sop_class = SOP_CLASSES[lineage.context.sr_class]
    ds = lineage.derive(replace(series.REPORT, sop_class_uid=sop_class), name, 1)
    ds.CompletionFlag = "PARTIAL"
    ds.VerificationFlag = "UNVERIFIED"
    ds.PreliminaryFlag = "PRELIMINARY"
    ds.ReferencedPerformedProcedureStepSequence = Sequence()
    done = clean(lineage.source, ["ProcedureCodeSequence"])
    ds.PerformedProcedureCodeSequence = done.get("ProcedureCodeSequence", Sequence())
    evidence.point(ds, lineage, [lineage.source, *images])
    evidence.succeed(ds, lineage)
    if sop_class != BasicTextSRStorage:
        ds.CodingSchemeIdentificationSequence = Sequence([_scheme(lineage)])
    for element in content:
        ds.add(element)
    return ds


def _scheme(lineage: Lineage) -> Dataset:
    """Describe the private coding scheme (Coding Scheme Identification, PS3.3 C.12.1.1)."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.SCHEME
    scheme.CodingSchemeName = codes.SCHEME_NAME
    scheme.CodingSchemeResponsibleOrganization = lineage.context.results.manufacturer
    return scheme
