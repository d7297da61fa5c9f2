"""The three recipes on a tiny data folder, down to weights the registry accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models import registry
from models.densenet import ChestDenseNet
from models.unet import LungUNet
from train import settings
from train.data.films import read_films
from train.evaluation.border_baseline import ring_scores
from train.evaluation.comparisons import labelled
from train.export import Release, export
from train.loop import fit
from train.schedule import Phase, Schedule, step_generator
from train.stages.masked import Masking
from train.stages.recipe import Group, Recipe
from train.stages.refit import refit
from train.stages.shown import masked_films
from train.stages.stage1_lungs import LungTask
from train.stages.stage2_pneumonia import PneumoniaTask, learning_films
from train.stages.stage3_covid import CovidTask
from train.weights import read_state, started

GROUPS = (
    Group(label="normal", sources=("nih",)),
    Group(label="pneumonia", sources=("nih", "ieee8023")),
    Group(label="covid", sources=("ieee8023",)),
)
ONE_STEP = Schedule(phases=(Phase(size=64, batch=6, steps=1, learning_rate=1e-4),), threads=1)


@pytest.fixture
def lungs(tmp_path: Path) -> Path:
    """Weights of an untrained stage 1."""
    torch.manual_seed(0)
    path = tmp_path / "lungs.pt"
    torch.save(LungUNet().state_dict(), path)
    return path


def test_one_batch_of_lungs_overfits(tiny_data: Path) -> None:
    """The lung network learns a fixed batch by heart."""
    torch.manual_seed(0)
    task = LungTask(LungUNet(), tiny_data)
    task.prepare(64)
    phase = Phase(size=64, batch=4, steps=25, learning_rate=3e-3)
    optimizer = torch.optim.AdamW(task.network.parameters(), phase.learning_rate)
    losses = []
    for _ in range(phase.steps):
        loss = task.loss(task.network, task.batch(phase, step_generator(0, 0, 0)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_masked_films_are_kept_and_follow_the_weights(tiny_data: Path, lungs: Path) -> None:
    """Films are masked once; other stage-1 weights mean other masks."""
    films = read_films(tiny_data, ("val",))[:2]
    masking, cache = Masking(weights=lungs, size=64, margin=4), tiny_data / "cache"
    first = masked_films(films, masking, cache)
    assert first.shape == (2, 1, 64, 64)
    assert torch.equal(masked_films(films, masking, cache), first)
    made = len(list(cache.iterdir()))
    torch.save(LungUNet().state_dict(), lungs)
    masked_films(films, masking, cache)
    assert len(list(cache.iterdir())) == made + 1


def test_stage_3_sees_the_film_times_the_heat(tiny_data: Path, lungs: Path) -> None:
    """Where stage 2 found nothing stage 3 is shown nothing, and it is shown no normal film."""
    masking = Masking(weights=lungs, size=64, margin=4)
    stage2 = lungs.with_name("pneumonia.pt")
    torch.save(ChestDenseNet().state_dict(), stage2)
    recipe = Recipe(groups=GROUPS[1:], within="ieee8023")
    films = learning_films(tiny_data, recipe)
    task = CovidTask(ChestDenseNet(), films, masking, stage2, recipe)
    batch = task.shown.plain(list(range(len(task.films))), 64)
    seen = task.seen(batch)
    assert all(film.label != "normal" for film in task.films)
    assert (seen[batch.h2 == 0] == 0).all()
    assert torch.equal(seen, batch.x * batch.h2)


def test_a_refit_moves_the_last_layer_alone(tiny_data: Path, lungs: Path) -> None:
    """Features stay as they were, and the new last layer separates the training films."""
    masking = Masking(weights=lungs, size=64, margin=4)
    stage2 = lungs.with_name("pneumonia.pt")
    torch.manual_seed(0)
    before = ChestDenseNet().eval()
    nn.init.constant_(before.out.weight, 0.01)  # every place is warm,
    torch.save(before.state_dict(), stage2)
    everywhere = LungUNet()
    nn.init.constant_(list(everywhere.parameters())[-1], 9.0)  # and every place is lung
    torch.save(everywhere.state_dict(), lungs)
    recipe = Recipe(groups=GROUPS[1:], within="ieee8023")
    task = CovidTask(before, learning_films(tiny_data, recipe), masking, stage2, recipe)
    path = refit(task, (0.01,), lungs.parent / "stage3")
    after = started(ChestDenseNet(), path).eval()
    changed = {
        k for k, v in after.state_dict().items() if not torch.equal(v, before.state_dict()[k])
    }
    assert changed == {"out.weight", "out.bias"}
    train = [i for i, film in enumerate(task.films) if film.split == "train"]
    with torch.no_grad():
        logits = after(task.seen(task.shown.plain(train, 64)))
    ill = task.targets([task.films[i] for i in train]) > 0
    assert logits[ill].mean() > logits[~ill].mean()


def test_distillation_holds_the_network_to_the_previous_one(tiny_data: Path, lungs: Path) -> None:
    """With eq. 2 the loss of one and the same step is larger where the networks disagree."""
    masking = Masking(weights=lungs, size=64, margin=4)
    previous = lungs.with_name("previous.pt")
    torch.manual_seed(1)
    old = ChestDenseNet()
    nn.init.constant_(old.out.bias, 3.0)
    torch.save(old.state_dict(), previous)
    torch.manual_seed(2)
    network = ChestDenseNet().eval()
    losses = []
    for distil in (0.0, 1.0):
        recipe = Recipe(
            groups=GROUPS, within="nih", distil=distil, previous=(previous,), original=("nih",)
        )
        task = PneumoniaTask(network, learning_films(tiny_data, recipe), masking, recipe)
        task.prepare(64)
        with torch.no_grad():
            batch = task.batch(ONE_STEP.phases[0], step_generator(0, 0, 0))
            loss = task.loss(network, batch)
        losses.append(loss.item())
    assert losses[1] > losses[0] + 0.01


def test_the_ring_finds_a_border_that_gives_the_label_away(tiny_data: Path) -> None:
    """Films whose border differs are separated without looking at the chest."""
    from PIL import Image

    films = read_films(tiny_data, ("train", "val"))
    positive = np.array([film.label != "normal" for film in films])
    for film, ill in zip(films, positive, strict=True):
        pixels = np.full((64, 64), 100 + 80 * int(ill), np.uint8)
        Image.fromarray(pixels).save(film.path)
    scores = ring_scores(films, positive, films)
    assert scores[positive].min() > scores[~positive].max()


def test_weights_are_taken_from_any_checkpoint(tmp_path: Path) -> None:
    """A plain state dict and the running average inside a checkpoint are both weights."""
    state = LungUNet().state_dict()
    plain, inner = tmp_path / "plain.pt", tmp_path / "inner.pt"
    torch.save(state, plain)
    torch.save({"net": LungUNet().state_dict(), "ema": state}, inner)
    one, other = read_state(plain), read_state(inner)
    assert all(torch.equal(one[name], other[name]) for name in state)
    started(LungUNet(), inner)


@pytest.mark.parametrize("stage", ["stage1", "stage2", "stage2-lite", "stage3", "stage3-lite"])
def test_the_shipped_configurations_are_complete(stage: str) -> None:
    """Every key is known, and every group of a recipe has a share."""
    raw = settings.read(settings.CONFIGS / f"{stage}.yaml")
    phases = settings.schedule(raw).phases
    groups = settings.recipe(raw).groups if "recipe" in raw else settings.lung_groups(raw)
    assert all(group.share > 0 and group.sources for group in groups)
    assert f"{phases[-1].steps} batches of {phases[-1].batch}" in settings.history(stage, raw)


@pytest.mark.parametrize("label", ["text-normal", "text-pneumonia"])
def test_labels_mined_from_text_teach_nothing(label: str) -> None:
    """A recipe that asks for them is refused by name; so is a comparison."""
    raw = settings.read(settings.CONFIGS / "stage2.yaml")
    raw["recipe"]["groups"].append({"label": label, "sources": ["nih"]})
    with pytest.raises(ValueError, match=f"nih asks for '{label}': labels mined from report text"):
        settings.recipe(raw)
    with pytest.raises(ValueError, match=label):
        labelled((label,), "nih")


def test_unlabelled_films_are_learned_from_teachers_alone(tiny_data: Path, lungs: Path) -> None:
    """Whatever their label says: no cross-entropy reaches them."""
    previous = lungs.with_name("previous.pt")
    torch.save(ChestDenseNet().state_dict(), previous)
    groups = (*GROUPS, Group(label="unlabelled", sources=("ieee8023",), share=3))
    recipe = Recipe(groups=groups, within="nih", distil=1.0, previous=(previous,))
    masking = Masking(weights=lungs, size=64, margin=4)
    films = learning_films(tiny_data, recipe)
    task = PneumoniaTask(ChestDenseNet(), films, masking, recipe)
    batch = task.batch(ONE_STEP.phases[0], step_generator(0, 0, 0))
    assert batch["labelled"].sum() == len(batch["labelled"]) / 2
    assert torch.equal(batch["original"], 1 - batch["labelled"])


@pytest.mark.slow
def test_trained_weights_become_models_the_node_accepts(tiny_data: Path) -> None:
    """All stages train a step, and the export is verified, carded and readable."""
    runs = {name: tiny_data / "runs" / name for name in ("lungs", "pneumonia", "covid19")}
    weights = {"lungs": fit(LungTask(LungUNet(), tiny_data), ONE_STEP, runs["lungs"])}
    masking = Masking(weights=weights["lungs"], size=64, margin=2)
    recipe = Recipe(groups=GROUPS, within="nih")
    films = learning_films(tiny_data, recipe)
    stage2 = PneumoniaTask(ChestDenseNet(), films, masking, recipe)
    weights["pneumonia"] = fit(stage2, ONE_STEP, runs["pneumonia"])
    recipe = Recipe(groups=GROUPS[1:], within="ieee8023")
    films = learning_films(tiny_data, recipe)
    stage3 = CovidTask(ChestDenseNet(), films, masking, weights["pneumonia"], recipe)
    weights["covid19"] = fit(stage3, ONE_STEP, runs["covid19"])
    release = Release(
        version="test",
        mask_margin=2,
        size=64,
        weights=weights,
        history=dict.fromkeys(weights, "One step."),
        sources=dict.fromkeys(weights, ("nih", "ieee8023", "jsrt", "gb_seg")),
    )
    into = tiny_data / "models"
    into.mkdir()
    results = export(release, tiny_data, tiny_data / "out", into)
    assert "NIH, radiologists" in results["pneumonia"]
    reading = registry.load(into).read(np.random.default_rng(0).random((80, 70), np.float32))
    assert reading.model == registry.identity(into)
    for name in weights:
        assert "## Quantitative analyses" in (into / "cards" / f"{name}.md").read_text()


@pytest.mark.parametrize("version", ["paper", "lite"])
def test_the_shipped_weights_have_their_configuration(version: str) -> None:
    """What a release says of a run is what the configuration of that run says."""
    end = "-lite" if version == "lite" else ""
    release = settings.read(settings.CONFIGS / f"export{end}.yaml")
    runs = {"lungs": f"stage1{end}", "pneumonia": f"stage2{end}", "covid19": f"stage3{end}"}
    for network, run in runs.items():
        raw = settings.read(settings.CONFIGS / "shipped" / f"{run}.yaml")
        assert settings.history(run, raw) == release["networks"][network]["history"]
        if network != "lungs":
            assert settings.masking(raw, Path()).margin == release["mask_margin"]
            assert settings.masking(raw, Path()).backbone == release["backbone"]
            assert any(group.label == "covid" for group in settings.recipe(raw).groups)
    assert registry.SHIPPED[version].name == version
