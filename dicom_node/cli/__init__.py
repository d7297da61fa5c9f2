"""The ``dicom-node`` command: parse the arguments, call one function, print the result.

Nothing heavy is imported here. Each command imports what it needs, so that `status` starts at once.
"""

from dicom_node.cli.app import app, main

__all__ = ["app", "main"]
