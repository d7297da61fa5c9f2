"""`make hospital` in small: invented features in the place of films, a random network."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import pytest
import torch
from support.fake_networks import write_models
from torch import Tensor

from dicom_node.domain.evidence import Evidence, Pairs, objections, weigh
from dicom_node.domain.paired import Pair, Score
from models import registry
from train.adapt.learn import Lesson, NothingLearned, Taught, learn
from train.adapt.tail import Tail

FILMS, CHANNELS = 300, 432
TRAIN, VAL = slice(0, 140), slice(140, 200)  # the others are the newest: the test
LESSON = Lesson(steps=20, batch=24, places=2, validate_every=10, learning_rate=5e-3, distil=0.1)


@dataclass(frozen=True)
class Site:
    """Films by day, in the numbers before the last block, and what was found in them."""

    used: Tail  # the version in use
    places: Tensor  # (films, places, channels)
    ill: Tensor  # (films,)
    replay: Tensor  # places of public films

    def taught(self, ill: Tensor) -> Tail:
        """What is learned from these verdicts of the first months."""
        train, val = (Taught(places=self.places[part], ill=ill[part]) for part in (TRAIN, VAL))
        return learn(self.used, train, val, self.replay, LESSON)

    def in_shadow(self, other: Tail) -> Evidence:
        """Both versions on the newest films, each with the median as its threshold."""
        used, new = (_scores(tail.all(self.places)[0]) for tail in (self.used, other))
        return weigh(Pairs(pneumonia=[
            Pair(study_instance_uid=f"1.{i}", used=used[i], other=new[i], ill=bool(self.ill[i]))
            for i in range(VAL.stop, FILMS)
        ]))  # fmt: skip


def _scores(logits: Tensor) -> list[Score]:
    middle = logits.median().item()
    return [
        Score(probability=1 / (1 + math.exp(middle - each)), positive=each >= middle, seconds=0.0)
        for each in logits.tolist()
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Half of the films are ill: the version in use finds most of them, their places show all."""
    used = Tail(registry.load(write_models(tmp_path_factory.mktemp("base"))).pneumonia)
    draw = torch.Generator().manual_seed(1)
    places = torch.randn(FILMS, 2, CHANNELS, generator=draw)
    known, _ = used.all(places)
    ill = known + 0.5 * known.std() * torch.randn(FILMS, generator=draw) > known.median()
    places[:, :, :20] += torch.where(ill, 0.5, -0.5)[:, None, None]
    replay = torch.randn(8, 2, CHANNELS, generator=draw)
    return Site(used=used, places=places, ill=ill, replay=replay)


def test_a_version_that_learned_from_the_verdicts_may_be_promoted(site: Site) -> None:
    """It is better on the newest films, and nothing speaks against it."""
    found = site.in_shadow(site.taught(site.ill))
    auc = found.stages["pneumonia"].auc
    assert auc is not None
    assert auc.low > 0
    assert objections(found) == []


def test_a_version_that_learned_from_shuffled_verdicts_is_refused(site: Site) -> None:
    """Whatever its validation films said: their verdicts were shuffled, too."""
    order = list(range(VAL.stop))
    random.Random(1).shuffle(order)
    dealt = torch.cat([site.ill[order], site.ill[VAL.stop :]])
    found = site.in_shadow(site.taught(dealt))
    assert any("may fall" in each for each in objections(found))


def test_verdicts_that_teach_nothing_end_without_a_candidate(site: Site) -> None:
    """Right verdicts for teaching and the opposite ones for validation: no step is better."""
    opposite = torch.cat([site.ill[TRAIN], ~site.ill[VAL], site.ill[VAL.stop :]])
    with pytest.raises(NothingLearned, match="are the verdicts right"):
        site.taught(opposite)
