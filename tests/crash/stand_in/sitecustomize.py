"""Python runs this first in each process of the crash matrix's node: the networks are a stand-in.

Everything else in those processes is the node as it is installed. Torch would take longer to load
than the rest of a restart.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any


class StandIn(MetaPathFinder):
    """Answers for the module that loads the networks."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != "dicom_node.infer":
            return None
        return spec_from_file_location(fullname, Path(__file__).with_name("reader.py"))


sys.meta_path.insert(0, StandIn())
