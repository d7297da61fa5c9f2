"""What is said to the reader about one film: the same in the picture, its names and the report.

Scores and cut-offs are whole numbers from 0 to 100: a model of this size carries no decimals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dicom_node.domain.reading import NEAR
from dicom_node.explain.phrases import WORDS, Language, Words
from dicom_node.explain.places import Place, smaller_lung
from models.reading import Reading, StageResult

#: Where at least this share of the heat lies outside the lungs, its place is doubtful.
HEAT_OUTSIDE = 0.2


class State(StrEnum):
    """How a score compares with its cut-off; the values are fields of `phrases.Words`."""

    ABOVE = "above"
    JUST_ABOVE = "just_above"
    JUST_BELOW = "just_below"
    BELOW = "below"
    NOT_ASSESSED = "not_assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier result of the same patient; ``date`` is the film's, YYYY-MM-DD."""

    date: str
    score: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the header and the node know about a film besides its pixels."""

    view: str = ""  # View Position; empty: not stated
    sides_stated: bool = True
    age_stated: bool = True
    second_film: bool = False  # another film came under the same UID
    normals_above: int | None = None  # of 100 normal films of the site; None: the model card's
    earlier: tuple[Earlier, ...] = ()  # pneumonia scores, the oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question and its answer, in words and in numbers from 0 to 100."""

    name: str
    state: State
    said: str  # the state in words
    score: int | None = None
    cut_off: int | None = None

    @property
    def positive(self) -> bool:
        """At or above the cut-off."""
        return self.state in (State.ABOVE, State.JUST_ABOVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the reader must see, in one language.

    ``places`` are the pneumonia regions in words, in the order of their numbers; ``warnings``
    stand in boxes, ``small_print`` at the end.
    """

    pneumonia: Answer
    covid19: Answer
    places: tuple[str, ...]
    warnings: tuple[str, ...]
    small_print: tuple[str, ...]
    earlier: tuple[str, ...]

    @property
    def answers(self) -> tuple[Answer, Answer]:
        """Both questions, in the order they are shown."""
        return self.pneumonia, self.covid19


def message(
    reading: Reading,
    places: Sequence[Place],
    notes: Mapping[str, str],
    facts: Facts,
    language: Language = "en",
) -> Message:
    """Describe a reading in words.

    Parameters
    ----------
    places
        Of the pneumonia regions, in the order of their numbers; empty below the cut-off.
    notes
        Of the film's pixels, see `dicom_node.domain.values.Image`.
    """
    words = WORDS[language]
    pneumonia = answer(words.pneumonia, reading.pneumonia, words)
    return Message(
        pneumonia=pneumonia,
        covid19=answer(words.covid19, reading.covid19, words),
        places=tuple(getattr(words, place.name) for place in places),
        warnings=tuple(_warnings(reading, notes, facts, words)),
        small_print=tuple(_small_print(reading, facts, words)),
        earlier=tuple(
            words.earlier.format(date=each.date, score=each.score, now=pneumonia.score)
            for each in facts.earlier
        ),
    )


def answer(name: str, stage: StageResult | None, words: Words) -> Answer:
    """Compare a stage's score with its cut-off; ``stage`` is None if it did not run."""
    if stage is None:
        return Answer(name=name, state=State.NOT_ASSESSED, said=words.not_assessed)
    state = _state(stage)
    return Answer(
        name=name,
        state=state,
        said=getattr(words, state.value),
        score=points(stage.probability),
        cut_off=points(stage.threshold),
    )


def english(stage: StageResult | None) -> Answer:
    """Answer the question of a stage in English, for names and reports."""
    return answer("", stage, WORDS["en"])


def points(share: float) -> int:
    """Convert a share in [0, 1] to whole points from 0 to 100."""
    return round(100 * share)


def evidence(stage: StageResult) -> float:
    """Return the strength of a stage's heat, in [0, 1]: its score as it is printed."""
    return points(stage.probability) / 100


def _state(stage: StageResult) -> State:
    near = abs(points(stage.probability) - points(stage.threshold)) <= NEAR
    if stage.positive:
        return State.JUST_ABOVE if near else State.ABOVE
    return State.JUST_BELOW if near else State.BELOW


def _warnings(
    reading: Reading, notes: Mapping[str, str], facts: Facts, words: Words
) -> Iterator[str]:
    check, asymmetry = reading.heat_check, reading.lungs.asymmetry
    if asymmetry and asymmetry.suspicious:
        phrase = words.outline_right if smaller_lung(reading) == "right" else words.outline_left
        yield phrase.format(share=points(asymmetry.area_ratio))
    if reading.pneumonia.positive and check:
        if check.inside_lungs <= 1 - HEAT_OUTSIDE:
            yield words.heat_outside.format(share=points(1 - check.inside_lungs))
        elif check.reliable is False:
            yield words.not_confirmed
    if notes.get("polarity") == "corrected":
        yield words.polarity
    yield from (getattr(words, note) for note in ("mirrored", "decoding") if note in notes)
    if not facts.age_stated:
        yield words.age
    if facts.second_film:
        yield words.second_film


def _small_print(reading: Reading, facts: Facts, words: Words) -> Iterator[str]:
    share = reading.pneumonia.normals_above
    known = points(share) if share is not None else None
    if (count := known if facts.normals_above is None else facts.normals_above) is not None:
        yield words.normals.format(count=count)
    yield words.view.format(view=facts.view) if facts.view else words.no_view
    if not facts.sides_stated:
        yield words.no_sides
    if reading.pneumonia.positive:
        yield words.outlines
        if reading.heat_check is None or reading.heat_check.drop is None:
            yield words.not_tested
