"""What a PACS offers: services, SOP classes and transfer syntaxes, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)
from pynetdicom import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dicom_node.deliver.association import association, status_of
from dicom_node.deliver.status import sentence
from dicom_node.errors import PeerRefused, PeerUnavailable

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from dicom_node.config import DicomDestination, ReportConfig, ResultsConfig, TlsConfig

FIND = StudyRootQueryRetrieveInformationModelFind
GET = StudyRootQueryRetrieveInformationModelGet
MOVE = StudyRootQueryRetrieveInformationModelMove

#: Services that are proposed, and their names for people.
SERVICES: dict[UID, str] = {
    Verification: "Verification (C-ECHO)",
    StorageCommitmentPushModel: "Storage Commitment",
    FIND: "Query (C-FIND)",
    MOVE: "Retrieve (C-MOVE)",
    GET: "Retrieve (C-GET)",
}
_PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
_PICTURES = (JPEGBaseline8Bit, JPEGLSLossless, JPEG2000Lossless, RLELossless)
#: SOP classes of the objects that the node can make, and the transfer syntaxes that are proposed.
MATRIX: dict[UID, tuple[UID, ...]] = {
    SecondaryCaptureImageStorage: (*_PLAIN, *_PICTURES),
    BasicTextSRStorage: _PLAIN,
    EnhancedSRStorage: _PLAIN,
    ComprehensiveSRStorage: _PLAIN,
    Comprehensive3DSRStorage: _PLAIN,
    KeyObjectSelectionDocumentStorage: _PLAIN,
    GrayscaleSoftcopyPresentationStateStorage: _PLAIN,
    SegmentationStorage: _PLAIN,
    ParametricMapStorage: _PLAIN,
}
_REPORTS = {
    "basic_text": BasicTextSRStorage,
    "enhanced": EnhancedSRStorage,
    "comprehensive": ComprehensiveSRStorage,
    "comprehensive_3d": Comprehensive3DSRStorage,
}
_MATCHES = (0xFF00, 0xFF01)  # C-FIND pending, PS3.4 Table C.4-1


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What a PACS offers.

    Parameters
    ----------
    services
        Each SOP class of `SERVICES`, and whether the PACS accepts it.
    query
        What it answered to a C-FIND for a study that does not exist; None: no query.
    storage
        Each SOP class of `MATRIX`, and the transfer syntaxes that the PACS accepts for it.
    """

    implementation_class_uid: str
    implementation_version_name: str
    maximum_pdu: int
    services: dict[UID, bool]
    query: str | None
    storage: dict[UID, tuple[UID, ...]]


def offers(ae_title: str, peer: DicomDestination, timeout_seconds: float, tls: TlsConfig) -> Offers:
    """Propose everything to a PACS, in two associations, and note what it accepts.

    Raises
    ------
    PeerUnavailable
        There is no association with it.
    PeerRefused
        It accepts none of the services.
    """
    services = [build_context(uid) for uid in SERVICES]
    with association(ae_title, peer, services, timeout_seconds, tls) as assoc:
        offered = {cx.abstract_syntax for cx in assoc.accepted_contexts}
        itself = assoc.acceptor
        query = _query(assoc) if FIND in offered else None
        said = itself.implementation_class_uid, itself.implementation_version_name
    return Offers(
        implementation_class_uid=str(said[0] or ""),
        implementation_version_name=str(said[1] or ""),
        maximum_pdu=itself.maximum_length or 0,
        services={uid: uid in offered for uid in SERVICES},
        query=query,
        storage=_storage(ae_title, peer, timeout_seconds, tls),
    )


def sent_with(report: ReportConfig, results: ResultsConfig) -> dict[UID, str]:
    """The SOP classes that a configuration sends, each with what to do if it is refused."""
    optional = {
        SegmentationStorage: results.segmentation,
        KeyObjectSelectionDocumentStorage: results.key_objects,
        GrayscaleSoftcopyPresentationStateStorage: results.presentation_state,
        ParametricMapStorage: results.parametric_maps,
    }
    permit = "permit it there, or switch it off in `results`"
    return {
        SecondaryCaptureImageStorage: "permit it there",
        _REPORTS[report.sop_class]: "permit it there, or choose another `report.sop_class`",
        **{uid: permit for uid, wanted in optional.items() if wanted},
    }


def _storage(
    ae_title: str, peer: DicomDestination, timeout_seconds: float, tls: TlsConfig
) -> dict[UID, tuple[UID, ...]]:
    """Propose each pair of SOP class and transfer syntax in a context of its own."""
    contexts = [build_context(uid, syntax) for uid, each in MATRIX.items() for syntax in each]
    try:
        with association(ae_title, peer, contexts, timeout_seconds, tls) as assoc:
            accepted = {
                (cx.abstract_syntax, cx.transfer_syntax[0]) for cx in assoc.accepted_contexts
            }
    except PeerRefused:
        accepted = set()
    return {
        uid: tuple(syntax for syntax in syntaxes if (uid, syntax) in accepted)
        for uid, syntaxes in MATRIX.items()
    }


def _query(assoc: Association) -> str:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = generate_uid()
    found, status = 0, None
    try:
        for response, _ in assoc.send_c_find(identifier, FIND):
            status = status_of(response)
            found += status in _MATCHES
    except (PeerUnavailable, RuntimeError):  # the second: pynetdicom's, between two messages
        status = None
    if status is None:
        return "no answer"
    if status != 0x0000:
        return sentence(status)
    return "answers" if not found else f"{found} matches for a study that does not exist"
