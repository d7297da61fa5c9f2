"""The section `thresholds`: from which probability on a film is positive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self, TypeAlias

from pydantic import BeforeValidator, model_validator

from dicom_node.config.destinations import AETitle
from dicom_node.config.sections import Section, Word
from models.thresholds import Threshold, Thresholds

_NAMES = ("balanced", "sensitive", "specific")


def _checked(value: object) -> object:
    """Allow the name of an operating point, or a number between 0 and 1."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1
    if number or value in _NAMES:
        return value
    raise ValueError(f"must be {', '.join(_NAMES)}, or a number between 0 and 1")


#: An operating point of the networks by name, or a probability.
Choice: TypeAlias = Annotated[Threshold, BeforeValidator(_checked)]


class ThresholdOverride(Section):
    """Other thresholds for films that fit all of modality, view and sender that are given."""

    modality: Word | None = None  # Modality of the film
    view: Word | None = None  # its ViewPosition
    ae_title: AETitle | None = None  # the calling AE title that sent it
    pneumonia: Choice | None = None
    covid19: Choice | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.modality is None and self.view is None and self.ae_title is None:
            raise ValueError("needs modality, view or ae_title: the films that it is for")
        if self.pneumonia is None and self.covid19 is None:
            raise ValueError("needs pneumonia or covid19: the threshold that it changes")
        return self

    def fits(self, modality: str, view: str, ae_title: str) -> bool:
        """Whether it is for such a film; case does not matter."""
        given = ((self.modality, modality), (self.view, view), (self.ae_title, ae_title))
        return all(
            wanted is None or wanted.strip().upper() == has.strip().upper() for wanted, has in given
        )


class ThresholdsConfig(Section):
    """From which probability on stages 2 and 3 are positive."""

    pneumonia: Choice = "balanced"
    covid19: Choice = "balanced"
    overrides: tuple[ThresholdOverride, ...] = ()

    def of_film(self, *, modality: str, view: str, ae_title: str) -> Thresholds:
        """Thresholds of a film; of its overrides, the first one that sets a stage counts."""
        fitting = [each for each in self.overrides if each.fits(modality, view, ae_title)]
        return Thresholds(
            pneumonia=next((e.pneumonia for e in fitting if e.pneumonia), self.pneumonia),
            covid19=next((e.covid19 for e in fitting if e.covid19), self.covid19),
        )

    def all(self) -> Iterator[tuple[str, Thresholds]]:
        """Each choice with the name of its key; a stage that an override leaves out is general."""
        yield "thresholds", Thresholds(pneumonia=self.pneumonia, covid19=self.covid19)
        for number, each in enumerate(self.overrides):
            yield (
                f"thresholds.overrides.{number}",
                Thresholds(
                    pneumonia=each.pneumonia or self.pneumonia,
                    covid19=each.covid19 or self.covid19,
                ),
            )
