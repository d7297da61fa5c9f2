"""From a reading, or a refusal, to the DICOM objects an archive takes."""

from dicom_node.compose.lineage import Context
from dicom_node.compose.objects import compose, compose_refusal, write
from dicom_node.compose.refusal import missing_uid

__all__ = ["Context", "compose", "compose_refusal", "missing_uid", "write"]
