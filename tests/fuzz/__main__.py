"""``PYTHONPATH=.:tests python -m fuzz TARGET [--seconds 600]``: fuzz one target with atheris.

Inputs that reach new code are kept in ``--out``, so that the next run continues from them. Inputs
that fail are kept there too; once fixed, they belong in the corpus.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Fuzz until the time is over; the exit status is that of libFuzzer, 0 if nothing failed."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("target", choices=sorted(each.name for each in CORPUS.iterdir()))
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    given = parser.parse_args()
    found = given.out / given.target
    found.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["dicom_node"]):
        from fuzz.targets import TARGETS
    atheris.Setup(
        [
            sys.argv[0], str(found), str(CORPUS / given.target),
            f"-max_total_time={given.seconds}", "-timeout=40", "-rss_limit_mb=2048",
            "-max_len=16384", f"-artifact_prefix={found}/failed-", "-print_final_stats=1",
        ],
        TARGETS[given.target],
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main()
