"""Storage commitment in both roles, and the query that replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.commitment import intake, receive
from dicom_node.commitment.datasets import MAX_REFERENCES
from dicom_node.conformance.markdown import bullets, heading, table
from dicom_node.domain.commitment import CLASS_CONFLICT, FAILURE_REASONS, NO_SUCH_OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.created import Created

_ANSWERED = (
    (receive.TAKEN, "The request is in the database; a report follows"),
    (receive.FAILED, "No address is configured to report to"),
    (receive.WRONG_INSTANCE, "The SOP Instance UID is not the well-known one"),
    (receive.INVALID, f"No data set, no instances, or more than {MAX_REFERENCES} instances"),
    (receive.WRONG_ACTION, "The Action Type ID is not 1"),
    (receive.RESOURCES, "The database cannot store it now"),
)
_TAKEN = (
    (intake.TAKEN, "The report is in the database"),
    (intake.FAILED, "The database cannot store it now"),
    (intake.NOT_OURS, "No data set, or a Transaction UID the node never used with this peer"),
)
_SAID = {
    NO_SUCH_OBJECT: "no such object was received or created, or it is no longer on disk",
    CLASS_CONFLICT: "the object is of another SOP Class",
}


def commitment(created: Created) -> Iterator[str]:
    """Part of section 5.2.5."""
    delivery = created.config.delivery
    yield heading("5.2.5.3", "SCU of the Storage Commitment Push Model")
    yield bullets(
        [
            "Commitment of a study's accepted objects is requested in one N-ACTION with a new "
            "Transaction UID (2.25, random), on a separate association.",
            f"The association is held {delivery.commitment_wait_seconds:g} s for the "
            "N-EVENT-REPORT. A later report is accepted on an association the PACS opens to "
            "RECEIVER, with or without role selection, at any time and any number of times.",
            f"Without a report the request is repeated after "
            f"{delivery.commitment_timeout_seconds:g} s, {delivery.commitment_attempts} times in "
            "all. Then, or if the SOP Class is not accepted, each object is looked up by C-FIND "
            "(Study Root, level IMAGE, by its unique keys).",
            "An object that is reported as failed, or is not found, is sent again, at most "
            f"{delivery.commitment_attempts} times; then it is held with the Failure Reason.",
        ]
    )
    yield heading("5.2.5.4", "SCP of the Storage Commitment Push Model")
    yield (
        "For instances the node received, and for those it created. The report is sent by "
        "DELIVERER on a new association, with role selection as SCP, to the destination of the "
        "requester's AE title, else to the address and port of that peer in "
        "`node.allowed_calling`, and repeated like an object until it is answered Success. It is "
        "not sent on the association of the request. The node is not an archive: the report says "
        "what is on its disk now.\n"
    )


def commitment_codes() -> Iterator[str]:
    """Part of section 7.3.2.5."""
    yield heading("7.3.2.5.3", "SCU of the Storage Commitment Push Model")
    yield (
        "N-ACTION: any status but 0000, or no answer, counts as a failed request. Failure "
        f"Reasons in reports: {_reasons()}; what failed is sent again, whatever the reason. "
        "N-EVENT-REPORT is answered:\n"
    )
    yield table(("Status Code", "Condition"), ((f"{code:04X}", why) for code, why in _TAKEN))
    yield heading("7.3.2.5.4", "SCP of the Storage Commitment Push Model")
    yield "N-ACTION is answered:\n"
    yield table(("Status Code", "Condition"), ((f"{code:04X}", why) for code, why in _ANSWERED))
    yield "Failure Reasons in the node's reports:\n"
    yield table(("Failure Reason", "Condition"), ((f"{c:04X}", why) for c, why in _SAID.items()))


def _reasons() -> str:
    return ", ".join(f"{code:04X} ({meaning})" for code, meaning in FAILURE_REASONS.items())
