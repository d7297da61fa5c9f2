"""`docs` prints the documentation of this version."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.errors import NodeError

PAGES = Path(__file__).parents[3] / "docs"


def test_every_page_of_the_documentation_is_listed_and_printed() -> None:
    """What the wheel has are the pages of the repository, and the changelog."""
    listed = json.loads(CliRunner().invoke(app, ["docs", "--json"]).stdout)
    assert set(listed) == {page.stem.lower() for page in PAGES.glob("*.md")} | {"changelog"}
    assert listed["operations"] == "Operating the node"
    printed = CliRunner().invoke(app, ["docs", "OPERATIONS.md"]).stdout
    assert printed == (PAGES / "OPERATIONS.md").read_text()


def test_an_unknown_page_is_an_error_that_names_the_others() -> None:
    """One sentence, no traceback."""
    done = CliRunner().invoke(app, ["docs", "operation"])
    assert isinstance(done.exception, NodeError)
    assert "operations" in str(done.exception)
