"""The input gate's group in a report: the film is usable, or it was refused, and why.

The report of a refusal has only this group and never a probability. It is a TID 1410 group about
the whole film, because OHIF crashes on a group without coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import highdicom as hd
import numpy as np

from dicom_node.compose import codes
from dicom_node.compose.tid1500 import Group, comment, region_source, size_of, tracking
from dicom_node.dicom.uids import is_uid
from dicom_node.domain.values import Refusal, RefusalCode

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.sr.coding import Code

    from dicom_node.compose.lineage import Lineage

# Why a radiograph is refused -> CID 6135. Objects that are no radiograph, derived results and
# duplicates of a film for presentation get no report: no reader expects one.
_FINDINGS: dict[RefusalCode, Code] = {
    RefusalCode.BODY_PART: codes.POSITIONING,
    RefusalCode.VIEW: codes.POSITIONING,
    RefusalCode.NOT_CHEST: codes.POSITIONING,
    RefusalCode.NOT_FRONTAL: codes.POSITIONING,
    RefusalCode.ORIENTATION: codes.POSITIONING,
    RefusalCode.CROPPED: codes.POSITIONING,
    RefusalCode.PHOTOMETRIC: codes.INAPPROPRIATE_PROCESSING,
    RefusalCode.POLARITY: codes.INAPPROPRIATE_PROCESSING,
    RefusalCode.UNREADABLE: codes.SOFTWARE_FAILURE,
    RefusalCode.SIZE: codes.OTHER_FAILURE,
    RefusalCode.FRAMES: codes.OTHER_FAILURE,
    RefusalCode.AGE: codes.OTHER_FAILURE,
    # once a window is applied, black and white do not separate over- from underexposure
    RefusalCode.EXPOSURE: codes.OTHER_FAILURE,
    RefusalCode.UNFAMILIAR: codes.OTHER_FAILURE,
}
_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


def missing_uid(source: Dataset) -> str | None:
    """Return the keyword of the first required UID that is missing or illegal, or None."""
    return next((each for each in _UIDS if not is_uid(str(source.get(each, "")))), None)


def is_reported(source: Dataset, refusal: Refusal) -> bool:
    """Whether the refused object is a radiograph that belongs to a study."""
    return missing_uid(source) is None and all(size_of(source)) and refusal.code in _FINDINGS


def sentence(refusal: Refusal) -> str:
    """Explain in a sentence why there is no reading."""
    return (
        f"Not read: {refusal.reason}. There is no probability. "
        "Research software, not for diagnostic use."
    )


def refused(lineage: Lineage, refusal: Refusal) -> Group:
    """Write the group that says the film was refused, and why."""
    finding = hd.sr.QualitativeEvaluation(codes.QUALITY_FINDING, _FINDINGS[refusal.code])
    parameter = f"refusal={refusal.code.value}"
    return _gate(lineage, codes.UNFIT, [finding], parameter, sentence(refusal))


def accepted(lineage: Lineage, remarks: Sequence[str], *, flawed: bool) -> Group:
    """Write the group that says the film is usable, and what was done to it before reading.

    A ``flawed`` film is usable and does not meet the standard: its reader is warned, too. The
    group is a report's last and holds the digests.
    """
    digests = sorted(lineage.model.digests.items())
    weights = "weights sha256: " + " ".join(f"{name}={digest}" for name, digest in digests)
    rating = codes.UNFIT if flawed else codes.FIT
    return _gate(lineage, rating, [], weights, " ".join(remarks) or None)


def _gate(
    lineage: Lineage,
    rating: Code,
    evaluations: Iterable[hd.sr.QualitativeEvaluation],
    parameter: str,
    text: str | None,
) -> Group:
    rows, columns = size_of(lineage.source)
    frame = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows], [0, 0]], dtype=np.float64)
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(lineage, "input gate", "Image quality"),
        referenced_region=hd.sr.ImageRegion("POLYLINE", frame, region_source(lineage)),
        finding_type=codes.IMAGE_QUALITY,
        algorithm_id=hd.sr.AlgorithmIdentification(
            name="Input gate",
            version=lineage.model.version,
            parameters=[
                f"{parameter}, model sha256={lineage.model.digest}, "
                f"config sha256={lineage.context.config_digest}"
            ],
        ),
        qualitative_evaluations=[
            hd.sr.QualitativeEvaluation(codes.IMAGE_QUALITY_RATING, rating),
            *evaluations,
        ],
    )
    if text:
        comment(group, text)
    return group
