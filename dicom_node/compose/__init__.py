"""From a reading to the DICOM objects an archive takes: Secondary Capture and Structured Report."""

from dicom_node.compose.film import compose, write
from dicom_node.compose.lineage import Context

__all__ = ["Context", "compose", "write"]
