"""When a gate is written into a models directory, and when it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_networks import draw, write_models
from support.readings import look
from torch import nn

from dicom_node.config import GateConfig
from dicom_node.domain.values import Image
from dicom_node.gate import examine_look
from models import registry
from models.gate import KINDS, GateNet
from models.reading import GateLimits
from train.data.manifest import Row
from train.gate import limits
from train.gate.features import Seen
from train.gate.limits import NotReleased, Scored, check_floors
from train.gate.release import release

Write = Callable[[list[dict[str, str]]], Path]
RAW = {"sources": ["nih"], "familiar": ["nih"], "most": 10, "folds": 2}


def _scored(answer: str, split: str = "test") -> Scored:
    return Scored(
        row=Row(path="a.png", split=split, source="nih"),
        look=look(),
        seen=Seen(lung_area=0.3, lungs_at_edge=0.2, features=np.zeros(1024, np.float32)),
        distance=1.0,
        answer=answer,
    )


def _answers(accepted: int, refused: int, split: str = "test") -> list[Scored]:
    return [_scored("accepted", split)] * accepted + [_scored("cropped", split)] * refused


@pytest.mark.parametrize(("refused", "released"), [(0, True), (5, True), (6, False), (100, False)])
def test_a_gate_that_refuses_too_many_frontal_films_is_not_released(
    refused: int, released: bool
) -> None:
    """At most five of a hundred may be refused."""
    films = _answers(100 - refused, refused)
    if released:
        check_floors(films, [])
    else:
        with pytest.raises(NotReleased, match="frontal"):
            check_floors(films, [])


@pytest.mark.parametrize(("let_in", "released"), [(0, True), (1, True), (2, False)])
def test_a_gate_that_lets_laterals_in_is_not_released(let_in: int, released: bool) -> None:
    """At most one of ten may pass."""
    films, laterals = _answers(20, 0), _answers(let_in, 10 - let_in)
    if released:
        check_floors(films, laterals)
    else:
        with pytest.raises(NotReleased, match="laterals"):
            check_floors(films, laterals)


def test_films_that_chose_the_limits_prove_nothing() -> None:
    """A gate measured on validation films alone is not released."""
    with pytest.raises(NotReleased, match="nan of the frontal"):
        check_floors(_answers(50, 0, split="val"), [])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one film."""
    folder = tmp_path_factory.mktemp("one")
    draw(folder / "a.png", "normal", 0)
    return folder


def _chosen(folder: Path, **doubt: float) -> GateLimits:
    """Limits from one validation film of which the gate has this doubt."""
    kinds = dict.fromkeys(KINDS, 0.0) | doubt
    film = _scored("accepted", split="val")
    return limits.choose_limits([replace(film, look=replace(look(), kinds=kinds))], folder)


@given(share=st.floats(0.0, 1.0), kind=st.sampled_from(["lateral", "part", "other"]))
@settings(max_examples=30, deadline=None)
def test_a_limit_is_never_below_its_floor(folder: Path, share: float, kind: str) -> None:
    """However sure the gate is of all validation films, a film it doubts is let in."""
    chosen = _chosen(folder, **{kind: share})
    assert getattr(chosen, kind) == pytest.approx(max(0.75, share), abs=1e-4)
    assert chosen.turned == chosen.inverted == 0.75


@pytest.mark.parametrize(("sure", "refused"), [(0.99, True), (0.7, False)])
def test_a_sure_lateral_is_refused(folder: Path, sure: float, refused: bool) -> None:
    """The limit that validation films choose stops a film that the gate calls lateral."""
    kinds = {"frontal": 1 - sure, "lateral": sure, "part": 0.0, "other": 0.0}
    seen = replace(look(), kinds=kinds, limits=_chosen(folder))
    film = Image(pixels=np.random.default_rng(0).random((64, 64), np.float32), spacing_mm=None)
    refusal = examine_look(film, seen, GateConfig())
    assert (refusal.code.value if refusal else "accepted") == (
        "not-frontal" if refused else "accepted"
    )


def _gate(path: Path, kind: str) -> Path:
    """Weights of a gate that calls every picture upright and of this kind."""
    network = GateNet()
    last = network.out[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.fill_(-9.0)
        last.bias[KINDS.index(kind)] = last.bias[len(KINDS)] = 9.0
    registry.save_weights(network.state_dict(), path)
    return path


@pytest.fixture
def data(write_films: Write) -> Path:
    """Films of one source for learning, choosing and testing, and one lateral."""
    frontal = [(split, "PA") for split in ("train",) * 4 + ("val",) * 2 + ("test",)]
    rows = [*frontal, ("gate-lateral", "L")]
    return write_films(
        [
            {"path": f"{i}.png", "split": split, "view": view, "label": "normal", "source": "nih",
             "group_id": f"g{i}"}
            for i, (split, view) in enumerate(rows)
        ]
    )  # fmt: skip


def _without_laterals(data: Path) -> None:
    path = data / "cxr" / "manifest.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if "gate-lateral" not in line) + "\n")


def test_a_gate_is_released_for_the_networks_it_was_fitted_to(data: Path, tmp_path: Path) -> None:
    """Its entry names their digests, and the models load with it until one is replaced."""
    _without_laterals(data)
    into = write_models(tmp_path / "models")
    release(data, RAW, tmp_path / "out", into, network=_gate(tmp_path / "g.st", "frontal"))
    listed = registry.read_manifest(into)
    assert listed.gate is not None
    digests = listed.identity.digests
    assert listed.gate.fitted_to == {name: digests[name] for name in ("lungs", "pneumonia")}
    assert registry.load(into).gate is not None
    other = {**listed.gate.fitted_to, "pneumonia": "0" * 64}
    gate = listed.gate.model_copy(update={"fitted_to": other})
    registry.write_manifest(listed.model_copy(update={"gate": gate}), into)
    with pytest.raises(registry.WeightsError, match="fitted to another pneumonia network"):
        registry.load(into)


def test_a_gate_that_misses_its_floor_leaves_the_models_as_they_were(
    data: Path, tmp_path: Path
) -> None:
    """A gate that calls a lateral frontal is not written: no file of the models changes."""
    into = write_models(tmp_path / "models")
    before = {path: path.read_bytes() for path in into.rglob("*") if path.is_file()}
    with pytest.raises(NotReleased, match="laterals"):
        release(data, RAW, tmp_path / "out", into, network=_gate(tmp_path / "g.st", "frontal"))
    assert {path: path.read_bytes() for path in into.rglob("*") if path.is_file()} == before
