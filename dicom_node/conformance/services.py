"""Section 5: what the services do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_node.conformance.commitment import commitment
from dicom_node.conformance.markdown import bullets, heading, table
from dicom_node.deliver.outgoing_file import FALLBACKS
from dicom_node.domain.values import RefusalCode
from dicom_node.receive.contexts import COMPRESSED, FILMS
from dicom_node.select_images import answers, checks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_node.conformance.created import Created


def services(created: Created) -> Iterator[str]:
    """Section 5."""
    yield heading("5", "Service and Interoperability Description")
    yield heading("5.1", "Mapping of Services to Application Entities")
    yield table(
        ("Service", "RECEIVER", "DELIVERER"),
        [
            ("Verification", "SCP", "SCU, by `dicom-node echo`"),
            ("Storage", "SCP", "SCU"),
            (
                "Storage Commitment",
                "SCP: requests; SCU: late reports",
                "SCU: requests; SCP: reports",
            ),
            ("Query", "", "SCU, in place of Storage Commitment"),
            ("Studies Web Service, Store", "", "User Agent"),
            ("Studies Web Service, Search", "", "User Agent, by `dicom-node echo`"),
        ],
    )
    yield heading("5.2", "DIMSE Services")
    yield "Of the services of this section the node has 5.2.5, and Verification in both roles.\n"
    yield heading("5.2.5", "Storage Service")
    yield heading("5.2.5.1", "SCU of the Storage SOP Classes")
    yield (
        "The node sends the SOP classes marked as created in 1.1, those of one study in one "
        "association. UIDs are derived: the same film, networks and configuration give the same "
        "UIDs, so that an object sent again is the same object. What the answer means for the "
        "object is in 7.3.2.5.1.\n"
    )
    yield heading("5.2.5.1.1", "Transcoding of Transfer Syntaxes")
    names = " or ".join(syntax.name for syntax in FALLBACKS)
    yield f"Uncompressed objects are offered in {names} too; pixel data is never recompressed.\n"
    yield heading("5.2.5.2", "SCP of the Storage SOP Classes")
    yield (
        "Storage is at Level 2 (Full): the data set is kept as it came, byte by byte, and nothing "
        "is coerced. It is kept for reading and not for retrieval. Compressed films are decoded "
        f"in {len(COMPRESSED)} transfer syntaxes, see 7.2.1.4. An object without pixels that "
        "travels with a study is kept and not read.\n"
    )
    yield from commitment(created)
    yield from _web()
    yield heading("5.4", "Media Services")
    yield (
        "None. Results can be written to a folder as PS3.10 files, "
        "`STUDY-INSTANCE-UID/SOP-INSTANCE-UID.dcm`, without a DICOMDIR.\n"
    )
    yield heading("5.5", "Real-Time Video Services")
    yield "None.\n"
    yield heading("5.6", "Cross-Service Considerations")
    yield "Which films are read:\n"
    yield table(("What", "Accepted"), _rules(created))
    codes = ", ".join(f"`{code.value}`" for code in RefusalCode)
    yield f"What is not read is refused with one of the codes {codes}; see `docs/OPERATIONS.md`.\n"
    yield heading("5.7", "Specific Character Sets")
    yield bullets(
        [
            "Text is decoded by Specific Character Set (0008,0005), code extensions included; the "
            "sets are in 1.7. UTF-8 that is declared as a single-byte set, or not at all, is read "
            "as UTF-8.",
            "Everything created is in ISO_IR 192. What cannot be decoded becomes U+FFFD.",
        ]
    )


def _web() -> Iterator[str]:
    yield heading("5.3", "DICOM Web Services")
    yield heading("5.3.2", "Studies Web Service")
    yield heading("5.3.2.1", "Media Types")
    yield (
        "Requests are multipart/related with one application/dicom part; answers are asked for as "
        "application/dicom+json, and understood as application/dicom+xml too.\n"
    )
    yield heading("5.3.2.3", "Store Transaction")
    yield (
        "POST to `{url}/studies`, one object a request, in the transfer syntax it has. The item "
        "of the object in the answer decides, else the HTTP status, see 7.3.3. Redirections are "
        "not followed; proxies and passwords of the machine are not used.\n"
    )
    yield heading("5.3.2.4", "Search Transaction")
    yield "GET `{url}/studies?limit=1`, to see whether the service is there.\n"


def _rules(created: Created) -> Iterator[tuple[str, object]]:
    """The tables of `dicom_node.select_images`, and the limits of the configuration."""
    select, gate = created.config.select, created.config.gate
    yield "SOP class", _list(film.name for film in FILMS)
    yield "Modality (0008,0060)", _list(sorted(checks.MODALITIES))
    vague = _list(sorted(filter(None, checks.VAGUE_MODALITIES)))
    yield "Modality of a Secondary Capture that says chest", f"also {vague} or none"
    yield "Conversion Type (0008,0064)", f"any but {_list(sorted(checks.NOT_FILMED))}"
    yield "Photometric Interpretation (0028,0004)", "MONOCHROME1, MONOCHROME2"
    yield "Number of Frames (0028,0008)", "1 or none"
    yield "Body Part Examined (0018,0015)", f"{_list(select.body_parts)}, words for chest"
    yield "no body part anywhere", _yes(select.accept_blank_body_part)
    yield "Anatomic Region Sequence (0008,2218)", _list(sorted(answers.CHEST_CODES))
    yield "View Code Sequence (0054,0220)", _list(sorted(answers.FRONTAL_CODES))
    yield "no view anywhere", _yes(select.accept_blank_view)
    yield "Presentation Intent Type FOR PROCESSING", _yes(select.accept_for_processing)
    yield "short side", f"at least {select.min_side} pixels"
    yield "long side", f"at most {select.max_aspect:g} times the short side"
    yield "patient's age", f"at least {gate.min_age_years} years"
    yield "no age anywhere", _yes(gate.accept_unknown_age)
    yield "pixels that contradict the photometric interpretation", gate.polarity


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def _yes(accepted: bool) -> str:
    return "accepted" if accepted else "refused"
