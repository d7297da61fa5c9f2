"""`shadow report`, `model` and `replay` at the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.commands import Commands
from support.fake_networks import write_models
from support.fakes import START, full, instance, read, reading_summary
from support.film import film, write

from dicom_node.config import ModelsConfig
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.clock import utc_now
from dicom_node.domain.values import FilmOutcome
from dicom_node.domain.verdicts import Finding, Source, Verdict
from dicom_node.errors import NodeError
from dicom_node.infer import identity
from dicom_node.service import promotion
from dicom_node.store.store import Store, open_store


@dataclass
class Site(Commands):
    model: Path
    store: Store

    def read(self, count: int, used: float, other: float, finding: Finding) -> None:
        """So many studies, read by both versions, with the verdict."""
        candidate = identity(ModelsConfig(dir=self.model))
        other_summary = replace(
            reading_summary(other), model_version="2", model_digests={"pneumonia": "b"}
        )
        for number in range(count):
            study = f"1.{'12'[finding is Finding.NORMAL]}.{number}"
            came = instance(study)
            self.store.inbox.add(came)
            self.store.jobs.open_ready(utc_now())
            job = self.store.jobs.claim("worker-1", utc_now())
            assert job is not None
            outcome = replace(read(came.sop_instance_uid, 0), reading=reading_summary(used))
            self.store.jobs.finish(job, [outcome], full())
            shadow = FilmOutcome(sop_instance_uid="", refusal=None, reading=other_summary)
            self.store.shadow.begin(candidate, came)
            self.store.shadow.finish(candidate, came, shadow)
            verdict = Verdict(
                finding=finding, source=Source.CSV, given_at=START, study_instance_uid=study
            )
            self.store.verdicts.add([verdict])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A node without films, and a candidate of random networks."""
    data = tmp_path / "data"
    (tmp_path / "config.yaml").write_text(f"node: {{data_dir: {data}}}\ngate: {{enabled: false}}\n")
    store = open_store(data, utc_now)
    yield Site(tmp_path, write_models(tmp_path / "candidate"), store)
    store.close()


def test_without_a_candidate_there_is_nothing_to_report(site: Site) -> None:
    """The message says what to set."""
    done = site.run("shadow", "report")
    assert isinstance(done.exception, NodeError)
    assert "models.shadow" in str(done.exception)


def test_the_report_names_what_differs_and_says_when_it_is_too_few(site: Site) -> None:
    """Studies to look at, and no figure."""
    site.read(2, 0.2, 0.9, Finding.PNEUMONIA)
    found = site.json("shadow", "report")
    assert [each["study_instance_uid"] for each in found["differ"]] == ["1.1.0", "1.1.1"]
    assert found["too_few_to_say"]
    assert found["auc"] is None
    text = site.run("shadow", "report").stdout
    assert "too few to say" in text
    assert "2 studies, 2 decided differently" in text
    assert found["covid19"]["studies"] == 0
    assert "0 COVID-19, 0 other" in text


def test_a_candidate_with_too_few_verdicts_is_promoted_only_with_a_reason(site: Site) -> None:
    """The audit log keeps it; a rollback returns to the configured version."""
    done = site.run("model", "promote", str(site.model))
    assert "too few to say" in str(done.exception)
    assert site.store.promotions.active() is None
    assert isinstance(site.run("model", "rollback").exception, NodeError)
    promoted = site.json("model", "promote", str(site.model), "--even-so", "a trial")
    active = site.store.promotions.active()
    assert active is not None
    assert active.digest == promoted["digest"]
    assert (site.folder / "data" / active.folder / "manifest.yaml").exists()
    lines = [each.event for each in site.store.audit.all()]
    (line,) = [each for each in lines if each.kind is AuditKind.MODEL_PROMOTED]
    assert line.detail["even_so"] == "a trial"
    again = site.run("model", "promote", str(site.model), "--even-so", "twice")
    assert "in use already" in str(again.exception)
    assert site.json("model", "rollback") == {"left": "0", "in_use": None}
    assert site.store.promotions.active() is None
    assert "a trial" in site.run("model", "list").stdout


def test_a_better_candidate_is_promoted_and_a_worse_one_refused(site: Site) -> None:
    """By what both made of the same films."""
    site.read(40, 0.2, 0.9, Finding.PNEUMONIA)
    site.read(40, 0.2, 0.1, Finding.NORMAL)
    found = site.json("model", "promote", str(site.model))
    assert found["sensitivity"]["other"] == 1.0


def test_a_worse_candidate_is_refused(site: Site) -> None:
    """The message names the figures."""
    site.read(40, 0.9, 0.2, Finding.PNEUMONIA)
    site.read(40, 0.1, 0.3, Finding.NORMAL)
    done = site.run("model", "promote", str(site.model))
    assert "sensitivity and specificity" in str(done.exception)


def test_a_candidate_that_gains_nothing_is_promoted_only_with_a_reason(site: Site) -> None:
    """It is not worse, and has not proven itself either; report and refusal say so."""
    site.read(40, 0.9, 0.9, Finding.PNEUMONIA)
    site.read(40, 0.1, 0.1, Finding.NORMAL)
    assert "no gain was shown" in site.run("shadow", "report").stdout
    done = site.run("model", "promote", str(site.model))
    assert "no gain was shown" in str(done.exception)
    assert site.store.promotions.active() is None
    site.json("model", "promote", str(site.model), "--even-so", "faster")
    assert site.store.promotions.active() is not None


def test_a_candidate_without_a_card_or_a_gate_is_refused_whatever_the_reason(site: Site) -> None:
    """No reason helps: the node could not use it."""
    (site.folder / "config.yaml").write_text(f"node: {{data_dir: {site.folder / 'data'}}}\n")
    done = site.run("model", "promote", str(site.model), "--even-so", "please")
    assert "has no gate" in str(done.exception)
    (site.model / "cards" / "pneumonia.md").unlink()
    done = site.run("model", "promote", str(site.model), "--even-so", "please")
    assert "no card" in str(done.exception)


def test_a_folder_that_changes_while_it_is_promoted_is_refused(site: Site) -> None:
    """The copy must be what was examined and what the audit log will name; nothing stays."""
    offered = promotion.Offered(
        directory=site.model,
        identity=identity(ModelsConfig(dir=site.model)),
        identify=lambda folder: identity(ModelsConfig(dir=folder)),
    )
    manifest = site.model / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("version: '0'", "version: '1'"))
    assert not offered.is_in(site.model)
    with pytest.raises(NodeError, match="changed while it was examined"):
        promotion.promote(site.store, site.folder / "data", offered, user="a", even_so="b")
    assert site.store.promotions.active() is None
    assert not list((site.folder / "data" / "models").iterdir())


def test_replay_reads_the_stored_films_again_and_changes_nothing(site: Site) -> None:
    """Nothing in the database differs afterwards; a folder gets the studies."""
    came = instance("1.2")
    write(film(StudyInstanceUID="1.2", SOPInstanceUID="1.2.1"), site.folder / "data" / came.path)
    site.store.inbox.add(came)
    site.store.jobs.open_ready(utc_now())
    job = site.store.jobs.claim("worker-1", utc_now())
    assert job is not None
    site.store.jobs.finish(job, [read("1.2.1", 0)], full())
    before = len(list(site.store.audit.all()))
    out = site.folder / "out"
    found = site.json("replay", "--model", str(site.model), "--out", str(out))
    assert found["films"] == {"read": 1, "refused": 0, "failed": 0}
    assert found["studies"] == 1
    assert (out / "studies.csv").read_text().count("\n") == 2
    assert len(list(site.store.audit.all())) == before
