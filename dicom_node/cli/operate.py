"""The commands an administrator looks and mends with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.output import (
    ConfigOption,
    JsonOption,
    print_json,
    print_line,
    print_table,
)
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.store import Store

audit = typer.Typer(no_args_is_help=True, help="Read and verify the audit log.")
