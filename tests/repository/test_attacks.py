"""The security page lists the attacks of `make attack`; the test files they run are there."""

from __future__ import annotations

import re
from pathlib import Path

from attacks.__main__ import ATTACKS
from attacks.suite import TESTS

ROOT = Path(__file__).parents[2]


def test_the_page_lists_every_attack() -> None:
    """By the name that `ATTACKS=` takes."""
    page = (ROOT / "docs" / "SECURITY.md").read_text()
    table = page.split("<!-- attacks: begin -->")[1].split("<!-- attacks: end -->")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == list(ATTACKS)


def test_the_attacks_of_the_suite_are_there() -> None:
    """A renamed file would be an attack that is not run."""
    assert all((ROOT / path).is_file() for path in TESTS.values())
