"""Facts beside the score that a reader of the report needs: from the header and the node."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from dicom_node.compose.sanitize import clean
from dicom_node.dicom.header import text
from dicom_node.domain.values import Identity
from dicom_node.explain.message import Earlier, Facts, points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.dataset import Dataset

    from dicom_node.compose.lineage import Context
    from dicom_node.domain.values import EarlierReading
    from models.reading import ModelIdentity

_FRONTAL = ("PA", "AP")
_DATES = ("AcquisitionDate", "ContentDate", "StudyDate")


def film_date(source: Dataset) -> date | None:
    """Return when the film was taken, None if the header does not say."""
    known = clean(source, list(_DATES))
    stated = next((known[name].value for name in _DATES if known.get(name)), None)
    return date.fromisoformat(stated) if stated else None


def earlier(
    source: Dataset, readings: Sequence[EarlierReading], model: ModelIdentity
) -> tuple[Earlier, ...]:
    """Choose the result that is compared with the film's: the newest earlier one, if there is one.

    Scores of other networks are not comparable. Of several films of one day the highest counts.
    """
    taken = film_date(source)
    comparable = [
        each
        for each in readings
        if taken is not None
        and each.film_date < taken
        and each.reading.model_version == model.version
        and each.reading.model_digests == model.digests
    ]
    if not comparable:
        return ()
    last = max(comparable, key=lambda each: (each.film_date, each.reading.pneumonia.probability))
    score = points(last.reading.pneumonia.probability)
    return (Earlier(date=last.film_date.isoformat(), score=score),)


def facts(source: Dataset, context: Context) -> Facts:
    """Collect the facts of a film; an illegal value counts as not stated."""
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
        second_film=context.contested or (other_key and not restricted),
        normals_above=context.normals_above,
        earlier=context.earlier,
    )
