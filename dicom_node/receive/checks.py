"""What must be true of an object before the node keeps it; each check has its own fault.

Only identity and completeness are checked here. Whether the object is a film that can be read is
decided later, by the selection, which gives a reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import UID

from dicom_node.dicom.uids import is_uid
from dicom_node.domain.values import MOST_PIXELS
from dicom_node.receive.contexts import COMPRESSED, STORED
from dicom_node.receive.store_status import StoreFault, StoreRefused

if TYPE_CHECKING:
    from dicom_node.receive.header_scan import Header


def check_command(sop_class_uid: str, sop_instance_uid: str, abstract_syntax: str) -> None:
    """Check the Affected SOP Class and Instance UID of a C-STORE-RQ, before the data set."""
    if sop_class_uid != abstract_syntax or sop_class_uid not in STORED:
        raise StoreRefused(
            StoreFault.SOP_CLASS, "SOP class is not that of the presentation context"
        )
    if not is_uid(sop_instance_uid):
        raise StoreRefused(StoreFault.UID_SYNTAX, "Affected SOP Instance UID is not a UID")


def check_identity(header: Header, sop_class_uid: str, sop_instance_uid: str) -> None:
    """Check that the data set is the announced object and has a study and a series."""
    if header.sop_class_uid != sop_class_uid:
        raise StoreRefused(StoreFault.CLASS_MISMATCH, "SOP Class UID differs from the command's")
    if header.sop_instance_uid != sop_instance_uid:
        raise StoreRefused(
            StoreFault.INSTANCE_MISMATCH, "SOP Instance UID differs from the command's"
        )
    if not is_uid(header.study_instance_uid):
        raise StoreRefused(StoreFault.MISSING_UID, "Study Instance UID is missing or not a UID")
    if not is_uid(header.series_instance_uid):
        raise StoreRefused(StoreFault.MISSING_UID, "Series Instance UID is missing or not a UID")


def check_pixels(header: Header, transfer_syntax_uid: str) -> None:
    """Check that an image has Pixel Data, and all of it if it is uncompressed."""
    if not STORED[UID(header.sop_class_uid)].needs_pixels:
        return
    if not header.pixel_bytes:
        raise StoreRefused(StoreFault.NO_PIXELS, "no Pixel Data")
    if transfer_syntax_uid in COMPRESSED:
        return
    if header.encapsulated:
        raise StoreRefused(StoreFault.UNPARSABLE, "encapsulated Pixel Data, uncompressed syntax")
    if header.pixel_bytes < native_bytes(header):
        raise StoreRefused(
            StoreFault.SHORT_PIXELS, "Pixel Data shorter than Rows x Columns require"
        )


def native_bytes(header: Header) -> int:
    """Bytes of uncompressed Pixel Data by the header (PS3.5 8.1.1); 0 if it does not say.

    YBR_FULL_422 shares two colour samples between two pixels (PS3.3 C.7.6.3.1.2).
    """
    if header.rows is None or header.columns is None or header.bits_allocated is None:
        return 0
    samples = 2 if header.photometric.endswith("_422") else header.samples_per_pixel or 1
    return (pixel_count(header) * samples * header.bits_allocated + 7) // 8


def claimed_pixels(header: Header) -> int:
    """Pixels that reading the object may cost, for the quotas; the most if it does not say."""
    if not STORED[UID(header.sop_class_uid)].needs_pixels:
        return 0
    return pixel_count(header) or MOST_PIXELS


def pixel_count(header: Header) -> int:
    """Pixels of all frames by the header; 0 if it does not say."""
    return (header.rows or 0) * (header.columns or 0) * (header.frames or 1)
