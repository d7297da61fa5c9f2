"""Stands where `dicom_node.infer` does: a believable reading at once, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import readings

if TYPE_CHECKING:
    from dicom_node.config import ModelsConfig
    from dicom_node.domain.values import Image
    from models.reading import Look, ModelIdentity, Reading


class CascadeReader:
    """A `dicom_node.ports.Reader`."""

    engine, why_not_faster = "none", ()

    def __init__(self, models: ModelsConfig, threads: int, **_: object) -> None:
        self.identity: ModelIdentity = readings.MODEL

    def warm_up(self) -> None:
        pass

    def look(self, image: Image) -> Look:
        return readings.look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        return readings.negative(readings.frame(*image.pixels.shape))
