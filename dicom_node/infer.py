"""Load the networks; one Image in, one Reading out. No other module of the node uses torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from dicom_node.errors import ModelError
from models import registry, signature
from models.engine import REFERENCE, Choice, Machine, choose
from models.operating import operating_points
from models.thresholds import Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_node.config import ModelsConfig
    from dicom_node.domain.values import Image
    from models.cascade import Cascade
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
    machine
        What there is to compute with; None to look.
    fell_back
        Called with the engine's name when it has no memory for a film: the processor reads it,
        and every later one.

    Raises
    ------
    ModelError
        A file is missing, was altered, does not fit its network, or is not signed by the key that
        is configured.
    """

    def __init__(
        self,
        models: ModelsConfig,
        threads: int,
        *,
        machine: Machine | None = None,
        fell_back: Callable[[str], object] = lambda _: None,
    ) -> None:
        torch.set_num_threads(threads)
        self._prevalence = models.prevalence
        self._fell_back = fell_back
        try:
            self._directory = _verified(models)
            self._manifest = registry.read_manifest(self._directory)
            measured = {each.engine: each for each in self._manifest.engines}
            self._choice = choose(
                models.device, models.precision, measured, machine or Machine.here()
            )
            self._cascade = self._load()
        except registry.WeightsError as error:
            raise ModelError(str(error)) from error

    def _load(self) -> Cascade:
        return registry.load(
            self._directory, prevalence=self._prevalence, folded=True, engine=self._choice.engine
        )

    @property
    def identity(self) -> ModelIdentity:
        """Version and digests of the networks."""
        return self._cascade.identity

    @property
    def engine(self) -> str:
        """What computes the networks, such as ``cpu fp32``."""
        return self._choice.engine.name

    @property
    def why_not_faster(self) -> tuple[str, ...]:
        """What speaks against the faster engines that were asked for."""
        return self._choice.why

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
        guided: bool = True,
    ) -> Reading:
        """Run the cascade on one film, with Guided Grad-CAM or without.

        Raises
        ------
        ModelError
            These networks do not have an operating point of that name.
        """
        try:
            points = operating_points(self._manifest, thresholds, self._prevalence)
        except registry.WeightsError as error:
            raise ModelError(str(error)) from error
        asked = {"force_stage3": force_stage3, "guided": guided}
        try:
            return self._cascade.deciding(*points).read(image.pixels, **asked)
        except torch.OutOfMemoryError:
            if self._choice.engine == REFERENCE:
                raise
        self._fall_back()
        return self._cascade.deciding(*points).read(image.pixels, **asked)

    def _fall_back(self) -> None:
        name = self._choice.engine.name
        self._choice = Choice(engine=REFERENCE, why=(f"{name} had no memory for a film",))
        self._cascade = self._load()
        self._fell_back(name)
