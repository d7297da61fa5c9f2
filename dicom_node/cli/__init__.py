"""The ``dicom-node`` command: parse, call one function, print.

Nothing heavy is imported here; each command imports what it needs, so that `status` starts at once.
"""

from dicom_node.cli.app import app, main

__all__ = ["app", "main"]
