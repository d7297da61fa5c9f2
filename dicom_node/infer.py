"""Load the networks; one Image in, one Reading out. No other module of the node uses torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from dicom_node.errors import ModelError
from models import registry, signature
from models.operating import operating_points
from models.thresholds import Thresholds

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.config import ModelsConfig
    from dicom_node.domain.values import Image
    from models.reading import Look, ModelIdentity, Reading


def identity(models: ModelsConfig) -> ModelIdentity:
    """Verify the configured networks and say which they are, without building them.

    Raises
    ------
    ModelError
        A file is missing, was altered, or is not signed by the key that is configured.
    """
    try:
        return registry.identity(_verified(models))
    except registry.WeightsError as error:
        raise ModelError(str(error)) from error


def _verified(models: ModelsConfig) -> Path:
    """Return the folder of the configured networks, its signature checked if a key is set."""
    if models.public_key is not None:
        signature.check(models.directory, models.public_key)
    return models.directory


class CascadeReader:
    """The cascade as a `dicom_node.ports.Reader`.

    Parameters
    ----------
    models
        Which version of the packaged networks, or whose folder; prevalence.
    threads
        CPU threads torch may use in this process.

    Raises
    ------
    ModelError
        A file is missing, was altered, does not fit its network, or is not signed by the key that
        is configured.
    """

    def __init__(self, models: ModelsConfig, threads: int) -> None:
        torch.set_num_threads(threads)
        self._prevalence = models.prevalence
        try:
            directory = _verified(models)
            self._cascade = registry.load(directory, prevalence=models.prevalence, folded=True)
            self._manifest = registry.read_manifest(directory)
        except registry.WeightsError as error:
            raise ModelError(str(error)) from error

    @property
    def identity(self) -> ModelIdentity:
        """Version and digests of the networks."""
        return self._cascade.identity

    def warm_up(self) -> None:
        """Run every network once, so that the first film is not slower than the others."""
        self._cascade.warm_up()

    def look(self, image: Image) -> Look:
        """Run the gate's network on one film."""
        if self._cascade.gate is None:
            raise ModelError(
                "these models have no gate: run `python -m train gate`, or set gate.enabled: false"
            )
        return self._cascade.gate.look(image.pixels)

    def read(
        self,
        image: Image,
        *,
        thresholds: Thresholds = Thresholds(),  # noqa: B008 - frozen
        force_stage3: bool = False,
    ) -> Reading:
        """Run the cascade on one film.

        Raises
        ------
        ModelError
            These networks do not have an operating point of that name.
        """
        try:
            points = operating_points(self._manifest, thresholds, self._prevalence)
        except registry.WeightsError as error:
            raise ModelError(str(error)) from error
        return self._cascade.deciding(*points).read(image.pixels, force_stage3=force_stage3)
