"""Why a C-STORE is refused, and with which status."""

from __future__ import annotations

from enum import StrEnum

from dicom_node.errors import NodeError

SUCCESS = 0x0000


class StoreFault(StrEnum):
    """What is wrong with a C-STORE. The value is stable: the audit log holds it."""

    SOP_CLASS = "sop-class"  # not the class its presentation context was accepted for
    UID_SYNTAX = "uid-syntax"  # the SOP Instance UID is not a UID
    NO_DATA_SET = "no-data-set"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"
    BOUNDS = "bounds"  # nested too deep, or more elements than any real object has
    CLASS_MISMATCH = "class-mismatch"  # command and data set disagree
    INSTANCE_MISMATCH = "instance-mismatch"  # command and data set disagree
    MISSING_UID = "missing-uid"  # no Study or Series Instance UID
    NO_PIXELS = "no-pixels"
    SHORT_PIXELS = "short-pixels"  # fewer bytes than rows x columns x ... require
    DUPLICATE = "duplicate-uid"  # another object has this SOP Instance UID
    PATIENT = "patient-mismatch"  # the study belongs to another patient
    RESOURCES = "resources"  # the disk or the database cannot store it now
    QUOTA = "quota"  # the peer or its address sent too much
    INTERNAL = "internal"


# fault -> C-STORE status, PS3.4 Table B.2-1 (Axxx, Cxxx) and PS3.7 Annex C (01xx)
STATUS: dict[StoreFault, int] = {
    StoreFault.SOP_CLASS: 0x0122,  # Refused: SOP Class not supported, PS3.7 C.5.23
    StoreFault.UID_SYNTAX: 0x0117,  # Invalid SOP Instance: violates the UID construction rules
    StoreFault.NO_DATA_SET: 0xC000,  # Error: Cannot understand
    StoreFault.UNPARSABLE: 0xC000,
    StoreFault.TRUNCATED: 0xC000,
    StoreFault.BOUNDS: 0xC000,
    StoreFault.SHORT_PIXELS: 0xC000,
    StoreFault.CLASS_MISMATCH: 0xA900,  # Error: Data Set does not match SOP Class
    StoreFault.INSTANCE_MISMATCH: 0xA900,
    StoreFault.MISSING_UID: 0xA900,
    StoreFault.NO_PIXELS: 0xA900,
    StoreFault.DUPLICATE: 0x0111,  # Duplicate SOP Instance, PS3.7 C.5.5
    StoreFault.PATIENT: 0xC001,  # Error: Cannot understand
    StoreFault.RESOURCES: 0xA700,  # Refused: Out of Resources
    StoreFault.QUOTA: 0xA700,
    StoreFault.INTERNAL: 0x0110,  # Processing failure
}


class StoreRefused(NodeError):
    """A C-STORE is refused.

    Parameters
    ----------
    fault
        Determines the status.
    reason
        For the peer's Error Comment (0000,0902): at most 64 characters, no patient identity.
    study_instance_uid
        The study that the refusal concerns, if the data set was read that far.
    """

    def __init__(
        self, fault: StoreFault, reason: str, study_instance_uid: str | None = None
    ) -> None:
        super().__init__(f"{fault}: {reason}")
        self.fault = fault
        self.reason = reason
        self.study_instance_uid = study_instance_uid
