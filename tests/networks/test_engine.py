"""Engines: which one computes the networks, and what happens when it has no memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dicom_node.config import ModelsConfig
from dicom_node.domain.values import Image
from dicom_node.infer import CascadeReader
from models import registry
from models.engine import REFERENCE, Engine, Machine, choose
from models.manifest import Measured

GPU_AND_BF16 = Machine(gpus=2, bf16=frozenset({"cpu", "cuda"}))
PLAIN = Machine(gpus=0, bf16=frozenset())
AGREES = Measured(
    engine="cuda bf16",
    machine="some GPU",
    films=60,
    largest_difference=0.004,
    least_correlation=0.998,
    changed_decisions=0,
)


@dataclass(frozen=True)
class _OneFilmAtATime:
    """Computes, and has memory for ``room`` films."""

    room: int

    def __call__(self, x: Tensor) -> Tensor:
        if len(x) > self.room:
            raise torch.OutOfMemoryError
        return 2 * x


@pytest.mark.parametrize(
    ("device", "precision", "expected"),
    [
        ("auto", "auto", Engine("cuda:0", "bf16")),
        ("cuda:1", "auto", Engine("cuda:1", "bf16")),
        ("cuda:1", "fp32", REFERENCE),
        ("cuda:7", "auto", REFERENCE),
        ("cpu", "auto", REFERENCE),
        ("auto", "fp32", REFERENCE),
    ],
)
def test_only_what_was_measured_and_asked_for_is_used(
    device: str, precision: Literal["fp32", "auto"], expected: Engine
) -> None:
    """Of these networks GPUs in bfloat16 were measured; whatever else is asked for is explained."""
    chosen = choose(device, precision, {AGREES.engine: AGREES}, GPU_AND_BF16)
    assert chosen.engine == expected
    assert bool(chosen.why) == (expected == REFERENCE)


@pytest.mark.parametrize(
    "apart",
    [{"largest_difference": 0.011}, {"least_correlation": 0.98}, {"changed_decisions": 1}],
)
def test_an_engine_that_answers_otherwise_is_not_used(apart: dict[str, float]) -> None:
    """A probability off by more than 0.01, another map or one other decision is too much."""
    found = AGREES.model_copy(update=apart)
    chosen = choose("auto", "auto", {found.engine: found}, GPU_AND_BF16)
    assert chosen.engine == REFERENCE
    assert "cuda bf16 answers too differently with these networks" in chosen.why


def test_a_plain_machine_has_nothing_to_explain() -> None:
    """With the defaults, a machine without a GPU reads in fp32 and says nothing about it."""
    chosen = choose("auto", "fp32", {}, PLAIN)
    assert chosen.engine == REFERENCE
    assert chosen.why == ()


def test_bfloat16_needs_a_processor_that_has_it() -> None:
    """Where it would be emulated, fp32 stays, and the reason is said."""
    chosen = choose("cpu", "auto", {}, PLAIN)
    assert chosen.engine == REFERENCE
    assert chosen.why == ("this cpu does not compute in bf16",)


@pytest.mark.parametrize("room", [1, 2, 3])
def test_out_of_memory_halves_the_batch(room: int) -> None:
    """A batch that has no room is computed in parts, with the same result."""
    batch = torch.arange(5.0)[:, None]
    assert torch.equal(REFERENCE.run(_OneFilmAtATime(room), batch), 2 * batch)


def test_no_room_for_one_film_is_an_error() -> None:
    """A single film cannot be halved."""
    with pytest.raises(torch.OutOfMemoryError):
        REFERENCE.run(_OneFilmAtATime(0), torch.ones(3, 1))


def test_a_moved_cascade_answers_as_before(directory: Path, film: NDArray[np.float32]) -> None:
    """Networks that an engine computes give every probability and map, guided gradients too."""
    before = registry.load(directory).read(film, force_stage3=True)
    after = registry.load(directory, engine=Engine("cpu:0")).read(film, force_stage3=True)
    assert after.pneumonia == before.pneumonia
    assert after.covid19 == before.covid19
    assert before.guided is not None
    assert after.guided is not None
    np.testing.assert_array_equal(after.h2, before.h2)
    np.testing.assert_array_equal(after.guided, before.guided)


def test_a_gpu_without_memory_leaves_the_film_to_the_processor(
    directory: Path, film: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The film is read all the same, as the reference reads it, and the node hears of it."""
    manifest = registry.read_manifest(directory)
    small = AGREES.model_copy(update={"engine": "cpu bf16"})
    registry.write_manifest(manifest.model_copy(update={"engines": (small,)}), directory)
    lost: list[str] = []
    reader = CascadeReader(
        ModelsConfig(dir=directory, device="cpu", precision="auto"),
        threads=1,
        machine=replace(PLAIN, bf16=frozenset({"cpu"})),
        fell_back=lost.append,
    )
    assert reader.engine == "cpu bf16"
    monkeypatch.setattr(Engine, "run", _no_room)
    read = reader.read(Image(pixels=film, spacing_mm=None), force_stage3=True)
    monkeypatch.undo()
    assert lost == ["cpu bf16"]
    assert reader.engine == "cpu fp32"
    expected = registry.load(directory, folded=True).read(film, force_stage3=True)
    assert read.pneumonia == expected.pneumonia


def _no_room(*_: object) -> Tensor:
    raise torch.OutOfMemoryError


def test_engines_are_not_part_of_the_version(directory: Path) -> None:
    """Measuring an engine changes neither the identity of the networks nor an old manifest."""
    before = registry.identity(directory)
    manifest = registry.read_manifest(directory)
    assert "engines" not in (directory / registry.MANIFEST).read_text().split("networks:")[1]
    registry.write_manifest(manifest.model_copy(update={"engines": (AGREES,)}), directory)
    assert registry.read_manifest(directory).engines == (AGREES,)
    assert registry.identity(directory) == before


@pytest.mark.gpu
def test_a_gpu_answers_like_the_processor(directory: Path, film: NDArray[np.float32]) -> None:
    """In float32 a GPU's probabilities are within 0.001 of the processor's."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU that CUDA can use")
    reference = registry.load(directory).read(film, force_stage3=True)
    other = registry.load(directory, engine=Engine("cuda:0")).read(film, force_stage3=True)
    assert other.pneumonia.probability == pytest.approx(reference.pneumonia.probability, abs=1e-3)
