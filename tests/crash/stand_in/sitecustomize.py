"""Python runs this first in each process of the crash matrix's node.

The networks are a stand-in, because torch would take longer to load than the rest of a restart,
and fail points obey orders. Everything else in those processes is the node as it is installed.
"""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

from crash.stand_in import obedience

from dicom_node import fail_points


class StandIn(MetaPathFinder):
    """Answers for the module that loads the networks."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != "dicom_node.infer":
            return None
        return spec_from_file_location(fullname, Path(__file__).with_name("reader.py"))


sys.meta_path.insert(0, StandIn())
if obedience.VARIABLE in os.environ:
    fail_points.fail_point = obedience.fail_point
