"""``python -m attacks``: attack nodes of real processes, and print what held.

Exit status 1 if an attack did harm.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from attacks import door_and_file, films, machine, reports
from attacks.suite import suite
from attacks.target import Outcome

ATTACKS: dict[str, Callable[[Path], Iterator[Outcome]]] = {
    each.__name__: each
    for each in (
        films.never_quiet, films.first_wins, films.joins_a_study, films.words,
        *machine.ATTACKS, door_and_file.slow_page, door_and_file.hostile_reload,
        reports.poisoned_reports, suite,
    )
}  # fmt: skip


def main() -> int:
    """Run the named attacks, or all."""
    parser = argparse.ArgumentParser(prog="attacks", description=__doc__)
    parser.add_argument("names", nargs="*", help=", ".join(ATTACKS))
    names = parser.parse_args().names or list(ATTACKS)
    if unknown := set(names) - set(ATTACKS):
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="attacks") as folder:
        for name in names:
            for outcome in ATTACKS[name](Path(folder) / name):
                outcomes.append(outcome)
                held = "held" if outcome.held else "HARMED"
                sys.stdout.write(f"{held:7} {outcome.attack:44} {outcome.said}\n")
                sys.stdout.flush()
    good = sum(outcome.held for outcome in outcomes)
    sys.stdout.write(f"{good} of {len(outcomes)} attacks did no harm\n")
    return 0 if good == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
