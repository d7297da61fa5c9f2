"""Which films are read first: by their header, or by their sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.datadict import tag_for_keyword

from dicom_node.domain.values import ROUTINE, STAT
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from dicom_node.config import PriorityConfig
    from dicom_node.receive.header_scan import Header


class PriorityRule:
    """The rule of the configuration; raises ConfigError if it names no element."""

    def __init__(self, config: PriorityConfig) -> None:
        tag = tag_for_keyword(config.attribute)
        if tag is None:
            raise ConfigError(f"priority.attribute: {config.attribute} is not a DICOM keyword")
        self.tag = tag
        self._values = {value.upper() for value in config.stat_values}
        self._titles = set(config.stat_ae_titles)
        self._header_from = set(config.header_from)

    def of(self, header: Header, calling_ae_title: str) -> int:
        """The priority of an object; greater goes first."""
        believed = calling_ae_title in self._header_from
        by_header = believed and header.priority.upper() in self._values
        return STAT if by_header or calling_ae_title in self._titles else ROUTINE
