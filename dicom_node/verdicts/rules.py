"""The rule file: which words and codes of a report mean which finding."""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

import yaml
from pydantic import Field, StringConstraints, ValidationError

from dicom_node.config.mistakes import sentence
from dicom_node.config.sections import Section
from dicom_node.domain.verdicts import Finding
from dicom_node.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

T = TypeVar("T")
Phrases = tuple[Annotated[str, StringConstraints(min_length=1, max_length=80)], ...]

_LARGEST_FILE = 256 * 2**10  # bytes
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # a tenth of the time
_NO_WORD = re.compile(r"[^\w*]+|_+")


class Rule(Section):
    """Phrases and codes that mean one finding.

    A code is ``SYSTEM:CODE``, as ``SCT:233604007``; a ``*`` at its end stands for any characters.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
    finding: Finding
    phrases: Phrases = ()
    codes: tuple[Annotated[str, StringConstraints(pattern=r"^[^:]{1,32}:[^*]{1,32}\*?$")], ...] = ()

    def has_code(self, system: str, code: str) -> bool:
        """Whether the rule names this code, in any case of letters."""
        given = f"{system}:{code}".casefold()
        return any(
            given.startswith(known[:-1]) if known.endswith("*") else given == known
            for known in map(str.casefold, self.codes)
        )


class Cues(Section):
    """Words that deny or doubt what stands after or before them, and where their reach ends."""

    denied_before: Phrases = ()
    denied_after: Phrases = ()
    doubted_before: Phrases = ()
    doubted_after: Phrases = ()
    past: Phrases = ()
    none: Phrases = ()
    ends: Phrases = ()
    lists: Phrases = ()


class Headings(Section):
    """Headings of the sections of a report."""

    conclusion: Phrases = ()
    findings: Phrases = ()
    skipped: Phrases = ()


class Rules(Section):
    """The content of a rule file."""

    denied: Finding = Finding.NORMAL
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]
    cues: Cues = Cues()
    headings: Headings = Headings()
    abbreviations: Phrases = ()

    def of_code(self, system: str, code: str) -> Rule | None:
        """The first rule that names the code."""
        return next((rule for rule in self.rules if rule.has_code(system, code)), None)


def read_rules(path: Path | None) -> Rules:
    """Read a rule file; None means the one that comes with the node.

    Raises
    ------
    ConfigError
        The file cannot be read, or has mistakes; the message lists them.
    """
    if path is None:
        return shipped_rules()
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            raise ConfigError(f"{path} has more than {_LARGEST_FILE // 2**10} KiB")
        return _parse(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        mistakes = [sentence(each, Rules, {}) for each in error.errors()]
        raise ConfigError(f"{path}:\n  " + "\n  ".join(mistakes)) from error


@cache
def shipped_rules() -> Rules:
    """The rules that come with the node."""
    return _parse((files(__package__) / "rules.yaml").read_text(encoding="utf-8"))


def _parse(text: str) -> Rules:
    # All scalars are text: `no` is a word here.
    return Rules.model_validate(yaml.load(text, Loader=_Loader))  # noqa: S506


def normal(text: str) -> str:
    """Lower-case words with one space between them, umlauts as two letters."""
    lower = unicodedata.normalize("NFKC", text).casefold().translate(_UMLAUTS)
    return _NO_WORD.sub(" ", lower).strip()


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A phrase in a text, from character ``start`` to before ``end``."""

    value: T
    words: str
    start: int
    end: int


class PhraseSet(Generic[T]):
    """Phrases to be found in normalised text, each with a value; the longest one counts."""

    def __init__(self, pairs: Iterable[tuple[str, T]]) -> None:
        longest_first = sorted(pairs, key=lambda pair: -len(normal(pair[0])))
        parts = [(_pattern(phrase), value) for phrase, value in longest_first]
        # Without groups: to try the next word of a text is then several times as fast.
        either = "|".join(part for part, _ in parts) or "(?!)"
        self._any = re.compile(rf"(?<!\S)(?:{either})(?!\S)")
        self._each = [(re.compile(part), value) for part, value in parts]

    def found(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[Found[T]]:
        """Each phrase in a part of the text, in order."""
        for match in self._any.finditer(text, start, end):
            words = match[0]
            value = next(value for part, value in self._each if part.fullmatch(words))
            yield Found(value, words, match.start(), match.end())

    def occurs(self, text: str, start: int, end: int = sys.maxsize) -> bool:
        """Whether any of the phrases is in a part of the text."""
        return self._any.search(text, start, end) is not None


def _pattern(phrase: str) -> str:
    return re.escape(normal(phrase)).replace(r"\*", r"\S*").replace(r"\ ", " ")
