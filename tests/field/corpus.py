"""Where the collections lie, and which of their files are DICOM."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# Python package -> the module whose folder holds its files
_PACKAGES = {"pydicom": "pydicom.data", "pydicom-data": "data_store", "pylibjpeg-data": "ljdata"}


def collections(folders: Iterable[Path]) -> Mapping[str, list[Path]]:
    """DICOM files by collection: of the packages that are installed, then of each folder."""
    found = {}
    for package, module in _PACKAGES.items():
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.submodule_search_locations:
            found[package] = sorted(_files(Path(spec.submodule_search_locations[0])))
    return found | {folder.name: sorted(_files(folder)) for folder in folders}


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc") and _is_dicom(path):
            yield path


def _is_dicom(path: Path) -> bool:
    """Named as DICOM, or with its prefix (PS3.10 7.1); files without either are left out."""
    if path.suffix.lower() in (".dcm", ".dicom"):
        return True
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
