"""`why`: what would be done with a film, by which rule, without doing it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.film import film, write
from support.readings import MODEL, frame, look, positive

from dicom_node.cli.why import RULES, Step, explained, would_be_read
from dicom_node.config import Config
from dicom_node.domain.values import Image, RefusalCode
from dicom_node.errors import NodeError
from dicom_node.pipeline import Pipeline
from models.reading import Look, ModelIdentity, Reading


class PositiveReader:
    """Finds pneumonia in every film."""

    identity: ModelIdentity = MODEL

    def look(self, image: Image) -> Look:
        return look()

    def read(self, image: Image, **_: object) -> Reading:
        return positive(frame(*image.pixels.shape))


def _steps(path: Path, sender: str = "", **sections: Any) -> dict[str, Step]:
    config = Config.model_validate(sections)
    pipeline = Pipeline(
        config=config, reader=PositiveReader(), clock=lambda: datetime(2026, 1, 2, tzinfo=UTC)
    )
    return {step.step: step for step in explained(config, path, sender, pipeline)}


def test_a_film_that_is_read_has_its_thresholds_its_result_and_its_destinations(
    tmp_path: Path,
) -> None:
    """Nothing is written beside the film."""
    path = write(film(), tmp_path / "a.dcm")
    folder = {"name": "disk", "kind": "folder", "path": str(tmp_path / "none")}
    overrides = [{"ae_title": "MOBILE", "pneumonia": 0.42}]
    steps = _steps(
        path,
        "MOBILE",
        destinations=[folder],
        thresholds={"overrides": overrides},
        node={"allowed_calling": [{"ae_title": "MOBILE", "address": "10.0.0.0/8"}]},
        priority={"stat_ae_titles": ["MOBILE"]},
    )
    assert steps["caller"].result == "may call from 10.0.0.0/8; its films are urgent"
    assert steps["thresholds"].result == "pneumonia 0.42, covid19 balanced"
    assert "pneumonia 0." in steps["reading"].result
    assert "objects for disk (full)" in steps["results"].result
    assert would_be_read(steps.values())
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_that_is_refused_has_the_code_and_the_keys_that_decide(tmp_path: Path) -> None:
    """It has no result of a reading."""
    steps = _steps(write(film(BodyPartExamined="HAND"), tmp_path / "a.dcm"))
    assert steps["refused"].result.startswith("body-part: ")
    assert steps["refused"].rule.startswith("select.body_parts")
    assert "reading" not in steps


def test_a_caller_that_is_not_listed_is_rejected(tmp_path: Path) -> None:
    """The film is explained all the same, and would not be read."""
    path = write(film(), tmp_path / "a.dcm")
    steps = _steps(path, "OTHER", node={"allowed_calling": [{"ae_title": "MOBILE"}]})
    assert steps["caller"].result == "rejected: OTHER is not in the list"
    assert "reading" in steps
    assert not would_be_read(steps.values())


def test_without_networks_the_header_is_explained(tmp_path: Path) -> None:
    """A step says why the film would not be read."""
    path = write(film(), tmp_path / "a.dcm")
    config = Config.model_validate({"models": {"dir": str(tmp_path / "none")}})
    steps = {step.step: step for step in explained(config, path, "")}
    assert steps["networks"].result.startswith("not read: ")
    assert "reading" not in steps


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The sentence names it."""
    with pytest.raises(NodeError, match="no such file"):
        list(explained(Config(), tmp_path / "none", ""))


def test_every_refusal_has_a_rule_and_every_key_in_a_rule_exists() -> None:
    """A key that is renamed is renamed here."""
    assert set(RULES) == set(RefusalCode)
    values = Config().model_dump()
    for rule in RULES.values():
        for word in rule.replace(",", " ").replace(";", " ").split():
            if "." in word:
                section, key = word.split(".")
                assert key in values[section]
