"""Experiments leave a table with the paper's figures beside ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from support.fake_networks import DarkLungs, labelled_film, reading_cascade

from models.densenet import ChestDenseNet
from models.unet import LungUNet
from train import settings
from train.data.films import COVID, NORMAL, PNEUMONIA
from train.evaluation import metrics
from train.experiments.cam_variants import cam_variants
from train.experiments.features import LEARNED, TESTED, folds, held_out
from train.experiments.figures import figures
from train.experiments.last_block import LastBlock, maps_before
from train.experiments.result import Run, write
from train.experiments.sample import sample
from train.experiments.table3 import table3
from train.experiments.table4 import table4
from train.experiments.table5 import table5
from train.experiments.table6 import table6
from train.experiments.table7 import covidx, table7
from train.experiments.within import _Task, within
from train.stages.shown import Shown


@pytest.fixture
def hospitals(write_films: Callable[[list[dict[str, str]]], Path]) -> Path:
    """Two films of every label that a source has, in every split."""
    labels = {
        "nih": (NORMAL, PNEUMONIA),
        "quex": (NORMAL, PNEUMONIA, COVID),
        "ieee8023": (NORMAL, PNEUMONIA, COVID),
        "kermany": (NORMAL, PNEUMONIA),
        "actualmed": (NORMAL, COVID),
        "hannover": (COVID,),
    }
    return write_films(
        [
            {
                "path": f"{source}/{split}{label}{i}.png",
                "split": split,
                "label": label,
                "source": source,
                "subsource": "eurorad" if i else "radiopaedia",
                "group_id": f"{source}{split}{label}{i}",
            }
            for split in ("train", "val", "test")
            for source, own in labels.items()
            for label in own
            for i in range(2)
        ]
    )


@pytest.fixture
def tiny(hospitals: Path, tmp_path: Path) -> Callable[..., Run]:
    """Make a run of an experiment's own YAML, at the least size, on networks of no training."""
    torch.manual_seed(0)
    weights = {}
    for name, network in (("lungs", LungUNet()), ("pneumonia", ChestDenseNet())):
        weights[name] = tmp_path / f"{name}.pt"
        torch.save(network.state_dict(), weights[name])

    def make(name: str, **changes: Any) -> Run:
        config = settings.read(settings.CONFIGS / "experiments" / f"{name}.yaml")
        config |= {"draws": 20, "masking": {"size": 64, "margin": 1}} | changes
        return Run(name=name, data=hospitals, cascade=reading_cascade, out=tmp_path / "out",
                   docs=tmp_path / "docs", config=config, weights=weights)  # fmt: skip

    return make


def _schedule(**phase: float) -> dict[str, Any]:
    once = {"size": 32, "steps": 1, "learning_rate": 1e-3} | phase
    return {"phases": [once], "threads": 1, "validate_every": 100}


def _numbers(run: Run) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads((run.docs / f"{run.name}.json").read_text())["numbers"]
    return numbers


def test_two_networks_are_compared_on_the_same_patients() -> None:
    """A network compared with itself gains nothing, on no draw; the better one gains."""
    films = [labelled_film(label, number=i) for label in (NORMAL, COVID) for i in range(9)]
    chosen = sample(films, lambda f: f.label == NORMAL, lambda f: f.label == COVID, draws=50)
    good = np.array([-1.0] * 9 + [1.0] * 9)
    same = chosen.gain(good, good)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert chosen.gain(good, 0 * good).value == 0.5
    assert chosen.moved(good, 0 * good).value == pytest.approx(0.2311, abs=1e-4)
    assert chosen.recalled(np.array([-1.0] * 9 + [1.0] * 6 + [-1.0] * 3), positive=True).value < 0.7


def test_table4_stands_beside_the_papers_and_scores_no_film_twice(
    tiny_data: Path, tmp_path: Path
) -> None:
    """Own films stand beside the paper's open test split; a second run reads the scores."""
    lungs = DarkLungs()
    cascade = reading_cascade()
    cascade.lungs = lungs.eval()
    run = Run(name="table4", data=tiny_data, cascade=lambda: cascade, out=tmp_path / "out",
              docs=tmp_path / "docs", config={"most": 1000})  # fmt: skip
    text = write(run, table4(run))
    once = lungs.films
    assert "| 2 | own test split, NIH alone | 2 / 2 | 1.000 (1.000 to 1.000) |" in text
    assert "96.72 / 92.85 / 90.05" in text
    assert "88.04 / 85.26 / 85.86" in text
    assert write(run, table4(run)) == text
    assert lungs.films == once > 0
    assert _numbers(run)["stage 2, own test split, NIH alone"]["auc"]["value"] == 1.0


