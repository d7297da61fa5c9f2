"""What an export writes, and what it refuses to write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.fake_networks import random_networks

from models import registry
from models.engine import Engine
from models.registry import WeightsError
from train.data.films import read_films
from train.evaluation import operating
from train.evaluation.engines import measured
from train.evaluation.evaluate import predict
from train.export import Release, export
from train.weights import read_state

Draw = Callable[[Path], Path]


def _release(folder: Path) -> Release:
    """A release of random networks at the least size; their weights lie in ``folder``."""
    weights = {}
    for name, network in random_networks().items():
        weights[name] = folder / f"{name}.pt"
        torch.save(network.state_dict(), weights[name])
    return Release(
        version="9-test",
        backbone="efficientnet-lite0",
        size=32,
        mask_margin=2,
        weights=weights,
        history=dict.fromkeys(weights, "Made by a test."),
        sources={"lungs": ("jsrt",), "pneumonia": ("nih",), "covid19": ("quex",)},
        measured=False,
    )


@pytest.fixture(scope="module")
def exported(draw_data: Draw, tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Path]:
    """A release and the models directory that an export made of it."""
    data = draw_data(tmp_path_factory.mktemp("data"))
    release, into = _release(data), data / "models"
    into.mkdir()
    export(release, data, data / "out", into)
    return release, into


def test_every_digest_is_of_the_file_beside_it(exported: tuple[Release, Path]) -> None:
    """The manifest's SHA-256 is the file's, for every network; verifying finds nothing missing."""
    _, into = exported
    for name, entry in registry.read_manifest(into).networks.entries().items():
        assert entry.sha256 == registry.sha256_of(into / entry.file), name
    assert registry.identity(into).version == "9-test"


def test_weights_survive_in_half_precision(exported: tuple[Release, Path]) -> None:
    """Every floating weight is stored in 16 bits and is the trained one within their rounding."""
    release, into = exported
    for name, entry in registry.read_manifest(into).networks.entries().items():
        stored, trained = load_file(into / entry.file), read_state(release.weights[name])
        assert set(stored) == set(trained)
        for key, value in trained.items():
            if value.is_floating_point():
                assert stored[key].dtype == torch.float16
                torch.testing.assert_close(stored[key].float(), value, rtol=1e-3, atol=1e-7)
            else:
                assert torch.equal(stored[key], value)


def test_the_operating_point_is_part_of_the_identity(
    exported: tuple[Release, Path], tmp_path: Path
) -> None:
    """Every figure that turns a logit into a decision changes the manifest's digest, none else's.

    Results name this digest, so two results of one digest were decided alike.
    """
    manifest = registry.read_manifest(exported[1])
    pneumonia = manifest.networks.pneumonia

    def with_pneumonia(**fields: object) -> registry.Manifest:
        networks = manifest.networks.model_copy(
            update={"pneumonia": pneumonia.model_copy(update=fields)}
        )
        return manifest.model_copy(update={"networks": networks})

    changed = [
        with_pneumonia(threshold=pneumonia.threshold / 2),
        with_pneumonia(temperature=pneumonia.temperature + 1),
        with_pneumonia(bias=pneumonia.bias + 1),
        with_pneumonia(prevalence=0.1),
        with_pneumonia(points=registry.Points(sensitive=0.01)),
        manifest.model_copy(update={"size": 64}),
        manifest.model_copy(update={"mask_margin": None}),
        manifest.model_copy(update={"h2": "paper-eq1"}),
        manifest.model_copy(update={"heat_drop": 0.5}),
        manifest.model_copy(update={"version": "10"}),
    ]
    digests = {one.identity.manifest for one in (manifest, *changed)}
    assert len(digests) == len(changed) + 1
    registry.write_manifest(manifest, tmp_path)
    assert registry.read_manifest(tmp_path).identity.manifest == manifest.identity.manifest


def test_operating_points_come_from_the_validation_split(exported: tuple[Release, Path]) -> None:
    """Stage 2 gets all three points in their order; stage 3 has the balanced one alone."""
    networks = registry.read_manifest(exported[1]).networks
    points = networks.pneumonia.points
    assert points.sensitive is not None
    assert points.specific is not None
    assert points.sensitive <= networks.pneumonia.threshold <= points.specific
    assert networks.covid19.points == registry.Points()
    assert networks.pneumonia.prevalence == networks.covid19.prevalence == 0.5


def test_normals_above_a_threshold_are_counted_on_test_films(
    exported: tuple[Release, Path],
) -> None:
    """The share of NIH's two normal test films at or above each operating point."""
    _, into = exported
    cascade, manifest = registry.load(into, gate=False), registry.read_manifest(into)
    data = into.parent
    measured = operating.with_normals_above(manifest, data, cascade, data / "out")
    films = [f for f in read_films(data, ("test",)) if (f.source, f.label) == ("nih", "normal")]
    assert len(films) == 2
    above = [
        cascade.settings.pneumonia.decide(p.pneumonia).positive for p in predict(cascade, films)
    ]
    assert measured.networks.pneumonia.normals_above.balanced == sum(above) / 2
    assert measured.networks.covid19 == manifest.networks.covid19


