"""Section 7: associations, presentation contexts and status codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pynetdicom
from pydicom.uid import UID

from dicom_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.commitment.scu import SYNTAXES
from dicom_node.conformance.commitment import commitment_codes
from dicom_node.conformance.markdown import bullets, heading, table
from dicom_node.deliver.duplicate import FIND
from dicom_node.deliver.scu import MAX_CONTEXTS, SLOWEST_LINE
from dicom_node.deliver.status import STORE_STATUS, Row
from dicom_node.deliver.stow_answers import HTTP_STATUS
from dicom_node.domain.commitment import PUSH_MODEL
from dicom_node.domain.states import DeliveryEvent
from dicom_node.receive.associations import Rejection
from dicom_node.receive.contexts import supported_contexts
from dicom_node.receive.scp import MAX_PDU
from dicom_node.receive.store_status import STATUS, SUCCESS, StoreFault
from dicom_node.receive.stow import (
    ALL_STORED,
    BAD_REQUEST,
    BUSY,
    NONE_STORED,
    SOME_STORED,
    TOO_LARGE,
    WRONG_TYPE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_node.conformance.created import Created

_VERIFICATION = UID("1.2.840.10008.1.1")
_NEXT = {
    DeliveryEvent.ACCEPTED: "Accepted",
    DeliveryEvent.UNAVAILABLE: "Sent again later",
    DeliveryEvent.REFUSED: "Held until a person runs `dicom-node retry`",
}
_REJECTED_WHEN = {
    Rejection.VERSION: "Bit 0 of the protocol version is not set",
    Rejection.APPLICATION: "The application context is not that of DICOM",
    Rejection.CALLED: "The called AE title is not the node's, and `node.require_called` is on",
    Rejection.CALLING: "`node.allowed_calling` names peers, and this is not one of them",
    Rejection.USER: "`node.users_file` is set, and the request has no user listed in it",
    Rejection.LOCKED: "The address showed a wrong user identity five times in ten minutes",
    Rejection.LIMIT: "`node.max_associations` are open",
    Rejection.PEER_LIMIT: "`node.max_associations_per_peer` of this peer are open",
    Rejection.ADDRESS_LIMIT: "`quotas.address_associations` of this address are open",
}
_RESULTS = {1: "rejected-permanent", 2: "rejected-transient"}
_FAULTS = {
    StoreFault.SOP_CLASS: "The SOP class of the command is not that of the presentation context",
    StoreFault.UID_SYNTAX: "The SOP Instance UID of the command is not a UID",
    StoreFault.NO_DATA_SET: "No data set came with the command",
    StoreFault.UNPARSABLE: "The data set cannot be parsed in its transfer syntax",
    StoreFault.TRUNCATED: "The data set ends before its last element does",
    StoreFault.BOUNDS: "Sequences are nested too deep, or there are too many elements",
    StoreFault.CLASS_MISMATCH: "The SOP Class UID of the data set is not that of the command",
    StoreFault.INSTANCE_MISMATCH: "The SOP Instance UID of the data set is not that of the command",
    StoreFault.MISSING_UID: "The data set has no Study or no Series Instance UID",
    StoreFault.NO_PIXELS: "The data set is an image without Pixel Data",
    StoreFault.SHORT_PIXELS: "Pixel Data is shorter than rows and columns say",
    StoreFault.DUPLICATE: "Another object has this SOP Instance UID (`receive.conflict`)",
    StoreFault.PATIENT: "Patient ID, its issuer or the birth date differ from the study's",
    StoreFault.RESOURCES: "The disk or the database cannot store it now",
    StoreFault.QUOTA: "The peer or its address is above a quota (`quotas`)",
    StoreFault.INTERNAL: "An unexpected error; it is in the log",
}


def wire(created: Created) -> Iterator[str]:
    """Section 7."""
    yield heading("7", "Network and Media Communication Details")
    yield heading("7.1", "General")
    yield heading("7.1.1", "General Association Parameters")
    yield table(
        ("Parameter", "Value"),
        [
            ("Application Context Name", "1.2.840.10008.3.1.1.1"),
            ("Implementation Class UID", IMPLEMENTATION_CLASS_UID),
            ("Implementation Version Name", IMPLEMENTATION_VERSION_NAME),
            ("Asynchronous operations window", "not negotiated: one operation at a time"),
            ("SOP Class Extended and Common Extended Negotiation", "not supported"),
            ("SCP/SCU Role Selection", "for Storage Commitment only"),
            ("IP versions", "IPv4, IPv6"),
        ],
    )
    yield heading("7.2", "Specifications")
    yield from _receiver(created)
    yield from _deliverer(created)
    yield from _status_codes()


def _receiver(created: Created) -> Iterator[str]:
    node = created.config.node
    yield heading("7.2.1", "RECEIVER Application Entity")
    yield heading("7.2.1.1", "Sequencing of Real-World Activities")
    yield (
        "C-ECHO, C-STORE, N-ACTION and N-EVENT-REPORT in any order, any number of each in one "
        "association.\n"
    )
    yield heading("7.2.1.2", "Association Parameters")
    timeout = node.network_timeout_seconds
    yield table(
        ("Parameter", "Value"),
        [
            ("AE title", node.ae_title),
            ("Maximum PDU size received", f"{MAX_PDU} bytes"),
            ("Simultaneous associations accepted", node.max_associations),
            ("ARTIM time-out", f"{min(node.artim_seconds, timeout):g} s"),
            ("DIMSE and network time-out", f"{timeout:g} s"),
        ],
    )
    yield heading("7.2.1.3", "Association Initiation")
    yield "None.\n"
    yield heading("7.2.1.4", "Association Acceptance")
    yield "Presentation contexts, preferred transfer syntaxes first:\n"
    yield table(
        ("Abstract Syntax", "UID", "Transfer Syntaxes", "Role"),
        (
            (
                UID(str(context.abstract_syntax)).name,
                context.abstract_syntax,
                _names(map(UID, context.transfer_syntax)),
                "SCP, SCU" if context.scu_role else "SCP",
            )
            for context in supported_contexts()
        ),
    )
    yield "These transfer syntaxes are:\n"
    every = {UID(each) for context in supported_contexts() for each in context.transfer_syntax}
    yield table(
        ("Transfer Syntax", "Name", "UID"),
        ((each.keyword, each.name, each) for each in sorted(every)),
    )
    yield "Rejections (PS3.8 Table 9-21):\n"
    yield table(
        ("Result", "Source", "Reason", "When"),
        (
            (_RESULTS[each.wire[0]], each.wire[1], each.wire[2], _REJECTED_WHEN[each])
            for each in Rejection
        ),
    )


def _deliverer(created: Created) -> Iterator[str]:
    config = created.config
    yield heading("7.2.2", "DELIVERER Application Entity")
    yield heading("7.2.2.1", "Sequencing of Real-World Activities")
    yield bullets(
        [
            "Results of a study are ready: one association with each PACS, one C-STORE for each "
            "object, release. An object is sent after those it refers to.",
            "An object that breaks the association waits; the objects after it are sent soon.",
            "A PACS that does not answer is tried again later; other destinations are not "
            f"affected. After {config.delivery.breaker_failures} failed associations in a row "
            "nothing is sent to it until a C-ECHO, tried at growing intervals, is answered.",
            "Storage commitment: N-ACTION, a short wait for N-EVENT-REPORT, release. If the PACS "
            "does not support it: one C-FIND for each object, release.",
            "A peer requested storage commitment: N-EVENT-REPORT, release.",
        ]
    )
    yield heading("7.2.2.2", "Association Parameters")
    timeout = config.delivery.timeout_seconds
    yield table(
        ("Parameter", "Value"),
        [
            ("AE title", config.node.ae_title),
            ("Maximum PDU size received", f"{pynetdicom.AE().maximum_pdu_size} bytes"),
            ("Simultaneous associations initiated", 4),
            ("Connection and ACSE time-out", f"{timeout:g} s"),
            ("DIMSE time-out", f"{timeout:g} s, and 1 s for each {SLOWEST_LINE / 1024:g} KiB"),
            ("Presentation contexts proposed", f"at most {MAX_CONTEXTS}"),
        ],
    )
    yield heading("7.2.2.3", "Association Initiation")
    yield (
        "For Storage, each presentation context has one transfer syntax, and only SOP classes sent "
        "in this association are proposed. Of the accepted contexts of a SOP class, the object's "
        "own transfer syntax is used, else the first of the others in this table.\n"
    )
    echo = [UID(each) for each in pynetdicom.build_context(_VERIFICATION).transfer_syntax or ()]
    contexts = [
        (_VERIFICATION, tuple(echo), "SCU"),
        (UID(PUSH_MODEL), SYNTAXES, "SCU, SCP"),
        (UID(FIND), SYNTAXES, "SCU"),
        *((uid, syntaxes, "SCU") for uid, syntaxes in created.syntaxes.items()),
    ]
    yield table(
        ("Abstract Syntax", "UID", "Transfer Syntaxes", "Role"),
        ((uid.name, uid, _names(syntaxes), role) for uid, syntaxes, role in contexts),
    )
    yield heading("7.2.2.4", "Association Acceptance")
    yield "None.\n"


def _status_codes() -> Iterator[str]:
    yield heading("7.3", "Status Codes")
    yield heading("7.3.1", "General Communication and Failure Behaviour")
    yield table(
        ("Event", "Behaviour of the DELIVERER"),
        [
            ("no connection, association rejected or aborted", _NEXT[DeliveryEvent.UNAVAILABLE]),
            ("no answer in time", _NEXT[DeliveryEvent.UNAVAILABLE]),
            ("no presentation context accepted for the object", _NEXT[DeliveryEvent.REFUSED]),
            ("as many attempts as configured", _NEXT[DeliveryEvent.REFUSED]),
        ],
    )
    yield heading("7.3.2", "DIMSE Services")
    yield "C-ECHO is always answered 0000.\n"
    yield heading("7.3.2.5", "Storage Service")
    yield heading("7.3.2.5.1", "SCU of the Storage SOP Classes - C-STORE")
    yield table(("Status Code", "Further Meaning", "Behaviour"), map(_handled, STORE_STATUS))
    yield f"Any other status: {_NEXT[DeliveryEvent.REFUSED].lower()}. The first match applies.\n"
    yield heading("7.3.2.5.2", "SCP of the Storage SOP Classes - C-STORE")
    success = ("Success", f"{SUCCESS:04X}", "", "Bytes and database row are on disk")
    yield table(
        ("Further Meaning", "Status Code", "Related Fields", "Condition"),
        [success, *(_answered(fault) for fault in StoreFault)],
    )
    yield from commitment_codes()
    yield heading("7.3.3", "DICOM Web Services")
    yield (
        "Failure Reason (0008,1197) and Warning Reason (0008,1196) of the object in the response "
        "are handled like the status codes of 7.3.2.5.1. If the response does not mention the "
        "object, the HTTP status decides; a success that does not name the object is a failure.\n"
    )
    yield table(("HTTP Status", "Further Meaning", "Behaviour"), map(_http, HTTP_STATUS))
    yield (
        "Answers as origin server. Failure Reason of each object that is not stored is the status "
        "code that C-STORE would have had, see 7.3.2.5.2.\n"
    )
    yield table(
        ("HTTP Status", "When"),
        [
            (ALL_STORED, "all objects are stored"),
            (SOME_STORED, "some are, and some failed"),
            (
                BAD_REQUEST,
                "the body is malformed or ends too early; objects before that stay",
            ),
            (NONE_STORED, "no object is stored"),
            (TOO_LARGE, "the objects are larger than `spool.max_object_mb`, or there are too many"),
            (WRONG_TYPE, "the body is not multipart/related with application/dicom"),
            (BUSY, "disk, quota, number of requests or a receiver that is away: send again later"),
            ("401, 403", "the login is missing or wrong"),
        ],
    )


def _names(syntaxes: Iterable[UID]) -> str:
    return ", ".join(syntax.keyword for syntax in syntaxes)


def _handled(row: Row) -> tuple[str, str, str]:
    codes = f"{row.first:04X}" + (f"-{row.last:04X}" if row.last != row.first else "")
    return codes, row.meaning, _NEXT[row.event]


def _http(row: Row) -> tuple[str, str, str]:
    codes = f"{row.first}" + (f"-{row.last}" if row.last != row.first else "")
    return codes, row.meaning, _NEXT[row.event]


def _answered(fault: StoreFault) -> tuple[str, str, str, str]:
    return f"`{fault.value}`", f"{STATUS[fault]:04X}", "(0000,0902)", _FAULTS[fault]
