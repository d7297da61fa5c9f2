"""The SOP classes and transfer syntaxes that the receiver accepts.

If a peer proposes several transfer syntaxes in one presentation context, the first of our list is
accepted: those that every peer can produce come first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import uid
from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import

from dicom_node.domain.commitment import PUSH_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pynetdicom import AE


@dataclass(frozen=True, slots=True)
class SopClass:
    """A SOP class that the receiver accepts, and in which transfer syntaxes."""

    uid: UID
    transfer_syntaxes: tuple[UID, ...]
    needs_pixels: bool = False

    @property
    def name(self) -> str:
        """Its name in PS3.6 Annex A."""
        return self.uid.name


# PS3.5 Annex A.1, A.2 and A.5
UNCOMPRESSED = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
# PS3.5 Annex A.4: lossless before lossy
COMPRESSED = (
    uid.RLELossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
)
ALL_SYNTAXES = UNCOMPRESSED + COMPRESSED

# PS3.4 B.5: classes that may hold a film
FILMS = tuple(
    SopClass(sop_class, ALL_SYNTAXES, needs_pixels=True)
    for sop_class in (
        uid.ComputedRadiographyImageStorage,
        uid.DigitalXRayImageStorageForPresentation,
        uid.DigitalXRayImageStorageForProcessing,
        uid.SecondaryCaptureImageStorage,
    )
)
# PS3.4 B.5: other objects of a study that an archive routes; kept, but never read
COMPANIONS = tuple(
    SopClass(sop_class, UNCOMPRESSED)
    for sop_class in (
        uid.BasicTextSRStorage,
        uid.EnhancedSRStorage,
        uid.ComprehensiveSRStorage,
        uid.Comprehensive3DSRStorage,
        uid.XRayRadiationDoseSRStorage,
        uid.KeyObjectSelectionDocumentStorage,
        uid.GrayscaleSoftcopyPresentationStateStorage,
        uid.SegmentationStorage,
        uid.ParametricMapStorage,
    )
)
STORED = {sop_class.uid: sop_class for sop_class in FILMS + COMPANIONS}


class SharedContexts(list[PresentationContext]):
    """Contexts that no association changes: pynetdicom copies them for each one."""

    def __deepcopy__(self, memo: object) -> SharedContexts:
        return self


def support(ae: AE, contexts: Iterable[PresentationContext]) -> None:
    """Let an application entity accept these; assigned all at once, they would lose their roles."""
    for each in contexts:
        ae.add_supported_context(
            str(each.abstract_syntax), each.transfer_syntax, each.scu_role, each.scp_role
        )


def supported_contexts() -> list[PresentationContext]:
    """Every presentation context of the receiver.

    Verification (PS3.4 Annex A), Storage Commitment (PS3.4 Annex J) in both roles, and Storage.
    """
    commitment = build_context(PUSH_MODEL, list(UNCOMPRESSED[:2]))
    commitment.scu_role = commitment.scp_role = True
    return [build_context(Verification, list(UNCOMPRESSED[:2])), commitment] + [
        build_context(sop_class.uid, list(sop_class.transfer_syntaxes))
        for sop_class in STORED.values()
    ]