def test_an_engine_is_compared_with_the_reference(exported: tuple[Release, Path]) -> None:
    """On validation films, all answers and decisions; the processor agrees with itself."""
    _, into = exported
    (found,) = measured(into, into.parent, [Engine("cpu:0")])
    assert (found.engine, found.changed_decisions) == ("cpu fp32", 0)
    assert found.largest_difference < 1e-4  # each cascade chooses its kernels
    assert found.least_correlation > 0.999
    assert found.films >= len({film.source for film in read_films(into.parent, ("val",))})
    assert found.agrees


def test_a_card_says_how_its_weights_came_to_be(exported: tuple[Release, Path]) -> None:
    """Each card holds its network's digest, history, and how many films of which source taught."""
    _, into = exported
    for name, entry in registry.read_manifest(into).networks.entries().items():
        card = (into / entry.card).read_text()
        assert entry.sha256 in card
        assert "Made by a test." in card
        assert "Not measured yet" in card, name
    stage3 = (into / "cards" / "covid19.md").read_text()
    assert "quex covid 2, quex pneumonia 2." in stage3.split("## Training data")[1]


@pytest.mark.parametrize("stage", ["lungs", "pneumonia", "covid19"])
def test_weights_of_another_network_are_not_exported(
    exported: tuple[Release, Path], draw_data: Draw, tmp_path: Path, stage: str
) -> None:
    """The models directory stays as it was, and the message names the network."""
    release, into = exported
    data = draw_data(tmp_path)
    other = release.weights["pneumonia" if stage == "lungs" else "lungs"]
    wrong = replace(release, version="wrong", weights={**release.weights, stage: other})
    before = {path: path.read_bytes() for path in into.rglob("*") if path.is_file()}
    with pytest.raises(WeightsError, match=f"the {stage} network do not fit"):
        export(wrong, data, tmp_path / "out", into)
    assert {path: path.read_bytes() for path in into.rglob("*") if path.is_file()} == before


def test_weights_of_another_backbone_are_not_exported(
    exported: tuple[Release, Path], draw_data: Draw, tmp_path: Path
) -> None:
    """A release that names the wrong backbone stops."""
    release, into = exported
    with pytest.raises(WeightsError, match="do not fit"):
        export(
            replace(release, backbone="densenet121"), draw_data(tmp_path), tmp_path / "out", into
        )


@pytest.mark.parametrize("value", [float("inf"), 7e4])
def test_weights_beyond_half_precision_are_not_exported(
    exported: tuple[Release, Path], draw_data: Draw, tmp_path: Path, value: float
) -> None:
    """A run that diverged leaves the models as they were."""
    release, into = exported
    state = read_state(release.weights["covid19"])
    state["out.bias"] = torch.tensor([value])
    torch.save(state, tmp_path / "broken.pt")
    broken = replace(release, weights={**release.weights, "covid19": tmp_path / "broken.pt"})
    before = (into / registry.MANIFEST).read_bytes()
    with pytest.raises(WeightsError, match=r"out\.bias does not survive half precision"):
        export(broken, draw_data(tmp_path / "data"), tmp_path / "out", into)
    assert (into / registry.MANIFEST).read_bytes() == before
