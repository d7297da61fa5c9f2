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
    yield "The node supports 5.2.5, and Verification in both roles.\n"
    yield heading("5.2.5", "Storage Service")
    yield heading("5.2.5.1", "SCU of the Storage SOP Classes")
    yield (
        "The node sends the SOP classes marked as created in 1.1, the objects of one study in one "
        "association. UIDs are derived: the same film, models, software and configuration give the "
        "same UIDs, and a change of any of them gives new ones. How the node handles each status "
        "is in 7.3.2.5.1.\n"
    )
    yield heading("5.2.5.1.1", "Transcoding of Transfer Syntaxes")
    names = " or ".join(syntax.name for syntax in FALLBACKS)
    yield (
        f"Uncompressed objects are also offered in {names}, and so are our pictures in JPEG "
        "Baseline or JPEG-LS: they are decoded for a peer that does not accept them, stay the "
        "same instances, and are marked as lossy where JPEG lost something. No other pixel data "
        "is touched.\n"
    )
    yield heading("5.2.5.2", "SCP of the Storage SOP Classes")
    yield (
        "Storage is at Level 2 (Full): the data set is stored byte by byte as received, and "
        "nothing is coerced. It is stored for reading, not for retrieval. Compressed films are "
        f"decoded in {len(COMPRESSED)} transfer syntaxes, see 7.2.1.4. Objects without pixels are "
        "stored and not read as films. Of a Structured Report with Verification Flag VERIFIED "
        "(Basic Text, Enhanced, Comprehensive, Comprehensive 3D) and of a Key Object Selection "
        "that refer to a result of this node, these become a verdict on the film's study: codes "
        "(Concept Code Sequence) and Text Values of the content items, the document title (113001 "
        "or 113037, DCM: rejected), and of the first Verifying Observer the time and a digest of "
        "the code or name. They are never sent on, and no text or name of them is kept elsewhere.\n"
    )
    yield (
        "HL7 v2 (not DICOM): with `verdicts.mllp` the node answers ORU^R01 messages of HL7 2.x in "
        "original acknowledgement mode (IHE RAD-28, RAD-128): AA, AE or AR with a code of table "
        "0357 in ERR-3. Read are MSH-3, 4, 7, 9 to 12 and 18, OBR-2, 3, 18, 22, 25 and 32, OBX-2, "
        "3, 5 and 11, ZDS-1 and IPC-3.\n"
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
    yield f"Anything else is refused with one of the codes {codes}; see `docs/OPERATIONS.md`.\n"
    yield heading("5.7", "Specific Character Sets")
    yield bullets(
        [
            "Text is decoded by Specific Character Set (0008,0005), including code extensions; the "
            "sets are in 1.7. UTF-8 that is declared as a single-byte set, or not declared, is "
            "read as UTF-8.",
            "Created objects are in ISO_IR 192. Characters that cannot be decoded become U+FFFD.",
        ]
    )


def _web() -> Iterator[str]:
    yield heading("5.3", "DICOM Web Services")
    yield heading("5.3.2", "Studies Web Service")
    yield heading("5.3.2.1", "Media Types")
    yield (
        "As user agent: requests are multipart/related with one application/dicom part. Responses "
        "are requested as application/dicom+json; application/dicom+xml is understood, too. As "
        "origin server: requests are multipart/related with any number of application/dicom parts; "
        "responses are application/dicom+json, those that concern no object text/plain.\n"
    )
    yield heading("5.3.2.3", "Store Transaction")
    yield (
        "As user agent: POST to `{url}/studies`, one object in each request, in its own transfer "
        "syntax. The object's item in the response decides, else the HTTP status, see "
        "7.3.3. Redirects are not followed; the machine's proxy settings and passwords are not "
        "used.\n\n"
        "As origin server, if `http.dicomweb` is on: POST to `/studies` or `/studies/{study}` at "
        "`http.port`, with the login of the page. Each object passes the checks, quotas and "
        "records of C-STORE, in the SOP classes and transfer syntaxes of 1.1 and 7.2.1.4, and is "
        "stored durably before the response. The user's name counts as the calling AE "
        "title. "
        "Nothing is retrieved, so items have no Retrieve URL (0008,1190).\n"
    )
    yield heading("5.3.2.4", "Search Transaction")
    yield "GET `{url}/studies?limit=1`, to test whether the service answers.\n"


def _rules(created: Created) -> Iterator[tuple[str, object]]:
    """Yield the tables of `dicom_node.select_images` and the limits of the configuration."""
    select, gate = created.config.select, created.config.gate
    yield "SOP class", _list(film.name for film in FILMS)
    yield "Modality (0008,0060)", _list(sorted(checks.MODALITIES))
    vague = _list(sorted(filter(None, checks.VAGUE_MODALITIES)))
    yield "Modality of a Secondary Capture with a chest body part", f"also {vague} or none"
    yield "Conversion Type (0008,0064)", f"any but {_list(sorted(checks.NOT_FILMED))}"
    yield "Photometric Interpretation (0028,0004)", "MONOCHROME1, MONOCHROME2"
    yield "Number of Frames (0028,0008)", "1 or none"
    yield "Body Part Examined (0018,0015)", f"{_list(select.body_parts)}, and words for chest"
    yield "no body part given", _yes(select.accept_blank_body_part)
    yield "Anatomic Region Sequence (0008,2218)", _list(sorted(answers.CHEST_CODES))
    yield "View Code Sequence (0054,0220)", _list(sorted(answers.FRONTAL_CODES))
    yield "no view given", _yes(select.accept_blank_view)
    yield "Presentation Intent Type FOR PROCESSING", _yes(select.accept_for_processing)
    yield "short side", f"at least {select.min_side} pixels"
    yield "long side", f"at most {select.max_aspect:g} times the short side"
    yield "patient's age", f"at least {gate.min_age_years} years"
    yield "no age given", _yes(gate.accept_unknown_age)
    yield "pixels that contradict the photometric interpretation", gate.polarity


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def _yes(accepted: bool) -> str:
    return "accepted" if accepted else "refused"
