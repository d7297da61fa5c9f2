"""The gate's checks, in the order in which they run; the limits come with the networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dicom_node.config import GateConfig
from dicom_node.domain.values import Image, Refusal, RefusalCode
from dicom_node.gate.age import age
from dicom_node.gate.measures import exposure, lungs_at_edge

if TYPE_CHECKING:
    from datetime import date

    from pydicom import Dataset

    from models.reading import GateLimits, Look, Reading

# What the image shows instead of a frontal chest -> why it is refused.
_KINDS: dict[str, tuple[RefusalCode, str]] = {
    "lateral": (RefusalCode.NOT_FRONTAL, "the pixels show a chest from the side"),
    "part": (RefusalCode.CROPPED, "the pixels show only a part of a chest"),
    "other": (RefusalCode.NOT_CHEST, "the pixels do not show a chest radiograph"),
}


def examine_header(ds: Dataset, config: GateConfig, today: date | None = None) -> Refusal | None:
    """Check the patient's age.

    ``gate.accept_unknown_age`` applies if the header states neither age nor date of birth. An age
    that is stated and cannot be read is refused: it may be a child's. ``today`` bounds the age if
    the header has no other date than that of birth.
    """
    if not config.enabled:
        return None
    found = age(ds, today)
    if found.years is None:
        if found.stated:
            reason = "the patient's age or date of birth cannot be read"
            return Refusal(code=RefusalCode.AGE, reason=reason)
        if config.accept_unknown_age:
            return None
        return Refusal(code=RefusalCode.AGE, reason="the patient's age is unknown")
    if found.years >= config.min_age_years:
        return None
    reason = f"the patient is younger than {config.min_age_years} years"
    return Refusal(code=RefusalCode.AGE, reason=reason)


def examine_look(image: Image, look: Look, config: GateConfig) -> Refusal | None:
    """Check the image: exposure, a whole frontal chest, upright, of the right polarity."""
    if why := _exposure(image, look.limits):
        return Refusal(code=RefusalCode.EXPOSURE, reason=why)
    limits = {"lateral": look.limits.lateral, "part": look.limits.part, "other": look.limits.other}
    over = {kind: look.kinds[kind] for kind in limits if look.kinds[kind] >= limits[kind]}
    if over:
        code, reason = _KINDS[max(over, key=over.__getitem__)]
        return Refusal(code=code, reason=reason)
    if 1.0 - look.turns[0] >= look.limits.turned:
        turns = {turn: value for turn, value in look.turns.items() if turn}
        reason = f"the film is turned by {max(turns, key=turns.__getitem__)} degrees"
        return Refusal(code=RefusalCode.ORIENTATION, reason=reason)
    if config.polarity == "refuse" and _is_inverted(look):
        reason = "bone is black: the pixels contradict the photometric interpretation"
        return Refusal(code=RefusalCode.POLARITY, reason=reason)
    return None


def correct_polarity(image: Image, look: Look, config: GateConfig) -> Image:
    """Invert a film of the wrong polarity, and note it."""
    if config.polarity != "correct" or not _is_inverted(look):
        return image
    return replace(image, pixels=1 - image.pixels, notes=image.notes | {"polarity": "corrected"})


def examine_reading(reading: Reading, limits: GateLimits) -> Refusal | None:
    """Check lungs and features of a reading; a refused film has no score."""
    edge = lungs_at_edge(reading.frame.crop(reading.lungs.aerated))
    return examine_measures(reading.lungs.area_fraction, edge, reading.distance, limits)


def examine_measures(
    lung_area: float, edge: float, distance: float, limits: GateLimits
) -> Refusal | None:
    """Compare the measurements of `examine_reading` with the limits."""
    if lung_area < limits.lung_area:
        return Refusal(code=RefusalCode.NOT_CHEST, reason="no lungs are visible")
    if edge > limits.lungs_at_edge:
        reason = "the lungs are cut off at an edge of the film"
        return Refusal(code=RefusalCode.CROPPED, reason=reason)
    if distance > limits.distance:
        reason = "the film is unlike the films the networks were trained on"
        return Refusal(code=RefusalCode.UNFAMILIAR, reason=reason)
    return None


def _exposure(image: Image, limits: GateLimits) -> str | None:
    measured = exposure(image.pixels)
    if measured.black > limits.black:
        return "the film is nearly black"
    if measured.white > limits.white:
        return "the film is nearly white"
    if measured.contrast < limits.contrast:
        return "the film has hardly any contrast"
    return None


def _is_inverted(look: Look) -> bool:
    return look.inverted >= look.limits.inverted
