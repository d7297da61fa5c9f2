"""What the registry trusts, and what it refuses with a sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray

from models import registry
from models.cascade import Cascade
from models.registry import WeightsError
from models.thresholds import Thresholds

Edit = Callable[[dict[str, Any]], object]


def test_saved_weights_load_and_read_a_film(
    directory: Path, build: Callable[..., Cascade], film: NDArray[np.float32]
) -> None:
    """Half precision on disk, float32 in memory, the same answer within its rounding."""
    whole = registry.load(directory)
    assert {p.dtype for p in whole.pneumonia.parameters()} == {torch.float32}
    assert not whole.pneumonia.training
    reading = whole.read(film, force_stage3=True)
    assert reading.pneumonia.threshold == 0.5
    assert reading.covid19 is not None
    x = torch.randn(1, 1, 64, 64)
    original = build()
    with torch.inference_mode():
        kept, given = whole.pneumonia(x), original.pneumonia(x)
    torch.testing.assert_close(kept, given, atol=2e-2, rtol=2e-2)


def test_identity_is_the_digests_of_the_files(directory: Path) -> None:
    """The version for people, each file's SHA-256 for machines; the cascade says the same."""
    who = registry.identity(directory)
    assert who.version == "0.0.1"
    for name, digest in who.digests.items():
        assert digest == registry.sha256_of(directory / "weights" / f"{name}.safetensors")
    assert registry.load(directory).identity == who


def test_identity_costs_no_torch(directory: Path) -> None:
    """Verifying a models directory imports hashlib and YAML, not torch."""
    code = (
        "import sys, pathlib; from models import registry; "
        "registry.identity(pathlib.Path(sys.argv[1])); assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, str(directory)]
    subprocess.run(command, check=True)


def test_altered_weights_are_refused(directory: Path) -> None:
    """One flipped bit is enough, for verifying and for loading."""
    path = directory / "weights" / "pneumonia.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for ask in (registry.identity, registry.load):
        with pytest.raises(WeightsError, match=r"pneumonia\.safetensors is not the file"):
            ask(directory)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("weights/lungs.safetensors", "lungs network cannot be read"),
        ("cards/covid19.md", "covid19 network has no card"),
        ("manifest.yaml", "cannot be read"),
    ],
)
def test_a_missing_file_is_named(directory: Path, missing: str, message: str) -> None:
    """Weights, card or manifest: the message says which."""
    (directory / missing).unlink()
    with pytest.raises(WeightsError, match=message):
        registry.load(directory)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m["networks"].update(ribs=m["networks"]["lungs"]), "networks.ribs: Extra"),
        (lambda m: m["networks"].pop("covid19"), "networks.covid19: Field required"),
        (lambda m: m["networks"]["pneumonia"].update(temperature=0), "temperature"),
        (lambda m: m["networks"]["lungs"].update(threshold=1.5), "networks.lungs.threshold"),
        (lambda m: m["networks"]["lungs"].update(file="../x.safetensors"), "inside the models"),
        (lambda m: m["networks"]["lungs"].update(sha256="abc"), "networks.lungs.sha256"),
        (lambda m: m.update(h2="rainbow"), "h2: Input should be 'cam' or 'paper-eq1'"),
        (lambda m: m.update(size=500), "size: Input should be a multiple of 32"),
    ],
)
def test_a_wrong_manifest_is_explained(directory: Path, edit: Edit, message: str) -> None:
    """Unknown and missing networks and impossible values are named by their key."""
    path = directory / "manifest.yaml"
    manifest = yaml.safe_load(path.read_text())
    edit(manifest)
    path.write_text(yaml.safe_dump(manifest))
    with pytest.raises(WeightsError, match=message):
        registry.read_manifest(directory)


@pytest.mark.parametrize("text", ["", "- just\n- a list\n", "{unclosed"])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, a list, not YAML."""
    (tmp_path / "manifest.yaml").write_text(text)
    with pytest.raises(WeightsError, match="is not"):
        registry.read_manifest(tmp_path)


def test_weights_of_another_network_are_refused(directory: Path) -> None:
    """A digest may agree and the tensors still not fit: the state dict is strict."""
    path = directory / "manifest.yaml"
    manifest = yaml.safe_load(path.read_text())
    lungs, pneumonia = manifest["networks"]["lungs"], manifest["networks"]["pneumonia"]
    lungs.update(file=pneumonia["file"], sha256=pneumonia["sha256"])
    path.write_text(yaml.safe_dump(manifest))
    with pytest.raises(WeightsError, match="lungs network do not fit"):
        registry.load(directory)


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_half_precision_breaks_are_not_written(tmp_path: Path, value: float) -> None:
    """NaN, or larger than 65504."""
    path = tmp_path / "x.safetensors"
    with pytest.raises(WeightsError, match="layer does not survive"):
        registry.save_weights({"layer": torch.tensor([value])}, path)
    assert not path.exists()


def test_counters_stay_whole_numbers(tmp_path: Path) -> None:
    """Only floats are halved; batch counters are integers before and after."""
    from safetensors.torch import load_file

    state = {"steps": torch.tensor(70000), "layer": torch.ones(2)}
    registry.save_weights(state, tmp_path / "x.safetensors")
    loaded = load_file(tmp_path / "x.safetensors")
    assert loaded["steps"] == 70000
    assert loaded["layer"].dtype == torch.float16


def test_a_site_chooses_operating_point_and_prevalence(directory: Path) -> None:
    """By name where the manifest has it; a point that is not there is refused."""
    manifest = registry.read_manifest(directory)
    points = registry.Points(sensitive=0.2)
    pneumonia = manifest.networks.pneumonia.model_copy(update={"points": points})
    networks = manifest.networks.model_copy(update={"pneumonia": pneumonia})
    registry.write_manifest(manifest.model_copy(update={"networks": networks}), directory)
    chosen = registry.load(
        directory, thresholds=Thresholds(pneumonia="sensitive")
    ).settings.pneumonia
    assert (chosen.threshold, chosen.temperature) == (0.2, 2.0)
    rare = registry.load(directory, prevalence=0.1).settings.pneumonia
    assert rare.threshold == pytest.approx(0.1)
    with pytest.raises(WeightsError, match="specific"):
        registry.load(directory, thresholds=Thresholds(pneumonia="specific"))


def test_a_number_is_a_threshold_of_the_moved_probability(directory: Path) -> None:
    """0.42 stays 0.42 whatever the prevalence, and no share of normal films is claimed for it."""
    chosen = Thresholds(pneumonia=0.42, covid19=0.9)
    settings = registry.load(directory, thresholds=chosen, prevalence=0.1).settings
    assert (settings.pneumonia.threshold, settings.pneumonia.name) == (0.42, "site")
    assert (settings.covid19.threshold, settings.covid19.normals_above) == (0.9, None)
    assert settings.pneumonia.decide(0.0).point == "site"
