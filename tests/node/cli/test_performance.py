"""`performance` at the command line."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.fakes import full, instance, read, reading_summary
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.domain.clock import utc_now
from dicom_node.domain.paired import LEAST
from dicom_node.domain.values import FilmTraits
from dicom_node.domain.verdicts import Finding, Source, Verdict
from dicom_node.store.store import Store, open_store


def _read(
    store: Store,
    study: str,
    probability: float,
    version: str = "1.0.0",
    decade: int | None = None,
) -> None:
    """Receive a film of the study and read it."""
    now = utc_now()
    store.inbox.add(instance(study, at=now))
    store.jobs.open_ready(now)
    job = store.jobs.claim("worker-1", now)
    assert job is not None
    summary = replace(reading_summary(probability), model_version=version)
    traits = FilmTraits(modality="DX", view="PA", decade=decade)
    outcomes = [
        replace(read(film.sop_instance_uid, 0), reading=summary, traits=traits)
        for film in job.instances
    ]
    store.jobs.finish(job, outcomes, full())


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A node that read ill and well studies rightly, one without verdict, one with old networks."""
    path = tmp_path / "config.yaml"
    path.write_text(f"node: {{data_dir: {tmp_path / 'data'}}}\n")
    store = open_store(tmp_path / "data", utc_now)
    _read(store, "1.9", 0.9, version="0.9.0")
    _read(store, "1.8", 0.9, decade=60)
    verdicts = []
    for number in range(2 * LEAST):
        study, ill = f"1.2.{number}", number % 2 == 0
        _read(store, study, 0.9 if ill else 0.1)
        verdicts.append(
            Verdict(
                finding=Finding.COVID19 if ill else Finding.OTHER, source=Source.CSV,
                given_at=datetime(2026, 1, 1, tzinfo=UTC), study_instance_uid=study,
            )
        )  # fmt: skip
    store.verdicts.add(verdicts)
    store.close()
    return path


def _run(config: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["performance", *words, "--config", str(config)])
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_scores_are_compared_with_verdicts(config: Path) -> None:
    """Of the networks in use, by sender if wanted; what no verdict covers is counted."""
    found = json.loads(_run(config, "--json", "--by", "ae"))
    group = found["groups"]["MODALITY"]
    assert found["version"] == "1.0.0"
    assert (group["studies"], group["missing"]) == (2 * LEAST + 1, 1)
    assert (group["sensitivity"]["value"], group["auc"]["value"]) == (1.0, 1.0)
    assert "1.000" in _run(config)


def test_figures_are_written_as_a_table_and_a_picture(config: Path, tmp_path: Path) -> None:
    """CSV for a spreadsheet, the ROC curve and the reliability for people."""
    table, picture = tmp_path / "figures.csv", tmp_path / "figures.svg"
    _run(config, "--csv", str(table), "--plot", str(picture))
    row = next(csv.DictReader(io.StringIO(table.read_text())))
    assert (row["group"], row["ill"], row["auc"]) == ("all", str(LEAST), "1.0")
    assert picture.read_text().startswith("<?xml")


def test_a_group_with_few_studies_is_named_and_has_no_figures(config: Path) -> None:
    """Studies are grouped by what the header of their first film says."""
    groups = json.loads(_run(config, "--json", "--by", "age"))["groups"]
    assert groups["60-69"]["too_few_to_say"]
    assert (groups["60-69"]["studies"], groups["not stated"]["ill"]) == (1, LEAST)
    assert list(json.loads(_run(config, "--json", "--by", "view"))["groups"]) == ["PA"]
    assert list(json.loads(_run(config, "--json", "--by", "modality"))["groups"]) == ["DX"]
    assert "too few to say" in _run(config, "--by", "age")


def test_a_stage_that_did_not_run_has_no_figures(config: Path) -> None:
    """Stage 3 counts the studies on which it ran; future films have none, too."""
    assert json.loads(_run(config, "--json", "--stage", "covid19"))["groups"] == {}
    assert "no study was read" in _run(config, "--since", "2999-01-01")
