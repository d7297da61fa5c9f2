"""Storage commitment (PS3.4 Annex J) as plain values: queries, requests, reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_node.domain.values import Delivery

# PS3.4 J.3: the SOP class, and its one well-known instance
PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST = 1  # Action Type ID, PS3.4 J.3.2
ALL_KEPT, FAILURES_EXIST = 1, 2  # Event Type ID, PS3.4 J.3.3

PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT = 0x0112
CLASS_CONFLICT = 0x0119

# Failure Reason (0008,1197) -> what it says, PS3.3 C.14.1.1
FAILURE_REASONS = {
    PROCESSING_FAILURE: "processing failure",
    NO_SUCH_OBJECT: "no such object instance",
    CLASS_CONFLICT: "class and instance conflict",
    0x0122: "referenced SOP Class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}

# What an object counts as committed by
BY_COMMITMENT, BY_QUERY, BY_FILE = "commitment", "query", "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A SOP instance by its UIDs."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An instance that is not kept; ``code`` is the Failure Reason (0008,1197)."""

    reference: Reference
    code: int

    @property
    def sentence(self) -> str:
        """For a person: ``0x0112 no such object instance``."""
        return f"0x{self.code:04X} {FAILURE_REASONS.get(self.code, 'an unknown reason')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentReport:
    """Which instances of a request are kept, and which are not."""

    transaction_uid: str
    kept: tuple[Reference, ...] = ()
    missing: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentQuery:
    """A storage commitment query: one study's accepted objects at one destination.

    ``transaction_uid`` is recorded before the request goes out, so that no report is lost.
    """

    transaction_uid: str
    study_instance_uid: str
    destination: str
    lease: str
    asked: int  # unsuccessful attempts before
    deliveries: tuple[Delivery, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        """The objects by their UIDs."""
        return tuple(
            Reference(
                sop_class_uid=each.result.sop_class_uid,
                sop_instance_uid=each.result.sop_instance_uid,
            )
            for each in self.deliveries
        )


class Kept(Enum):
    """What became of a peer's request."""

    NEW = auto()
    REPEATED = auto()  # known by its Transaction UID
    TOO_MANY = auto()  # not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """A peer's request for storage commitment by this node."""

    id: int = 0  # 0 until it is stored
    transaction_uid: str
    ae_title: str  # of the peer
    references: tuple[Reference, ...]
    lease: str = ""
    attempt: int = 0  # 1 for the first try to report
