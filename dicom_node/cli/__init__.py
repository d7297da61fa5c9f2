"""The ``dicom-node`` command: parse the arguments, call one function, print the result.

Each command imports what it needs. `status` is asked every minute by monitoring, so it starts
without the other commands, too.
"""

from __future__ import annotations

import os
import sys

from dicom_node.dicom.blobs import BlobsAway
from dicom_node.errors import NodeError


def main() -> None:
    """Run the command line; print an error of the node as one sentence and exit with status 1.

    Every file that a command or a process of the node creates is private to its user (umask 077).
    """
    os.umask(0o077)
    try:
        if sys.argv[1:2] == ["status"]:
            from dicom_node.cli.status import alone

            alone()
        else:
            from dicom_node.cli.app import app

            app()
    except (NodeError, BlobsAway) as error:
        from dicom_node.cli.render import printable

        sentence = "\n".join(map(printable, str(error).splitlines()))
        sys.stderr.write(f"dicom-node: {sentence}\n")
        sys.exit(1)
