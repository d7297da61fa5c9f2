"""The cases: phantoms that a PACS sends by every route, with every class of report.

No patient is involved. What the networks make of a phantom is arbitrary, so a copy of the manifest
gets thresholds for which one phantom is positive, stage 3 included, and the other negative.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import yaml
from interop.servers import Route
from pydicom.dataset import Dataset
from support.film import Stored, film, phantom, write
from support.running import COMMAND

Answer: TypeAlias = Literal["positive", "negative", "refused"]

_SHAPE = 640, 560
_SEEDS = range(1, 17)  # of phantoms; those with the lowest and the highest score are sent
_LEAST_STAGE3 = 0.0001  # below every probability: a film that reaches stage 3 is positive there


@dataclass(frozen=True, slots=True)
class Case:
    """A study of one film, and the expected answer."""

    name: str
    film: Dataset
    answer: Answer

    @property
    def study(self) -> str:
        return str(self.film.StudyInstanceUID)


@dataclass(frozen=True, slots=True)
class Round:
    """One configuration of the node and one route."""

    name: str
    route: Route
    cases: tuple[Case, ...]
    sections: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    in_cluster: bool = False  # several members; a receiver is killed before the last case

    def config(self, models_dir: Path) -> dict[str, Any]:
        """The node's configuration: every kind of result is on."""
        sections: dict[str, Any] = {
            "models": {"dir": str(models_dir)},
            "workers": {"threads": 1},
            "gate": {"enabled": False},  # it may recognise that a phantom is not a patient
            "results": {
                "segmentation": True,
                "key_objects": True,
                "presentation_state": True,
                "parametric_maps": True,
            },
        }
        return {**sections, **self.sections}


def rounds(sick: int, well: int) -> tuple[Round, ...]:
    """Every round; ``sick`` and ``well`` are the seeds of the two phantoms."""
    return (
        Round(
            "3d",
            "smart",
            (
                _case("positive, Japanese name", "positive", sick, PatientName=_JAPANESE),
                _case("negative, MONOCHROME1, Cyrillic name", "negative", well, **_CYRILLIC),
                _case("lateral", "refused", sick, ViewPosition="LL"),
            ),
            {"report": {"sop_class": "comprehensive_3d"}},
        ),
        *(
            Round(
                sop_class,
                route,
                (
                    _case("positive", "positive", sick, kind="dx"),
                    _case("negative", "negative", well),
                    _case("hand", "refused", well, BodyPartExamined="HAND"),
                ),
                {"report": {"sop_class": sop_class}},
            )
            for sop_class, route in _OTHER_CLASSES
        ),
        Round(
            "cluster",
            "instance",
            (
                _case("positive", "positive", sick),
                _case("hand", "refused", well, BodyPartExamined="HAND"),
                _case("after a kill", "negative", well),
            ),
            in_cluster=True,
        ),
        Round(
            "gate",
            "smart",
            (
                _case("child", "refused", well, PatientAge="005Y", PatientBirthDate="20210101"),
                _case("noise", "refused", well, picture=_noise()),
            ),
            {"gate": {"enabled": True}},
        ),
    )


_JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
_CYRILLIC = {
    "kind": "dx",
    "stored": Stored(photometric="MONOCHROME1"),
    "PatientName": "Жданов^Анна",
    "SpecificCharacterSet": "ISO_IR 144",
}
_OTHER_CLASSES: tuple[tuple[str, Route], ...] = (
    ("comprehensive", "instance"),
    ("enhanced", "dumb"),
    ("basic_text", "smart"),
)


def _case(name: str, answer: Answer, seed: int, **elements: Any) -> Case:
    patient_id = re.sub(r"\W+", "-", name)  # Orthanc finds no Patient ID with a space
    made = film(**{"picture": phantom(*_SHAPE, seed), "PatientID": patient_id, **elements})
    return Case(name, made, answer)


def _noise() -> Any:
    return np.random.default_rng(0).random(_SHAPE, dtype=np.float32)


def tuned_models(folder: Path, models: Path) -> tuple[Path, int, int]:
    """Copy ``models`` into ``folder``, with thresholds between two of the phantoms.

    Returns
    -------
    tuple
        The copy's folder, the seed of the positive phantom, the seed of the negative one.
    """
    folder.mkdir(parents=True)
    read_by = {"gate": {"enabled": False}, "models": {"dir": str(models)}}
    (folder / "read.yaml").write_text(yaml.safe_dump(read_by))
    for seed in _SEEDS:
        write(film(phantom(*_SHAPE, seed)), folder / "films" / f"{seed}.dcm")
    words = ["read", str(folder / "films"), "--out", str(folder / "read"), "--json"]
    done = subprocess.run(
        [COMMAND, *words, "--config", folder / "read.yaml"],
        capture_output=True,
        text=True,
        check=True,
    )
    says = sorted(
        (entry["pneumonia"]["probability"], int(Path(entry["path"]).stem))
        for entry in json.loads(done.stdout)
    )
    (low, well), (high, sick) = says[0], says[-1]
    if high - low < 0.01:
        raise RuntimeError(f"the networks do not distinguish any two phantoms: {low}, {high}")
    copy = folder / "models"
    shutil.copytree(models, copy)
    manifest = yaml.safe_load((copy / "manifest.yaml").read_text())
    manifest["networks"]["pneumonia"]["threshold"] = (low + high) / 2
    manifest["networks"]["covid19"]["threshold"] = _LEAST_STAGE3
    (copy / "manifest.yaml").write_text(yaml.safe_dump(manifest, allow_unicode=True))
    return copy, sick, well
