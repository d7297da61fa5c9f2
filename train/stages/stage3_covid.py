"""Stage 3: COVID-19 against other pneumonia, on the masked film times stage 2's heat."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from models import preprocess
from models.classifier import ChestClassifier
from train.data.films import NORMAL, PNEUMONIA, Film
from train.stages.masked import Masking
from train.stages.recipe import Recipe
from train.stages.shown import Batch
from train.stages.stage2_pneumonia import ClassifierTask


class CovidTask(ClassifierTask):
    """Train stage 3; stages 1 and 2 stay as they are.

    Parameters are those of `ClassifierTask`. Normal films among ``films`` are left out; ``stage2``
    are the weights that give H2.
    """

    def __init__(
        self,
        network: ChestClassifier,
        films: list[Film],
        masking: Masking,
        stage2: Path,
        recipe: Recipe,
    ) -> None:
        ill = [film for film in films if film.label != NORMAL]
        super().__init__(network, ill, masking, recipe, negative=PNEUMONIA, stage2=stage2)

    def seen(self, batch: Batch) -> Tensor:
        """Return the network's input, x ⊙ H2 (paper eq. 3)."""
        return preprocess.gate(batch.x, batch.h2)
