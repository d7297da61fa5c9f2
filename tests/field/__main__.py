"""``PYTHONPATH=.:tests python -m field [FOLDER...] [--write docs/FIELD.md]``.

Every DICOM file of the installed collections, and of the folders named, must end read, or refused
with a code; none in an exception, none above 15 s or 2 GiB. Exit status 1 if one does.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from dicom_node.config import Config
from dicom_node.domain.clock import utc_now
from dicom_node.infer import CascadeReader
from dicom_node.log import configure
from dicom_node.pipeline import Pipeline
from field.corpus import collections
from field.page import PAGE, reports_table, table, write
from field.reports import REPORTS, network
from field.run import Outcome, run


def main() -> None:
    """Run the whole corpus and print the table, or write it into the page."""
    parser = argparse.ArgumentParser(prog="field", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--verbose", action="store_true", help="one line for each file")
    parser.add_argument("--reports", action="store_true", help="only write the table of reports")
    given = parser.parse_args()
    if given.reports:
        write(PAGE, "reports", reports_table((*REPORTS, *network.REPORTS)))
        return
    config = Config()
    configure(config.log, "field")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    reader = CascadeReader(config.models, config.workers.threads)
    reader.warm_up()
    pipeline = Pipeline(config=config, reader=reader, clock=utc_now)
    outcomes: dict[str, list[Outcome]] = {}
    for name, files in collections(given.folders).items():
        outcomes[name] = []
        for path in files:
            with TemporaryDirectory() as out:
                outcome = run(pipeline, path, Path(out))
            outcomes[name].append(outcome)
            if given.verbose or outcome.failed:
                what = f"{outcome.how:12} {outcome.seconds:5.1f} s {outcome.mebibytes:5} MiB"
                sys.stderr.write(f"{what}  {path.name}: {outcome.why}\n")
    if given.write:
        write(given.write, "corpus", table(outcomes))
        write(given.write, "reports", reports_table((*REPORTS, *network.REPORTS)))
    else:
        sys.stdout.write(table(outcomes))
    sys.exit(any(outcome.failed for each in outcomes.values() for outcome in each))


if __name__ == "__main__":
    main()
