"""A version of a site: split by date and patient, taught without forgetting, with a card."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from support.fake_networks import draw, write_models
from support.fakes import store_harness
from support.film import film, write
from support.reports import PERSON, oru

from dicom_node.config import Config
from dicom_node.domain.reading import Stage
from dicom_node.verdicts.intake import Intake
from dicom_node.verdicts.report import ReportReader
from dicom_node.verdicts.rules import shipped_rules
from models import registry
from train.adapt import candidate, replay_set, site_films, tail
from train.adapt.learn import Lesson
from train.adapt.sight import see
from train.adapt.site_films import LEAST, SiteFilm, TooFew, enough, export, split, write_table
from train.adapt.tail import Tail
from train.data.films import COVID, NORMAL, PNEUMONIA

FIRST = date(2026, 1, 1)


def _films(count: int = 120, *labels: str) -> list[SiteFilm]:
    """One film a day, each of another patient, of each label in turn."""
    labels = labels or (NORMAL, PNEUMONIA)
    return [
        SiteFilm(
            path=Path(f"{i}.png"),
            taken=FIRST + timedelta(days=i),
            group=f"P{i}",
            label=labels[i % len(labels)],
        )
        for i in range(count)
    ]


def test_the_newest_months_are_the_test() -> None:
    """Whole months, and the first day of the test divides the films."""
    films, first = split(_films())
    assert first.day == 1
    assert {film.split for film in films if film.taken >= first} == {"test"}
    assert {film.split for film in films if film.taken < first} == {"train", "val"}


def test_a_patient_who_was_seen_before_is_not_in_the_test() -> None:
    """Nor in two of the other splits."""
    films = [replace(film, group=f"P{i % 100}") for i, film in enumerate(_films())]
    kept, _ = split(films)
    groups = {name: {f.group for f in kept if f.split == name} for name in ("train", "val", "test")}
    assert not groups["train"] & groups["val"]
    assert not (groups["train"] | groups["val"]) & groups["test"]
    assert len(kept) < len(films)


def test_too_few_films_are_refused() -> None:
    """In a sentence that counts them."""
    with pytest.raises(TooFew, match=f"{LEAST - 1} films .* Nothing was trained"):
        split(_films(LEAST - 1))


@pytest.mark.parametrize(
    ("labels", "stage", "said"),
    [
        ((NORMAL,), "pneumonia", "of one kind: 0 with pneumonia"),
        ((PNEUMONIA, COVID), "pneumonia", " 0 without"),
        ((NORMAL, PNEUMONIA, COVID), "covid19", "40 films with COVID-19 and 40 with another"),
        ((PNEUMONIA,), "covid19", "of one kind: 0 with COVID-19"),
    ],
)
def test_a_stage_with_few_films_or_none_of_a_kind_is_refused(
    labels: tuple[str, ...], stage: Stage, said: str
) -> None:
    """Stage 2 asks for ill films and others, stage 3 for COVID-19 and other pneumonias."""
    films, _ = split(_films(120, *labels))
    with pytest.raises(TooFew, match=said):
        enough(films, stage)


def test_the_table_of_copies_names_no_day(tmp_path: Path) -> None:
    """The month is enough, and the patient is a number."""
    films, _ = split(_films())
    write_table(films, tmp_path / "films.csv")
    text = (tmp_path / "films.csv").read_text()
    assert "2026-01" in text
    assert "2026-01-" not in text


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of small random networks, with a replay set of random places.

    Stage 3 sees something although the heatmap of its stage 2 is empty.
    """
    folder = write_models(tmp_path_factory.mktemp("base"))
    manifest = registry.read_manifest(folder).model_copy(update={"h2_floor": 0.25})
    registry.write_manifest(manifest, folder)
    cascade = registry.load(folder)
    draw = np.random.default_rng(0)
    parts: dict[str, np.ndarray] = {}
    for stage, network in (("pneumonia", cascade.pneumonia), ("covid19", cascade.covid19)):
        parts[f"{stage}_places"] = draw.integers(-20, 20, (6, 2, 432)).astype(np.int8)
        parts[f"{stage}_scale"] = np.full(432, 0.05, np.float16)
        parts[f"{stage}_front"] = np.array(tail.front_digest(network))
    np.savez(folder / replay_set.NAME, allow_pickle=False, **parts)
    return folder


def test_front_and_tail_make_the_whole_network(base: Path) -> None:
    """And a tail put into a network is what that network computes."""
    network = registry.load(base).pneumonia
    x = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    own = Tail(network)
    with torch.no_grad():
        torch.testing.assert_close(own(tail.places(network, x)), network(x))
        own.out.bias.add_(1.0)
        torch.testing.assert_close(own.into(network)(x), network(x) + 1.0)