def test_table5_shows_what_was_gained_and_forgotten(tiny: Callable[..., Run]) -> None:
    """Every fine-tuned network stands beside the one it came from, and a second run resumes."""
    tunes = settings.read(settings.CONFIGS / "experiments" / "table5.yaml")["tunes"]
    kept = {name: tunes[name] for name in ("lambda0", "lambda4")}
    run = tiny("table5", tunes=kept, size=32, most=2, schedule=_schedule(batch=12))
    text = write(run, table5(run))
    assert "| before |" in text
    assert "93.94 / 96.72" in text
    assert "98.70 / 96.64" in text
    assert "--lungs FILE --pneumonia FILE" in text
    assert write(run, table5(run)) == text
    assert (run.docs / "table5.svg").exists()
    numbers = _numbers(run)
    assert numbers["before"]["moved"]["value"] == numbers["lambda0"]["kept"]["value"] == 0.0
    assert 0.0 < numbers["lambda4"]["moved"]["value"] < numbers["lambda0"]["moved"]["value"] * 2


def test_table3_learns_thrice_and_shows_what_the_mask_gains(
    tiny: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each network learns from what it is tested on; the mask gains nothing over itself."""
    seen: list[tuple[int | None, ...]] = []
    varied = Shown.varied

    def shown(self: Shown, *args: Any) -> Any:
        seen.append((self.masking.margin, *args[2]))
        return varied(self, *args)

    monkeypatch.setattr(Shown, "varied", shown)
    run = tiny("table3", init=None, schedule=_schedule(batch=6))
    text = write(run, table3(run))
    assert "97.33 / 90.37 / 95.66" in text
    assert "97.18 / 87.56 / 95.44" in text
    assert write(run, table3(run)) == text
    assert _numbers(run)["lung mask"]["mask's gain, kermany"]["value"] == 0.0
    assert seen == [(6, 6), (24, 24), (None, None)]


def test_cam_compares_what_each_h2_leaves_for_stage_3(tiny: Callable[..., Run]) -> None:
    """Every reading of H2 and the border ring have their row, and none gains over itself."""
    run = tiny("cam", size=32, folds=2, repeats=1)
    text = write(run, cam_variants(run))
    for name in ("CAM", "eq. 1 to the letter", "none", "border ring, no network"):
        assert f"| {name} |" in text
    assert _numbers(run)["none"]["gain, ieee8023"]["value"] == 0.0
    assert write(run, cam_variants(run)) == text


def test_table6_learns_from_the_hospital_only_where_it_is_tuned(tiny: Callable[..., Run]) -> None:
    """Before and after stand beside the ring and the paper's figures."""
    run = tiny("table6", size=32, folds=2, repeats=1)
    text = write(run, table6(run))
    assert "81.82 / 80.45" in text
    assert "| border ring, fine-tuned |" in text
    assert _numbers(run)["stage 3, before"]["lost"]["value"] == 0.0


def test_the_last_block_on_kept_maps_answers_as_the_whole_network(tmp_path: Path) -> None:
    """A network cut in two gives the whole one's logits, and the front's maps are kept."""
    torch.manual_seed(0)
    network, x = ChestDenseNet().eval(), torch.randn(3, 1, 32, 32).half()
    maps = maps_before(network, x, tmp_path)
    with torch.inference_mode():
        whole = network(x.float()).numpy()
    assert np.allclose(LastBlock(network).answers(maps), whole, atol=2e-3)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert torch.equal(maps_before(network, x, tmp_path), maps)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == made


def test_a_film_is_scored_by_lines_that_never_saw_its_patient() -> None:
    """A label that only the film itself gives away is not found again."""
    rng = np.random.default_rng(0)
    x, positive = rng.normal(size=(40, 80)), np.arange(40) % 2 == 0
    groups = [f"p{i // 2}" for i in range(40)]
    fold = folds(groups, 4, 0)
    assert all(len({fold[2 * i], fold[2 * i + 1]}) == 1 for i in range(20))
    scores = held_out(x, positive, fold, 0.01)
    assert metrics.auc(scores, positive) < 0.75
    fold[:] = LEARNED
    fold[:8] = 0
    fold[8:16] = TESTED
    again = x.copy()
    again[8:16] = 1e3
    assert np.allclose(
        held_out(x, positive, fold, 0.01)[:8], held_out(again, positive, fold, 0.01)[:8]
    )


def test_table7_counts_right_calls_by_class(tiny_data: Path, tmp_path: Path) -> None:
    """A cascade that is always right has a sensitivity of 1 in every class."""
    config = {"most": 1000, "sources": ["nih", "ieee8023"]}
    run = Run(name="table7", data=tiny_data, cascade=reading_cascade, out=tmp_path / "out",
              docs=tmp_path / "docs", config=config)  # fmt: skip
    text = write(run, table7(run))
    cells = r"\| 1\.000 \(0\.\d+ to 1\.000\) " * 3
    assert re.search(rf"\| cascade, three classes {cells}\|", text)
    assert "| COVID-Net, three classes, % | 97.0 | 90.0 | 87.1 |" in text
    assert "not its films" in text


def test_covidx_films_go_before_what_stands_in_for_them() -> None:
    """COVIDx's own test list is used where it is there."""
    stand_in, own = labelled_film(NORMAL), labelled_film(NORMAL, "covidx")
    assert covidx([stand_in, own], ["nih"]) == [own]
    assert covidx([stand_in], ["nih"]) == [stand_in]


def test_panels_are_drawn_outside_git_only(tiny: Callable[..., Run], tmp_path: Path) -> None:
    """Patients' films never get where they could be committed."""
    nothing = {"sources": [], "labels": [], "films_shown": 0}
    drawn = {"sources": ["hannover"], "labels": [COVID], "films_shown": 1}
    run = tiny("figures", fig2=nothing, fig3=nothing, fig5=nothing, fig4=drawn)
    text = write(run, figures(run))
    assert (run.out / "fig4.png").exists()
    assert "| fig4.png |" in text
    assert not list(run.docs.glob("*.png"))
    (tmp_path / ".git").mkdir()
    with pytest.raises(typer.BadParameter, match="git repository"):
        figures(run)


def test_stage_3_is_learned_whole_without_each_patient_in_turn(
    tiny: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without quex's COVID-19; no network that scores a film was taught by its patient."""
    taught: list[set[str]] = []
    scored: list[tuple[set[str], set[str]]] = []
    draw, answer = _Task.batch, _Task.logits

    def batch(task: _Task, *args: Any) -> Any:
        taught.append({task.films[i].group for group in task.groups for i in group})
        return draw(task, *args)

    def logits(task: _Task, network: Any, chosen: Any, size: int) -> Any:
        scored.append((taught[-1], {task.films[i].group for i in chosen}))
        return answer(task, network, chosen, size)

    monkeypatch.setattr(_Task, "batch", batch)
    monkeypatch.setattr(_Task, "logits", logits)
    masking = {"size": 64, "margin": 1, "backbone": "densenet121"}
    run = tiny("within", folds=2, init=None, masking=masking)
    for part in ("base", "fold"):
        run.config[part]["phases"] = [{"size": 32, "batch": 8, "steps": 1, "learning_rate": 1e-3}]
        run.config[part]["groups"] = [
            group for group in run.config[part]["groups"] if group["sources"] != ["bimcv"]
        ]
    run.config["schedule"] |= {"precision": "32-true", "threads": 1}
    text = write(run, within(run))
    numbers = _numbers(run)
    assert list(numbers) == ["all", "all but quex's COVID-19", "all but ieee8023"]
    assert numbers["all"]["gain, ieee8023"]["value"] == 0.0
    assert "AUC, ieee8023 (6 / 6)" in text
    assert "AUC, ieee8023's validation and test splits (4 / 4)" in text
    assert not any(of & by for by, of in scored)
    (base, everyone), first, second, (without, _), *_ = scored
    assert (
        first[1] | second[1]
        == everyone
        == {
            f"ieee8023{split}{label}{i}"
            for split in ("train", "val", "test")
            for label in (PNEUMONIA, COVID)
            for i in range(2)
        }
    )
    assert first[0] & everyone
    assert base - without == {"quextraincovid0", "quextraincovid1"}
    taught_once = len(taught)
    assert write(run, within(run)) == text
    assert len(taught) == taught_once, "a second run trains nothing"
