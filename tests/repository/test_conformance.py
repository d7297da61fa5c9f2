"""docs/CONFORMANCE.md is what the code generates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from dicom_node import config
from dicom_node.cli.app import app
from dicom_node.conformance import statement
from dicom_node.deliver.status import STORE_STATUS
from dicom_node.receive.contexts import STORED
from dicom_node.receive.store_status import StoreFault

PAGE = Path(__file__).parents[2] / "docs" / "CONFORMANCE.md"

#: PS3.2 Annex N, the sections every statement has.
HEADINGS = (
    *("1 Overview", "1.1 Content and Transfer", "1.2 DIMSE Services", "1.3 DICOM Web Services"),
    *("1.4 Media Services", "1.5 Real-Time Video Services", "1.6 De-identification Profiles"),
    *("1.7 Specific Character Sets", "2 Table of Contents", "3 Introduction"),
    *("3.1 Revision History", "3.2 Audience", "3.3 Remarks", "3.4 Terms and Definitions"),
    *("3.5 Abbreviations", "3.6 References", "4 Implementation Model"),
    *("4.1 Application Entities and Data Flow", "5 Service and Interoperability Description"),
    *("5.1 Mapping of Services to Application Entities", "5.2 DIMSE Services"),
    *("5.2.5 Storage Service", "5.3 DICOM Web Services", "5.3.2 Studies Web Service"),
    *("5.4 Media Services", "5.5 Real-Time Video Services", "5.6 Cross-Service Considerations"),
    *("5.7 Specific Character Sets", "6 Configuration", "6.1 General Configuration Parameters"),
    *("6.2 Configuration of DIMSE Services", "6.3 Configuration of DICOM Web Services"),
    *("7 Network and Media Communication Details", "7.1 General", "7.2 Specifications"),
    *("7.3 Status Codes", "7.3.2 DIMSE Services", "7.3.2.5 Storage Service"),
    *("7.3.3 DICOM Web Services", "8 Security", "8.1 Introduction"),
    *("8.2 External Network Requirements", "8.3 TCP Port Configuration"),
    *("8.4 DICOM Security Profiles Support", "8.5 User Identity Negotiation Support"),
    *("8.6 Web Services Security Features", "8.7 Other Security Features"),
    *("A.A Information Object Definitions", "A.B Structured Report Content Encoding"),
    *("A.C Security Details", "A.D Mapping of Attributes", "A.E Code Set Usage"),
)


@pytest.fixture(scope="module")
def page() -> str:
    return statement(config.Config())


def test_the_page_is_what_the_code_prints(page: str) -> None:
    """After a change on the wire the statement must be generated again."""
    assert PAGE.read_text() == page, "run `dicom-node conformance`, and read what changed"


def test_it_has_the_sections_of_the_template(page: str) -> None:
    """All sections of PS3.2 Annex N, in their order."""
    shown = re.findall(r"^#+ (.+)$", page, re.M)
    assert [heading for heading in shown if heading in HEADINGS] == list(HEADINGS)


def test_it_says_that_this_is_research(page: str) -> None:
    """People who decide on a purchase read the statement."""
    assert "not a medical device" in page


def test_whatever_is_accepted_and_answered_is_in_it(page: str) -> None:
    """SOP classes, transfer syntaxes and status codes, of both roles."""
    for sop_class in STORED.values():
        assert sop_class.uid in page
        for syntax in sop_class.transfer_syntaxes:
            assert syntax in page
    for fault in StoreFault:
        assert f"`{fault.value}`" in page
    for row in STORE_STATUS:
        assert f"| {row.first:04X}" in page


def test_a_site_gets_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AE titles, ports, destinations and what is switched on, on standard output; never a token."""
    monkeypatch.setenv("SITE_TOKEN", "s3cret")
    site = config.Config.model_validate(
        {
            "node": {
                "ae_title": "SITE_NODE",
                "port": 104,
                "allowed_calling": [{"ae_title": "CR_ROOM_2", "address": "10.0.0.5"}],
            },
            "destinations": [
                {"name": "archive", "ae_title": "ARCHIVE", "host": "pacs.site", "port": 2104},
                {"name": "disk", "kind": "folder", "path": "/mnt/results"},
                {
                    "name": "cloud",
                    "kind": "dicomweb",
                    "url": "https://web.site/dicom-web",
                    "token_env": "SITE_TOKEN",
                },
            ],
            "report": {"sop_class": "enhanced"},
            "select": {"min_side": 777},
        }
    )
    page = _run(tmp_path, site, "-")
    for row in (
        "| RECEIVER | SITE_NODE | 0.0.0.0 | 104 |",
        "| archive | ARCHIVE | pacs.site | 2104 |",
        "| disk | /mnt/results |",
        "| cloud | https://web.site/dicom-web | yes | public |",
        "| CR_ROOM_2 | 10.0.0.5 |",
        "| short side | at least 777 pixels |",
        "| Enhanced SR Storage | 1.2.840.10008.5.1.4.1.1.88.22 | Y | N | Y | Y |",
        "| Comprehensive 3D SR Storage | 1.2.840.10008.5.1.4.1.1.88.34 | O | N | Y | Y |",
    ):
        assert row in page
    assert "s3cret" not in page


@pytest.mark.parametrize(
    "row",
    [
        "| Patient ID | (0010,0020) | LO | 1 | COPIED | ALWAYS | CONDITIONAL |  |",
        "| Patient's Age | (0010,1010) | AS | 1 | COPIED | CONDITIONAL | ALWAYS |  |",
        "| Manufacturer | (0008,0070) | LO | 1 | CONFIG | ALWAYS | ALWAYS |  |",
        "| SOP Instance UID | (0008,0018) | UI | 1 | AUTO | ALWAYS | ALWAYS |  |",
        "| Conversion Type | (0008,0064) | CS | 1 | FIXED | ALWAYS | ALWAYS | SYN |",
    ],
)
def test_where_values_come_from_is_found_by_looking(page: str, row: str) -> None:
    """The patient is COPIED, the manufacturer CONFIG, the UID AUTO, some values FIXED."""
    assert row in page


def test_the_command_writes_it(tmp_path: Path, page: str) -> None:
    """It writes the file and creates its folder."""
    file = tmp_path / "docs" / "CONFORMANCE.md"
    _run(tmp_path, config.Config(), str(file))
    assert file.read_text() == page


def _run(folder: Path, settings: config.Config, out: str) -> str:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    done = CliRunner().invoke(app, ["conformance", "--config", str(path), "--out", out])
    assert done.exit_code == 0, done.output
    return done.stdout
