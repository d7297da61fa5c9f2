"""The attacks that are quick enough for the test suite, run again by `make attack`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from attacks.target import Outcome

_ROOT = Path(__file__).parents[2]
TESTS = {
    "code in the decoder process": "tests/node/pixels/test_confine.py",
    "decompression and nesting bombs": "tests/node/pixels/test_bounds.py",
    "broken associations and framing": "tests/node/receive/test_limits.py",
    "contradicting objects": "tests/node/receive/test_conflicts.py",
    "links and races in a shared folder": "tests/node/deliver/test_folder.py",
    "endless and compressed web answers": "tests/node/deliver/test_stow.py",
    "forged commitment reports": "tests/node/commitment/test_asked.py",
    "hostile words through every command": "tests/properties/test_printed_data.py",
    "altered audit lines": "tests/properties/test_audit_chain.py",
    "open files of the node": "tests/node/service/test_file_modes.py",
    "requests to the web page": "tests/node/service/test_web.py",
    "headers and titles that lie": "tests/node/receive/test_quotas.py",
    "streams that contradict their header": "tests/node/pixels/test_roads.py",
    "candidates that change": "tests/node/cli/test_candidates.py",
    "spreadsheets of verdicts": "tests/node/verdicts/test_spreadsheet.py",
    "reports by HL7 and their folder": "tests/node/verdicts/test_intake.py",
    "answers of an HL7 receiver": "tests/node/deliver/test_hl7.py",
}


def suite(_folder: Path) -> Iterator[Outcome]:
    """Each file in a run of its own."""
    for attack, path in TESTS.items():
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", path],
            cwd=_ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = re.findall(r"^\d+ (?:passed|failed).*?(?= in )", done.stdout, re.M)
        yield Outcome(attack=attack, held=done.returncode == 0, said=said[-1] if said else "")
