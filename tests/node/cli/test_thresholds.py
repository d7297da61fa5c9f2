"""`thresholds` at the command line, and what a worker makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.commands import Commands
from support.fakes import START, full, instance, read, reading_summary

from dicom_node.config import Config, ThresholdsConfig
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.clock import utc_now
from dicom_node.domain.site_threshold import Networks
from dicom_node.domain.verdicts import Finding, Source, Verdict
from dicom_node.errors import NodeError
from dicom_node.service.site_thresholds import networks_of, with_adopted
from dicom_node.store.store import Store, open_store
from models.reading import ModelIdentity

IDENTITY = ModelIdentity(version="1.0.0", digests={}, h2_variant="cam")
STUDIES = 35


@dataclass
class Site(Commands):
    store: Store

    def read(self, study: str, probability: float, version: str = "1.0.0") -> None:
        """A study that was read, without a verdict."""
        self.store.inbox.add(instance(study))
        self.store.jobs.open_ready(utc_now())
        job = self.store.jobs.claim("worker-1", utc_now())
        assert job is not None
        summary = replace(reading_summary(probability), model_version=version)
        outcome = replace(read(f"{study}.1", 0), reading=summary)
        self.store.jobs.finish(job, [outcome], full())

    def adopted(self) -> dict[str, float]:
        """What a worker with the networks in use compares with."""
        return self.store.thresholds.in_use(networks_of(IDENTITY, Config().models))

    def refusal(self, *words: str) -> str:
        done = self.run("thresholds", *words)
        assert isinstance(done.exception, NodeError)
        return str(done.exception)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Ill studies a little below the threshold in use, well ones far below it."""
    (tmp_path / "config.yaml").write_text(f"node: {{data_dir: {tmp_path / 'data'}}}\n")
    store = open_store(tmp_path / "data", utc_now)
    made, verdicts = Site(tmp_path, store), []
    for number in range(2 * STUDIES):
        ill, study = number % 2 == 0, f"1.2.{number}"
        made.read(study, 0.4 if ill else 0.1)
        finding = Finding.PNEUMONIA if ill else Finding.NORMAL
        verdicts.append(
            Verdict(
                finding=finding, source=Source.CSV, given_at=START, study_instance_uid=study
            )
        )  # fmt: skip
    store.verdicts.add(verdicts)
    yield made
    store.close()


def test_a_proposal_is_adopted_by_its_digest_and_reverted(site: Site) -> None:
    """Audited; an adoption of its own stage and networks, in the place of the configured one."""
    proposal = site.json("thresholds", "propose", "--sensitivity", "0.9")
    assert (proposal["threshold"], proposal["sensitivity"]["used"]) == (0.4, 0.0)
    assert site.adopted() == {}
    text = site.run("thresholds", "propose", "--cost-ratio", "5").stdout
    assert "becomes    positive: 1.2.0 (ill)" in text
    assert f"differ     {STUDIES} studies: {STUDIES} ill, 0 well, 0 no verdict" in text
    assert text.index("becomes") < text.index("sensitivity"), "the figures end the page"
    assert site.json("thresholds", "adopt", proposal["digest"][:12])["threshold"] == 0.4
    assert site.adopted() == {"pneumonia": 0.4}
    shown = site.json("thresholds", "show")
    assert (shown["configured"]["pneumonia"], shown["adopted"]) == ("balanced", {"pneumonia": 0.4})
    assert "adopted already" in site.refusal("adopt", proposal["digest"])
    assert site.json("thresholds", "revert") == {"left": 0.4, "in_use": None}
    assert site.adopted() == {}
    assert "was adopted" in site.refusal("revert")
    lines = [record.event for record in site.store.audit.all()][-2:]
    assert [each.kind for each in lines] == [
        AuditKind.THRESHOLD_ADOPTED, AuditKind.THRESHOLD_REVERTED,
    ]  # fmt: skip
    assert lines[0].detail["digest"] == proposal["digest"]


def test_a_threshold_never_crosses_versions(site: Site) -> None:
    """Other networks compare with the configured one, and it cannot be adopted for them."""
    digest = site.json("thresholds", "propose", "--sensitivity", "0.9")["digest"]
    site.json("thresholds", "adopt", digest)
    other = Networks(version="2.0.0", digests={}, prevalence=None)
    moved = Networks(version="1.0.0", digests={}, prevalence=0.1)
    for networks in (other, moved, None):
        assert site.store.thresholds.in_use(networks) == {}
    later = site.json("thresholds", "propose", "--cost-ratio", "2")["digest"]
    site.read("1.3", 0.2, version="2.0.0")
    assert "never crosses versions" in site.refusal("adopt", later)
    assert "too few to say: 0 ill" in site.refusal("propose", "--sensitivity", "0.9")


def test_a_version_that_has_read_nothing_has_no_threshold(site: Site) -> None:
    """After a promotion the verdicts must be compared with scores of the promoted networks."""
    digest = site.json("thresholds", "propose", "--sensitivity", "0.9")["digest"]
    site.store.promotions.promote(
        "2.0.0", "d", Path("models/d"), user="admin", reason=None, evidence={}
    )
    assert "has read no study yet" in site.refusal("adopt", digest)


def test_a_wrong_digest_adopts_nothing(site: Site) -> None:
    """Neither an unknown one, nor one that fits two proposals."""
    site.json("thresholds", "propose", "--sensitivity", "0.9")
    site.json("thresholds", "propose", "--cost-ratio", "2")
    assert "no proposal begins" in site.refusal("adopt", "xyz")
    assert "dicom-node thresholds show" in site.refusal("adopt", "")
    assert site.adopted() == {}


def test_a_worker_compares_with_the_adopted_threshold_under_another_digest() -> None:
    """So that UIDs of objects change with it; overrides of the configuration stay."""
    overrides = ({"view": "AP", "pneumonia": 0.3},)
    config = Config(thresholds=ThresholdsConfig.model_validate({"overrides": overrides}))
    adopted = with_adopted(config, {"pneumonia": 0.42})
    film = {"modality": "DX", "ae_title": "CR1"}
    assert adopted.thresholds.of_film(view="PA", **film).pneumonia == 0.42
    assert adopted.thresholds.of_film(view="AP", **film).pneumonia == 0.3
    assert adopted.thresholds.covid19 == "balanced"
    assert adopted.digest != config.digest == with_adopted(config, {}).digest
