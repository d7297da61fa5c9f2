"""The findings of `doctor destination` as a section for the site's conformance statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.conformance.markdown import bullets, table
from dicom_node.deliver.examine.offers import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.cli.doctor_destination import Examination
    from dicom_node.deliver.examine.offers import Offers
    from dicom_node.deliver.examine.trial import Trial


def section(found: Examination) -> str:
    """Write the section, in Markdown."""
    return "\n".join(_parts(found))


def _parts(found: Examination) -> Iterator[str]:
    yield f"## Destination {found.destination.name}\n"
    yield f"Examined {found.at} by `dicom-node doctor destination`.\n"
    yield table(("Question", "Answer"), _answers(found))
    if found.offers:
        yield "Storage SOP Classes and transfer syntaxes accepted:\n"
        yield table(
            ("SOP Class", "UID", "Transfer Syntaxes"),
            (
                (uid.name, uid, ", ".join(each.keyword for each in syntaxes) or "none")
                for uid, syntaxes in found.offers.storage.items()
            ),
        )
    if found.trial:
        yield from _trial(found.trial)
    if found.faults:
        yield "Faults:\n"
        yield bullets(found.faults)


def _answers(found: Examination) -> Iterator[tuple[str, str]]:
    yield "Kind", found.destination.kind
    yield "Connection test", found.echo.reason
    if found.tls:
        yield "TLS", f"{found.tls.version}, {found.tls.cipher}, {found.tls.certificate.subject}"
    if found.offers:
        yield from _offered(found.offers)


def _offered(offered: Offers) -> Iterator[tuple[str, str]]:
    yield "Implementation Class UID", offered.implementation_class_uid
    yield "Implementation Version Name", offered.implementation_version_name
    yield "Maximum PDU size", f"{offered.maximum_pdu} bytes"
    for uid, yes in offered.services.items():
        yield SERVICES[uid], "accepted" if yes else "not accepted"


def _trial(tried: Trial) -> Iterator[str]:
    how = f"fetched back by {tried.fetched_by}" if tried.fetched_by else "not fetched back"
    yield f"A test study was sent and {how}.\n"
    yield table(
        ("Object", "Answer", "Attribute changed", "Sent", "Returned"),
        (
            (each.sop_class, each.answer, change.attribute, change.sent, change.returned)
            for each in tried.objects
            for change in each.changes
        ),
    )
