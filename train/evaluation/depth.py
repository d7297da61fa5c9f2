"""The figures behind the first table: source, heat, calibration, groups of patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.cascade import Cascade
from train.data.films import NOT_NORMAL, read_films, read_lung_films
from train.evaluation.bias_probes import (
    CrossValidated,
    Heat,
    Probe,
    heat,
    source_probe,
    stage3_within,
)
from train.evaluation.calibration import Calibration, calibrate
from train.evaluation.comparisons import COMPARISONS
from train.evaluation.evaluate import predict
from train.evaluation.localisation import Localised, localise
from train.evaluation.subgroups import Group, Outlines, groups, outlines

_SOURCES = ("nih", "quex")
_CALIBRATED = (
    "NIH, radiologists: normal / opacity",
    "NIH + quex: normal / any pneumonia",
    "ieee8023 alone: pneumonia / COVID-19",
    "all sources: pneumonia / COVID-19",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """The figures behind the first table."""

    probe: Probe
    heat: Heat
    stage3: list[CrossValidated]
    calibration: list[Calibration]
    places: list[Localised]
    groups: list[Group]
    outlines: list[Outlines]
    shared: list[str]  # films that taught stage 1, of patients that test stages 2 and 3


def look_deeper(cascade: Cascade, data: Path, folder: Path) -> Depth:
    """Measure source, heat, calibration and groups on the test split, and stage 3 within ieee8023.

    Parameters
    ----------
    cascade
        All three networks.
    data
        Folder with films and manifest. Stage 3 is measured on patients of all splits.
    folder
        Keeps what was measured of a film, see `store`.
    """
    test = read_films(data, ("test",))
    read = [film for film in test if film.source == "nih"]
    tested = {film.group for film in test}
    every = read_films(data, ("train", "val", "test"))
    predictions = predict(cascade, test, folder)
    unsure = [
        film for film in read_films(data, ("test",), labels=(NOT_NORMAL,)) if film.source == "nih"
    ]
    return Depth(
        probe=source_probe(cascade, every, folder, _SOURCES),
        heat=heat(cascade, read, folder),
        stage3=stage3_within(cascade, every, folder, "ieee8023"),
        calibration=[
            calibrate(each, predictions, cascade.settings)
            for each in COMPARISONS
            if each.name in _CALIBRATED
        ],
        places=localise(cascade, test, folder),
        outlines=outlines(predict(cascade, read, folder)),
        groups=groups(predict(cascade, [*read, *unsure], folder), cascade.settings),
        shared=[
            film.path.stem
            for film in read_lung_films(data)
            if film.split == "train" and film.group in tested
        ],
    )
