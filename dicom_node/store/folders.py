"""Where a study's results lie below the data folder."""

from __future__ import annotations

import hashlib
from pathlib import Path


def results_folder(study_instance_uid: str) -> Path:
    """The folder of a study's results below the data folder; a peer cannot choose it."""
    digest = hashlib.sha256(study_instance_uid.encode()).hexdigest()
    return Path("results") / digest[:2] / digest[:32]
