"""The DICOM Conformance Statement (PS3.2 Annex N), generated from the tables the node works by."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from dicom_node.conformance.annexes import annexes
from dicom_node.conformance.created import Created
from dicom_node.conformance.overview import TITLE, introduction, model, overview
from dicom_node.conformance.probe import probes
from dicom_node.conformance.security import security
from dicom_node.conformance.services import services
from dicom_node.conformance.settings import settings
from dicom_node.conformance.wire import wire

if TYPE_CHECKING:
    from dicom_node.config import Config


def statement(config: Config) -> str:
    """Write the statement for a node of this configuration, in Markdown."""
    with warnings.catch_warnings(action="ignore"):  # the synthetic films are unusual on purpose
        created = Created(config, tuple(probes(config)))
    parts = [
        TITLE,
        *overview(created),
        *introduction(),
        *model(),
        *services(created),
        *settings(created),
        *wire(created),
        *security(created),
        *annexes(created),
    ]
    return "\n".join(parts)
