"""The gate's network, its distance, and its place in the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.readings import LIMITS

from dicom_node.demo.phantom import phantom
from models import gate, preprocess, registry
from models.gate import Gate, GateNet
from models.registry import WeightsError


@pytest.fixture
def gated(directory: Path) -> Path:
    """A models directory with a gate of random weights, fitted to its networks."""
    torch.manual_seed(3)
    digest = registry.save_weights(GateNet().state_dict(), directory / "weights/gate.safetensors")
    (directory / "cards/gate.md").write_text("# Random weights\n")
    manifest = registry.read_manifest(directory)
    entry = registry.GateEntry(
        file="weights/gate.safetensors",
        sha256=digest,
        card="cards/gate.md",
        licence="Apache-2.0",
        limits=LIMITS,
        fitted_to={name: manifest.identity.digests[name] for name in ("lungs", "pneumonia")},
    )
    registry.write_manifest(manifest.model_copy(update={"gate": entry}), directory)
    return directory


def test_a_look_is_two_distributions_and_a_probability() -> None:
    """Whatever the size of the film."""
    seen = Gate(GateNet(), LIMITS).look(phantom(300, 240))
    assert sum(seen.kinds.values()) == pytest.approx(1, abs=1e-5)
    assert sum(seen.turns.values()) == pytest.approx(1, abs=1e-5)
    assert set(seen.turns) == {0, 90, 180, 270}
    assert 0 <= seen.inverted <= 1
    assert seen.limits == LIMITS


def test_the_network_is_small() -> None:
    """A few hundred thousand weights: milliseconds."""
    assert sum(p.numel() for p in GateNet().parameters()) < 500_000


def test_the_distance_is_about_one_for_the_films_it_was_fitted_to_and_grows_with_them() -> None:
    """Newly drawn features lie as far as the old ones; shifted ones lie farther."""
    torch.manual_seed(0)
    spread = torch.rand(1024) + 0.5
    network = GateNet()
    network.centre, network.scale = gate.fit_distance(spread * torch.randn(400, 1024) + 2)
    near = Gate(network, LIMITS).distance(spread * torch.randn(1024) + 2)
    far = Gate(network, LIMITS).distance(spread * torch.randn(1024) + 5)
    assert near == pytest.approx(1, abs=0.15)
    assert far > 2 * near


def test_a_feature_that_never_moved_does_not_decide_alone() -> None:
    """Its variance is shrunk towards that of the others."""
    features = torch.randn(300, 1024)
    features[:, 0] = 0
    network = GateNet()
    network.centre, network.scale = gate.fit_distance(features)
    odd = features[0].clone()
    odd[0] = 1
    assert Gate(network, LIMITS).distance(odd) < 1.3


def test_a_cascade_with_a_gate_measures_the_distance(gated: Path) -> None:
    """The look is there, the reading has its distance, the identity names the gate."""
    cascade = registry.load(gated)
    assert cascade.gate is not None
    film = phantom(200, 160)
    assert cascade.read(film).distance > 0
    assert cascade.gate.look(film).limits == LIMITS
    assert "gate" in cascade.identity.digests
    assert registry.identity(gated) == cascade.identity


def test_a_gate_fitted_to_other_networks_is_refused_until_it_is_fitted_again(gated: Path) -> None:
    """The message says with which command; training loads the networks without their gate."""
    manifest = registry.read_manifest(gated)
    assert manifest.gate is not None
    stale = manifest.gate.model_copy(update={"fitted_to": {"pneumonia": "0" * 64}})
    registry.write_manifest(manifest.model_copy(update={"gate": stale}), gated)
    with pytest.raises(WeightsError, match=r"another pneumonia network.*train gate"):
        registry.load(gated)
    assert registry.load(gated, gate=False).gate is None


def test_an_altered_gate_is_refused(gated: Path) -> None:
    """One flipped bit, as for every network."""
    path = gated / "weights/gate.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for ask in (registry.identity, registry.load):
        with pytest.raises(WeightsError, match="gate"):
            ask(gated)


def test_models_without_a_gate_still_load(directory: Path) -> None:
    """The node asks for one only where its configuration wants it."""
    assert registry.load(directory).gate is None


def test_what_the_network_sees_is_the_letterboxed_film() -> None:
    """A big film is thinned out first; the picture stays the same within its grain."""
    big = np.asarray(phantom(1100, 1040), np.float32)
    direct = preprocess.to_network(big, gate.SIZE)[0]
    assert gate.to_gate(big).shape == (gate.SIZE, gate.SIZE)
    assert np.abs(gate.to_gate(big) - direct).mean() < 0.02
