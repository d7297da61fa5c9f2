"""`drift` at the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.commands import Commands
from support.fakes import full, instance, read, reading_summary

from dicom_node.config import load
from dicom_node.domain import drift
from dicom_node.domain.clock import utc_now
from dicom_node.errors import NodeError
from dicom_node.service.alarms import alarms
from dicom_node.service.drift import watch
from dicom_node.store.store import Store, open_store


@dataclass
class Site(Commands):
    store: Store

    def read(self, scores: list[float], at: datetime) -> None:
        """A study of films with these scores."""
        study = f"1.2.{at:%j}"
        for number in range(len(scores)):
            self.store.inbox.add(replace(instance(study, number), received_at=at))
        left = iter(scores)
        while self.store.jobs.open_ready(utc_now()):
            job = self.store.jobs.claim("worker-1", utc_now())
            assert job is not None
            summaries = [
                replace(reading_summary(score), distance=1 + score)
                for _, score in zip(job.instances, left, strict=False)
            ]
            outcomes = [
                replace(read(film.sop_instance_uid, 0), reading=summary)
                for film, summary in zip(job.instances, summaries, strict=True)
            ]
            self.store.jobs.finish(job, outcomes, full())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A node without films."""
    (tmp_path / "config.yaml").write_text(f"node: {{data_dir: {tmp_path / 'data'}}}\n")
    store = open_store(tmp_path / "data", utc_now)
    yield Site(tmp_path, store)
    store.close()


def test_films_of_another_ward_raise_an_alarm(site: Site) -> None:
    """Frozen by a command; then an alarm with the command that helps, and a picture."""
    with pytest.raises(NodeError, match="drift freeze"):
        raise site.run("drift").exception or AssertionError
    now = utc_now()
    count = drift.LEAST
    site.read([number / count for number in range(count)], now - timedelta(days=9))
    frozen = site.json("drift", "freeze", "--to", (now - timedelta(days=8)).isoformat())
    assert frozen["senders"] == {"MODALITY": count}
    assert {each["index"] for each in site.json("drift")["shifts"]} == {None}
    assert "too few to say" in site.run("drift").stdout
    site.read([0.9] * count, now - timedelta(days=1))
    found = {each["measure"]: each["is_alarm"] for each in site.json("drift")["shifts"]}
    assert found == {"score": True, "distance": True, "refused": False}
    config = load(site.folder / "config.yaml")
    watch(site.store.drift, config.drift)
    said = [alarm for alarm in alarms(config, utc_now()) if alarm.code == "drift"]
    assert [alarm.command for alarm in said] == ["dicom-node drift"] * 2
    picture = site.folder / "drift.svg"
    assert "ALARM" in site.run("drift", "--plot", str(picture)).stdout
    assert picture.read_text().startswith("<?xml")
