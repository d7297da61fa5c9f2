"""What a film's header and the node know that its reader must know, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.compose.sanitize import clean
from dicom_node.dicom.header import text
from dicom_node.domain.values import Identity
from dicom_node.explain.message import Facts

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dicom_node.compose.lineage import Context

_FRONTAL = ("PA", "AP")


def facts(source: Dataset, context: Context) -> Facts:
    """Collect them; an illegal value counts as not stated."""
    view = text(source, "ViewPosition").strip().upper()
    known = clean(source, ["PatientOrientation", "PatientAge", "PatientBirthDate"])
    towards = str((known.get("PatientOrientation") or [""])[0])[:1]
    # a header that was restricted for a destination lacks the age and has another UID
    restricted = context.identity is not Identity.FULL
    other_key = context.key not in ("", str(source.get("SOPInstanceUID", "")))
    return Facts(
        view=view if view in _FRONTAL else "",
        sides_stated=view in _FRONTAL or towards in ("L", "R"),
        age_stated=restricted or bool(known.get("PatientAge") or known.get("PatientBirthDate")),
        second_film=other_key and not restricted,
        normals_above=context.normals_above,
    )
