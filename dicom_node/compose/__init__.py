"""From a reading, or a refusal, to the DICOM objects an archive takes."""

from dicom_node.compose.film import compose, compose_refusal, write
from dicom_node.compose.lineage import Context
from dicom_node.compose.refusal import nameless

__all__ = ["Context", "compose", "compose_refusal", "nameless", "write"]
