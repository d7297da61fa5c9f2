"""What the gate is taught with, and how its limits and figures come about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.readings import look

from models import gate as looking
from models import registry
from models.gate import GateNet
from train import settings
from train.data import manifest
from train.data.manifest import Row
from train.gate import classifier, learning, limits, negatives
from train.gate.classifier import Films, GateTask
from train.gate.features import Seen
from train.gate.learning import _folds
from train.gate.limits import Scored, held_out
from train.schedule import Phase


@pytest.fixture
def films() -> Films:
    """White above, black below: easy to see which way up."""
    ramp = np.linspace(1, 0, 96, dtype=np.float32)[:, None] * np.ones((96, 90), np.float32)
    return Films(frontal=[ramp], lateral=[ramp[:, :40]], other=[np.eye(64, dtype=np.float32)])


def test_patients_of_other_splits_are_not_learned_from() -> None:
    """Nor laterals as frontals, nor sources not asked for."""
    rows = [
        Row(path="a", split="train", group="1", source="nih", view="PA"),
        Row(path="b", split="train", group="2", source="nih", view="PA"),
        Row(path="c", split="test", group="2", source="ieee8023", view="PA"),
        Row(path="d", split="train", group="3", source="nih", view="L"),
        Row(path="e", split="train", group="4", source="kermany", view="AP"),
    ]
    assert [row.path for row in classifier.frontal_to_learn_from(rows, ["nih", "ieee8023"])] == [
        "a"
    ]


def test_every_batch_holds_every_kind(films: Films) -> None:
    """Half are whole frontal films, turned or inverted some of them."""
    drawn = [classifier.draw(films, i, np.random.default_rng(i)) for i in range(60)]
    assert Counter(one.kind for one in drawn) == {
        classifier.FRONTAL: 30, classifier.PART: 10, classifier.OTHER: 10, classifier.LATERAL: 10,
    }  # fmt: skip
    frontal = [one for one in drawn if one.kind == classifier.FRONTAL]
    assert {one.turn for one in frontal} == {0, 1, 2, 3}
    assert {one.inverted for one in frontal} == {False, True}


def test_the_base_is_taught_without_laterals(films: Films) -> None:
    """Where there are none, none are drawn."""
    few = Films(frontal=films.frontal, lateral=[], other=[])
    kinds = {classifier.draw(few, i, np.random.default_rng(i)).kind for i in range(30)}
    assert kinds == {classifier.FRONTAL, classifier.PART, classifier.OTHER}


def test_labels_say_how_a_film_lies_even_when_it_is_mirrored(films: Films) -> None:
    """The bright side, turned anticlockwise with the film: top, left, bottom, right."""
    task = GateTask(GateNet(), films, films)
    phase = Phase(size=128, batch=120, steps=1, learning_rate=1e-3)
    batch = task.batch(phase, torch.Generator().manual_seed(5))
    seen = set()
    for x, kind, turn, inverted in zip(
        batch["x"][:, 0], batch["kind"], batch["turn"], batch["inverted"], strict=True
    ):
        if kind == classifier.FRONTAL:
            middle = x[32:96, 32:96] if inverted == 0 else 1 - x[32:96, 32:96]
            sides = [middle[:16], middle[:, :16], middle[-16:], middle[:, -16:]]
            assert int(np.argmax([side.mean().item() for side in sides])) == turn
            seen.add(int(turn))
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(20))
def test_a_part_lacks_half_of_the_film(films: Films, seed: int) -> None:
    """And is large enough to be looked at."""
    part = classifier.part_of(films.frontal[0], np.random.default_rng(seed))
    assert part.size < 0.5 * films.frontal[0].size
    assert min(part.shape) >= 16


def test_drawn_pictures_are_pictures() -> None:
    """Every kind: two dimensions, within [0, 1], no two alike."""
    film = np.random.default_rng(0).random((80, 70), np.float32)
    pictures = [negatives.drawn(np.random.default_rng(i), [film]) for i in range(40)]
    for picture in pictures:
        assert picture.ndim == 2
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
    assert len({picture.tobytes() for picture in pictures}) > 35


def test_a_step_teaches_something(films: Films) -> None:
    """The loss of one batch falls when it is learned by heart."""
    torch.manual_seed(0)
    network = GateNet()
    task = GateTask(network, films, films)
    phase = Phase(size=128, batch=12, steps=1, learning_rate=1e-3)
    batch = task.batch(phase, torch.Generator().manual_seed(1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    with torch.inference_mode(mode=False):
        for _ in range(12):
            optimizer.zero_grad()
            loss = task.loss(network, batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert set(task.validate(network.eval(), phase)) == {"kind", "turn", "polarity", "score"}


def test_a_patients_laterals_stay_in_one_fold() -> None:
    """Else the network has seen the patient it is tested on."""
    rows = [Row(path=str(i), group=f"g{i // 2}") for i in range(12)]
    folds = _folds(rows, 3)
    assert set(folds) == {0, 1, 2}
    assert all(folds[i] == folds[i + 1] for i in range(0, 12, 2))


def test_limits_leave_room_beyond_the_validation_films(
    write_films: Callable[[list[dict[str, str]]], Path],
) -> None:
    """No validation film of an even lot is refused by its own limits."""
    data = write_films([{"path": "a.jpg", "split": "val", "group_id": "a", "source": "nih"}])
    (row,) = manifest.read(data)
    seen = Seen(lung_area=0.3, lungs_at_edge=0.2, features=np.zeros(1024, np.float32))
    films = [
        Scored(row=row, look=look(inverted=0.1), seen=seen, distance=1.0 + 0.01 * i, answer="")
        for i in range(9)
    ]
    chosen = limits.choose_limits(films, data)
    assert chosen.lateral == chosen.turned == chosen.inverted == 0.75
    assert 1.08 < chosen.distance < 1.3
    assert chosen.lung_area == pytest.approx(0.15)
    assert chosen.lungs_at_edge == pytest.approx(0.22)
    assert chosen.black >= 0.5
    assert 0 < chosen.contrast < 0.5


def test_what_was_learned_from_is_not_measured() -> None:
    """Nor films with masks, nor laterals; of the rest so many of each source and split."""
    rows = [Row(path=f"{i}", split="test", source="nih", view="PA") for i in range(10)]
    other = [Row(path="m", mask="m.png", split="test"), Row(path="l", view="L", split="other")]
    kept = held_out([*rows, *other], rows[:2], 4)
    assert [row.path for row in kept] == ["2", "4", "6", "8"]


def test_the_table_shows_how_many_were_accepted_and_why_others_were_not() -> None:
    """By source and split, laterals last."""
    seen = Seen(lung_area=0.3, lungs_at_edge=0.2, features=np.zeros(1024, np.float32))
    row = Row(path="a", split="test", source="nih")
    films = [
        Scored(row=row, look=look(), seen=seen, distance=1.0, answer=answer)
        for answer in ("accepted", "accepted", "cropped", "accepted")
    ]
    table = limits.table(films[:], films[2:3])
    assert "| frontal, nih, test | 4 | 75.0 % | cropped 1 |" in table
    assert "| 1 | 0.0 % | cropped 1 |" in table.splitlines()[-1]


def test_the_shipped_configuration_is_complete() -> None:
    """Both schedules, batches that hold each kind evenly, the size the network sees."""
    raw = settings.read(settings.CONFIGS / "gate.yaml")
    for name, kinds in (("base", 5), ("laterals", 6)):
        (phase,) = settings.schedule({"schedule": raw[name]}).phases
        assert phase.batch % kinds == 0
        assert phase.size == looking.SIZE
    assert {"sources", "familiar", "folds", "most"} <= set(raw)


def test_a_kept_network_answers_as_before(tmp_path: Path) -> None:
    """Nothing is learned: only centre, scale and limits may be fitted to other models."""
    torch.manual_seed(3)
    network = GateNet().eval()
    registry.save_weights(network.state_dict(), tmp_path / "gate.safetensors")
    kept = learning.kept([], tmp_path / "gate.safetensors").network.eval()
    x = torch.rand(2, 1, looking.SIZE, looking.SIZE)
    with torch.inference_mode():
        torch.testing.assert_close(kept(x), network(x), atol=0.02, rtol=0.02)