@pytest.mark.parametrize(
    ("labels", "learned"),
    [
        ((NORMAL, PNEUMONIA), {"pneumonia"}),
        ((PNEUMONIA, COVID), {"covid19"}),
        ((NORMAL, PNEUMONIA, COVID), {"pneumonia", "covid19"}),
    ],
)
def test_a_candidate_is_written_that_a_node_can_load(
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    labels: tuple[str, ...],
    learned: set[str],
) -> None:
    """A stage that the films do not carry stays as it is; manifest and cards say what taught."""
    monkeypatch.setattr(site_films, "LEAST", 40)
    films, first = split(_drawn(_films(60, *labels), tmp_path / "films"))
    cascade = registry.load(base)
    seen = see(cascade, "pneumonia", sorted((tmp_path / "films").glob("?.png")))
    places = seen[[int(film.path.stem) for film in films]]
    site = candidate.Site(films=films, places=places, first_day=first)
    lesson = Lesson(steps=40, batch=8, places=2, validate_every=8, learning_rate=0.05)
    result = candidate.make(base, cascade, site, tmp_path / "candidate", lesson=lesson)
    made, before = (registry.load(each).identity for each in (tmp_path / "candidate", base))
    assert made.learned_before == first
    assert made.version == f"0+site.{first:%Y%m%d}" == result["version"]
    assert {name for name in made.digests if made.digests[name] != before.digests[name]} == learned
    for stage, found in result["stages"].items():
        card = (tmp_path / "candidate" / "cards" / f"{stage}.md").read_text()
        assert ("taught by one site" in card) == (stage in learned)
        assert (found["kept"] is None) == (stage in learned)
        assert (found["kept"] or "not measured: no `--data`") in card


def _drawn(films: list[SiteFilm], folder: Path) -> list[SiteFilm]:
    """Give each film one of two pictures of its label, drawn as another.

    The networks take them for the opposite, so that both stages have something to learn.
    """
    shown = {NORMAL: PNEUMONIA, PNEUMONIA: COVID, COVID: NORMAL}
    drawn = [label for label in shown for _ in range(2)]
    for i, label in enumerate(drawn):
        draw(folder / f"{i}.png", shown[label], i)
    return [
        replace(film, path=folder / f"{drawn.index(film.label) + i // 3 % 2}.png")
        for i, film in enumerate(films)
    ]


def test_nothing_that_adapt_writes_names_a_patient_or_quotes_a_report(
    base: Path, tmp_path: Path
) -> None:
    """Copy, table, manifest, cards and figures, of a film and a report full of planted words."""
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    with store_harness(data) as node:
        work = node.work()
        named = film(
            PatientName="ZWETSCHGE^PLANTED", PatientBirthDate="19481231", PatientID="PLANTED-7",
            AccessionNumber="PLANTED-8", InstitutionName="PLANTED", StudyDescription="PLANTED",
        )  # fmt: skip
        write(named, data / work.instances[0].path)
        node.finish(work)
        reader = ReportReader(shipped_rules())
        intake = Intake(node.store.verdicts, reader, b"secret of a node", node.clock)
        intake.take(oru("PLANTED right basal pneumonia.", study="1.2"))
    config = Config.model_validate({"node": {"data_dir": str(data)}, "gate": {"enabled": False}})
    cascade = registry.load(base)
    (copied,) = export(config, cascade, out / "films")
    films, first = split([replace(each, path=copied.path) for each in _films()])
    write_table(films, out / "films" / "films.csv")
    ill = torch.tensor([each.label != NORMAL for each in films])
    places = torch.randn(len(films), 2, 432, generator=torch.Generator().manual_seed(1))
    places[:, :, :20] += torch.where(ill, 1.0, -1.0)[:, None, None]
    site = candidate.Site(films=films, places=places, first_day=first)
    lesson = Lesson(steps=20, batch=24, places=2, validate_every=10, learning_rate=5e-3, distil=0.1)
    candidate.make(base, cascade, site, out / "candidate", lesson=lesson)
    written = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {copied.path.name, "films.csv", "manifest.yaml", "pneumonia.md"} <= set(written)
    kept = b"".join(written.values())
    words = (*PERSON, "ZWETSCHGE", "PLANTED", "19481231", "1948-12-31", "basal", "4711")
    assert [word for word in words if word.encode() in kept] == []


def test_the_shipped_replay_set_is_what_the_command_made_of_the_shipped_networks() -> None:
    """After a change of one of the three networks it must be made again."""
    folder = registry.DEFAULT
    path, networks = folder / replay_set.NAME, registry.load(folder, gate=False)
    made, digests = replay_set.origin(path), networks.identity.digests
    assert made.digests == {name: digests[name] for name in ("lungs", "pneumonia", "covid19")}
    for stage, films in made.films.items():
        assert len(replay_set.read(folder, networks, stage)) == films
    assert made.command == "python -m train replay-set"
    assert made.version


def test_without_a_replay_set_nothing_is_taught(base: Path, tmp_path: Path) -> None:
    """The message names the command that makes one."""
    other = write_models(tmp_path / "other")
    cascade = registry.load(other)
    cascade.pneumonia.stem[0].weight.data += 1.0  # type: ignore[union-attr,index]
    with pytest.raises(replay_set.NoReplaySet, match="replay-set --data"):
        replay_set.read(other, cascade, "pneumonia")
