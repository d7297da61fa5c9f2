"""Turn a reading, or a refusal, into the DICOM objects that are sent to the archive."""

from dicom_node.compose.facts import earlier, film_date
from dicom_node.compose.identity import restrict
from dicom_node.compose.lineage import Context
from dicom_node.compose.objects import compose, compose_refusal, write
from dicom_node.compose.refusal import missing_uid

__all__ = [
    "Context",
    "compose",
    "compose_refusal",
    "earlier",
    "film_date",
    "missing_uid",
    "restrict",
    "write",
]
