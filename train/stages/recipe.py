"""Training recipe of stages 2 and 3: films, their shares, augmentation and teachers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from train.data.films import Film, refuse_mined

#: Label of a group that only eq. 2's teachers see: what its films are labelled does not count.
UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Films that give one share of every batch.

    Raises
    ------
    ValueError
        The label is mined from report text.
    """

    label: str  # or UNLABELLED: films of any label, for distillation alone
    sources: tuple[str, ...]
    share: float = 1.0
    view: str = ""  # only films taken so
    infection: bool = False  # only films with a drawn infection

    def __post_init__(self) -> None:
        refuse_mined([self.label], f"A group of {', '.join(self.sources)}")

    def holds(self, film: Film) -> bool:
        """Whether the film belongs to the group."""
        return (
            film.source in self.sources
            and self.label in (film.label, UNLABELLED)
            and self.view in ("", film.view)
            and (film.infection is not None or not self.infection)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything about the training of stages 2 and 3 except the schedule."""

    groups: tuple[Group, ...]  # of the training split
    within: str  # the source whose validation films alone give half of the score
    smoothing: float = 0.1
    distil: float = 0.0  # λ of paper eq. 2
    previous: tuple[Path, ...] = ()  # frozen weights that eq. 2 distils from; their mean
    original: tuple[str, ...] = ()  # the sources that make D_o, beside unlabelled films
    heat: float = 0.0  # weight of the loss on where the evidence lies
    floors: tuple[float, float] = (0.0, 0.0)  # stage 3: the floor of H2 is drawn between these
    floor: float = 0.0  # and this one validates: the node's `h2_floor`
    margins: tuple[int | None, ...] = (6,)  # around the lungs, pixels of the 256 frame; None: whole
