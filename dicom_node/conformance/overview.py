"""Sections 1 to 4: what the node is, at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.charset import python_encoding

import dicom_node
from dicom_node.conformance.markdown import bullets, heading, table
from dicom_node.receive.contexts import STORED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.uid import UID

    from dicom_node.conformance.created import Created

TITLE = f"""# DICOM Conformance Statement: {dicom_node.MODEL_NAME} {dicom_node.__version__}

**Research software, not a medical device: NOT FOR DIAGNOSTIC USE.**

Written by `dicom-node conformance` from the tables the program itself works by; the headings are
those of DICOM PS3.2 Annex N. Its sections for services the node does not have are left out.
"""

_CONTENTS = """\
1. Overview
2. Table of Contents
3. Introduction
4. Implementation Model
5. Service and Interoperability Description
6. Configuration
7. Network and Media Communication Details
8. Security
9. Annexes: A.A Information Object Definitions, A.B Structured Report Content Encoding,
   A.C Security Details, A.D Mapping of Attributes, A.E Code Set Usage, A.F IHE Integration Profiles
"""


def overview(created: Created) -> Iterator[str]:
    """Sections 1 and 2."""
    yield heading("1", "Overview")
    yield (
        "The node receives radiographs by C-STORE, reads the frontal chest films among them with "
        "a cascade of three neural networks, and sends what it found back as new objects of the "
        "same study: by C-STORE, by STOW-RS, or into a folder.\n"
    )
    yield heading("1.1", "Content and Transfer")
    yield table(
        ("SOP Class", "SOP Class UID", "Created", "Read", "Storage SCU", "Storage SCP"),
        (_content(created, uid) for uid in sorted({*STORED, *created.syntaxes})),
    )
    yield (
        'Created: "Y" as configured here, "O" where another configuration asks for it. '
        'Read: "Y" where the pixels are read, if they are those of a frontal chest film.\n'
    )
    yield heading("1.1.1", "Structured Reporting Root Template IDs")
    yield table(("Template", "Mapping Resource", "SOP Class"), sorted(_templates(created)))
    yield heading("1.2", "DIMSE Services")
    yield table(
        ("Service", "SCU", "SCP"),
        [
            ("1.2.1 Verification", "Y", "Y"),
            ("1.2.2 Storage", "Y", "Y"),
            ("1.2.2 Storage Commitment", "Y", "Y"),
            ("1.2.3 Workflow Management", "N", "N"),
            ("1.2.4 Query/Retrieve", "Y, C-FIND in place of commitment only", "N"),
            ("1.2.5 Print Management", "N", "N"),
        ],
    )
    yield heading("1.3", "DICOM Web Services")
    yield table(
        ("Service", "User Agent", "Origin Server"),
        [
            ("1.3.2 Studies Web Service: Store (STOW-RS)", "Y", "N"),
            ("1.3.2 Studies Web Service: Search (QIDO-RS)", "Y, by `dicom-node echo` only", "N"),
            ("any other", "N", "N"),
        ],
    )
    yield from _nothing("1.4", "Media Services")
    yield from _nothing("1.5", "Real-Time Video Services")
    yield from _nothing("1.6", "De-identification Profiles")
    yield heading("1.7", "Specific Character Sets")
    written = {str(ds.SpecificCharacterSet) for probe in created.probes for ds in probe.objects}
    yield table(
        ("Direction", "Specific Character Set (0008,0005)"),
        [
            ("read", ", ".join(filter(None, python_encoding))),
            ("written", ", ".join(sorted(written))),
        ],
    )
    yield heading("2", "Table of Contents")
    yield _CONTENTS


def introduction() -> Iterator[str]:
    """Section 3."""
    yield heading("3", "Introduction")
    yield heading("3.1", "Revision History")
    yield f"This statement belongs to version {dicom_node.__version__}; see `CHANGELOG.md`.\n"
    yield heading("3.2", "Audience")
    yield "Whoever connects the node to a PACS: administrators, integrators, their vendors.\n"
    yield heading("3.3", "Remarks")
    yield (
        "Conformance does not prove interoperability: test the connection. The node is research "
        "software; its findings are neither verified nor for diagnosis, and every object says so.\n"
    )
    yield heading("3.4", "Terms and Definitions")
    yield "Those of DICOM PS3.1 to PS3.18. A film is one radiograph, one SOP instance.\n"
    yield heading("3.5", "Abbreviations")
    yield (
        "AE Application Entity, IOD Information Object Definition, SCP Service Class Provider, "
        "SCU Service Class User, SR Structured Report, TID Template Identifier.\n"
    )
    yield heading("3.6", "References")
    yield "DICOM PS3, https://www.dicomstandard.org; IHE Radiology AIR, https://www.ihe.net.\n"


def model() -> Iterator[str]:
    """Section 4."""
    yield heading("4", "Implementation Model")
    yield heading("4.1", "Application Entities and Data Flow")
    yield (
        "```\n"
        "PACS, modality ── C-STORE ──> RECEIVER ──> reading ──> DELIVERER ── C-STORE ──> PACS\n"
        "                                                           ├────── STOW-RS ──> DICOMweb\n"
        "                                                           └────────── files ──> folder\n"
        "```\n"
    )
    yield bullets(
        [
            "RECEIVER accepts associations. It answers Success when bytes and database row are "
            "on disk; the same object sent again is answered Success and not read twice; a result "
            "of the node's own that comes back is answered Success and goes nowhere.",
            "DELIVERER opens one association for each study and PACS when its results are ready, "
            "and again for what the PACS could not take then; another one to ask whether the PACS "
            "keeps what it took, and one to tell a peer what the node keeps for it.",
            "Both carry the AE title of the node. A study is read once no film has come for a "
            "configured time; films that come later are read by themselves.",
        ]
    )


def _content(created: Created, uid: UID) -> tuple[str, ...]:
    is_created = ""
    if uid in created.syntaxes:
        is_created = "Y" if created.is_made_here(uid) else "O"
    stored = STORED.get(uid)
    return (
        uid.name,
        uid,
        is_created or "N",
        "Y" if stored and stored.needs_pixels else "N",
        "Y" if is_created else "N",
        "Y" if stored else "N",
    )


def _templates(created: Created) -> set[tuple[str, str, str]]:
    return {
        (template.TemplateIdentifier, template.MappingResource, ds.SOPClassUID.name)
        for probe in created.probes
        for ds in probe.objects
        for template in ds.get("ContentTemplateSequence") or ()
    }


def _nothing(number: str, title: str) -> Iterator[str]:
    yield heading(number, title)
    yield "None.\n"
