"""The thresholds that a person adopted take the place of the configured ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.domain.site_threshold import Networks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_node.config import Config, ModelsConfig
    from models.reading import ModelIdentity


def networks_of(identity: ModelIdentity, models: ModelsConfig) -> Networks:
    """What an adopted threshold must belong to."""
    return Networks(
        version=identity.version, digests=identity.digests, prevalence=models.prevalence
    )


def with_adopted(config: Config, adopted: Mapping[str, float]) -> Config:
    """The configuration with adopted thresholds; those of `thresholds.overrides` stay.

    `Config.digest` changes with them, and so do the UIDs of what is made.
    """
    if not adopted:
        return config
    thresholds = config.thresholds.model_copy(update=dict(adopted))
    return config.model_copy(update={"thresholds": thresholds})
