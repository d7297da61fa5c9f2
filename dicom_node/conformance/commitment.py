"""Storage commitment in both roles, and the query that stands in for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.commitment import intake
from dicom_node.commitment import receive as desk
from dicom_node.commitment.datasets import MAX_REFERENCES
from dicom_node.conformance.markdown import bullets, heading, table
from dicom_node.domain.commitment import CLASS_CONFLICT, FAILURE_REASONS, NO_SUCH_OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.conformance.created import Created

_ANSWERED = (
    (desk.TAKEN, "The request is in the database; a report follows"),
    (desk.FAILED, "No address is configured to report to"),
    (desk.WRONG_INSTANCE, "The SOP Instance UID is not the well-known one"),
    (desk.INVALID, f"No request, one about nothing, or about more than {MAX_REFERENCES} instances"),
    (desk.WRONG_ACTION, "The Action Type ID is not 1"),
    (desk.RESOURCES, "The database does not take it now"),
)
_TAKEN = (
    (intake.TAKEN, "The report is in the database"),
    (intake.FAILED, "The database does not take it now"),
    (intake.NOT_OURS, "No report, or of a Transaction UID the node never used"),
)
_SAID = {
    NO_SUCH_OBJECT: "no such object was received or created, or it is not on disk any more",
    CLASS_CONFLICT: "it is of another SOP Class",
}


def commitment(created: Created) -> Iterator[str]:
    """Part of section 5.2.5."""
    delivery = created.config.delivery
    yield heading("5.2.5.3", "SCU of the Storage Commitment Push Model")
    yield bullets(
        [
            "Objects of a study that a PACS accepted are asked after in one N-ACTION, under a new "
            "Transaction UID (2.25, random), on an association of its own.",
            f"The association is held {delivery.commitment_wait_seconds:g} s for the "
            "N-EVENT-REPORT. One that comes later is taken on an association the PACS opens to "
            "RECEIVER, with role selection or without, whenever it comes and however often.",
            f"Without a report the question is repeated after "
            f"{delivery.commitment_timeout_seconds:g} s, {delivery.commitment_attempts} times in "
            "all. Then, or where the SOP Class is not accepted, each object is looked up by C-FIND "
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
        "`node.allowed_calling`; until it is answered Success, as often as an object. It is not "
        "sent on the association of the request. The node is no archive: the report says what is "
        "on its disk now.\n"
    )


def commitment_codes() -> Iterator[str]:
    """Part of section 7.3.2.5."""
    yield heading("7.3.2.5.3", "SCU of the Storage Commitment Push Model")
    yield (
        "N-ACTION: any status but 0000, and no answer, count as a question in vain. Failure "
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
