"""Teach one stage and calibrate it, or say why it stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dicom_node.domain.reading import Stage
from models import registry
from models.cascade import Cascade
from models.manifest import Classifier, NormalsAbove
from train.adapt import replay_set
from train.adapt.learn import Lesson, NothingLearned, Taught, learn
from train.adapt.sight import network_of
from train.adapt.site_films import SiteFilm, TooFew, enough
from train.adapt.tail import Tail
from train.data.films import COVID, NORMAL
from train.evaluation import operating
from train.evaluation.evaluate import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a stage."""

    tail: Tail  # that learned, rounded as the node will load it; or the one in use
    entry: Classifier  # with the site's calibration and threshold; or as it was
    kept: str = ""  # why it did not learn


def teach(
    base: Path,
    cascade: Cascade,
    stage: Stage,
    films: Sequence[SiteFilm],
    see: Callable[[], Tensor],
    lesson: Lesson,
) -> Outcome:
    """Teach a stage by eq. 2; the version in use is the teacher.

    Parameters
    ----------
    base
        Models directory of the version in use.
    cascade
        Its networks.
    films
        The site's films that teach this stage, in all splits.
    see
        What the stage sees of them before its tail, (N, places, channels); called if they are
        enough.
    lesson
        How the tail learns.
    """
    teacher = Tail(network_of(cascade, stage))
    networks = registry.read_manifest(base).networks
    entry = networks.pneumonia if stage == "pneumonia" else networks.covid19
    try:
        enough(films, stage)
        replay = replay_set.read(base, cascade, stage)
        places = see()
        train, val = (_of(split, films, places, stage) for split in ("train", "val"))
        student = learn(teacher, train, val, replay, lesson)
    except (TooFew, replay_set.NoReplaySet, NothingLearned) as why:
        return Outcome(tail=teacher, entry=entry, kept=str(why))
    _halve(student)
    logits, _ = student.all(val.places)
    validation = [film for film in films if film.split == "val"]
    return Outcome(tail=student, entry=_calibrated(entry, stage, validation, logits))


def _of(split: str, films: Sequence[SiteFilm], places: Tensor, stage: Stage) -> Taught:
    chosen = [i for i, film in enumerate(films) if film.split == split]
    ill = torch.tensor([bool(films[i].is_ill(stage)) for i in chosen])
    return Taught(places=places[chosen], ill=ill)


def _halve(student: Tail) -> None:
    """Round the weights to half precision, as they will be stored."""
    rounded = {name: value.half().float() if value.is_floating_point() else value
               for name, value in student.state_dict().items()}  # fmt: skip
    student.load_state_dict(rounded)


def _calibrated(
    entry: Classifier, stage: Stage, films: Sequence[SiteFilm], logits: Tensor
) -> Classifier:
    """Temperature, bias and thresholds from the site's validation films, as a release's are."""
    predictions = [
        Prediction(film=film.as_film(), lung_area=0.0, pneumonia=0.0, covid19=0.0) for film in films
    ]
    if stage == "pneumonia":
        found = operating.fit(predictions, logits.tolist(), lambda film: film.label != NORMAL)
    else:
        found = operating.fit(predictions, logits.tolist(), lambda film: film.label == COVID)
        del found["points"]  # a release's stage 3 has none
    return Classifier.model_validate(
        entry.model_dump() | found | {"normals_above": NormalsAbove().model_dump()}
    )
