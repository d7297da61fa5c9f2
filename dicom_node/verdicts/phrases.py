"""Read a report's text: each phrase of the rule file in it, and whether it is denied or doubted.

After NegEx (Chapman et al., J Biomed Inform 2001;34:301): a cue such as "no" or "possible" acts on
the findings after it in its sentence, some cues on those before it. What is unclear is a doubt.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from dicom_node.verdicts.rules import Cues, Headings, PhraseSet, normal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.verdicts.rules import Found, Rule, Rules

LONGEST_TEXT = 64 * 2**10  # characters that are read
_END = 100  # characters of a sentence by which it is known whether a full stop ends it
_LONGEST_SENTENCE = 1000  # characters; in a longer one everything is in doubt
_LONGEST_WORD = re.compile(r"(\S{64})\S+")
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n\s*(?=\n|[-*\u2022]\s|\d{1,2}[.)]\s)")
_INITIALS = re.compile(r"(?<!\S)\w \w$")
_BLANK_LINE = re.compile(r"(?<=\S)[ \t]*\n[ \t]*\n")
_SOFT_BREAK = re.compile(r"([,\n])")
_HEADING = re.compile(r"(?:^|(?<=[.;?!\n]))[ \t]*([^\W\d_][^\n.;:?!]{1,40}?)[ \t]*(?::|(?=\n)|$)")


class Said(StrEnum):
    """How a report says a finding."""

    AFFIRMED = "affirmed"
    DENIED = "denied"
    DOUBTED = "doubted"
    PAST = "past"  # of an earlier illness


@dataclass(frozen=True, slots=True)
class Mention:
    """A phrase or code of a rule in a report."""

    rule: Rule
    said: Said
    words: str  # of the phrase as the report has them, normalised; or the code
    cue: str = ""  # what denied or doubted it
    in_conclusion: bool = False


#: A cue and its kinds: fields of `Cues`.
_Cue: TypeAlias = "Found[frozenset[str]]"


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence, normalised; places are numbers of characters in it."""

    text: str
    breaks: tuple[tuple[int, str], ...]  # commas and line breaks, and where they were
    phrases: tuple[Found[Rule], ...]
    cues: tuple[_Cue, ...]

    def broken(self, start: int, end: int) -> str:
        """The breaks between two places."""
        return "".join(sign for place, sign in self.breaks if start <= place < end)

    def acts_forward(self, cue: _Cue) -> bool:
        """Whether a cue that acts both ways has a finding after it: "with possible effusion"."""
        return not _BEFORE.keys().isdisjoint(cue.value) and any(
            each.start >= cue.end and not self.broken(cue.end, each.start) for each in self.phrases
        )


#: What cues say of the findings after them; `ends` ends the reach of an earlier one.
_BEFORE = {
    "ends": Said.AFFIRMED,
    "doubted_before": Said.DOUBTED,
    "past": Said.PAST,
    "denied_before": Said.DENIED,
}


class PhraseReader:
    """Finds the phrases of a rule file in texts."""

    def __init__(self, rules: Rules) -> None:
        cues: defaultdict[str, set[str]] = defaultdict(set)
        for kind in Cues.model_fields.keys() - {"lists"}:
            for words in getattr(rules.cues, kind):
                cues[normal(words)].add(kind)
        self._cues = PhraseSet((words, frozenset(kinds)) for words, kinds in cues.items())
        self._phrases = PhraseSet((each, rule) for rule in rules.rules for each in rule.phrases)
        self._lists = PhraseSet((words, None) for words in rules.cues.lists)
        self._headings = {
            normal(each): kind
            for kind in Headings.model_fields
            for each in getattr(rules.headings, kind)
        }
        self._abbreviations = frozenset(map(normal, rules.abbreviations))

    def is_heading(self, name: str) -> bool:
        """Whether the rules name this heading."""
        return normal(name) in self._headings

    def mentions(self, text: str) -> list[Mention]:
        """What the text says, in its order; at most `LONGEST_TEXT` characters are read."""
        text = "\n".join(_LONGEST_WORD.sub(r"\1", text[:LONGEST_TEXT]).splitlines())
        return [
            mention
            for kind, section in self._sections(text)
            if kind != "skipped"
            for sentence in self._sentences(section)
            for mention in self._in_sentence(sentence, in_conclusion=kind == "conclusion")
        ]

    def _sections(self, text: str) -> Iterator[tuple[str, str]]:
        """Each section and the kind of its heading; a blank line after its text ends it."""
        kind, start = "findings", 0
        for match in _HEADING.finditer(text):
            if (found := self._headings.get(normal(match[1]))) is not None:
                yield from _until_blank(kind, text[start : match.start()])
                kind, start = found, match.end()
        yield from _until_blank(kind, text[start:])

    def _sentences(self, section: str) -> Iterator[str]:
        begun = ""
        for part in _SENTENCE_END.split(section):
            begun = f"{begun} {part}" if begun else part
            if not (part.endswith(".") and self._is_abbreviated(normal(begun[-_END:]))):
                yield begun
                begun = ""
        yield begun

    def _is_abbreviated(self, words: str) -> bool:
        """Whether the full stop after the words ends no sentence: "re.", "V.a.", "2." of a list."""
        last = words.rpartition(" ")[2]
        return words.isdigit() or last in self._abbreviations or bool(_INITIALS.search(words))

    def _in_sentence(self, raw: str, *, in_conclusion: bool) -> Iterator[Mention]:
        text, breaks = _words(raw)
        phrases = tuple(self._phrases.found(text))
        clear = len(text) <= _LONGEST_SENTENCE and not raw.rstrip().endswith("?")
        cues = tuple(self._cues.found(text)) if clear else ()
        sentence = _Sentence(text, breaks, phrases, cues)
        for each in phrases:
            said, cue = self._said(sentence, each) if clear else (Said.DOUBTED, "?")
            yield Mention(each.value, said, each.words, cue, in_conclusion)

    def _said(self, sentence: _Sentence, phrase: Found[Rule]) -> tuple[Said, str]:
        """How a phrase is said, and the cue that decides it."""
        start, end = phrase.start, phrase.end
        after = [cue for cue in sentence.cues if cue.start >= end]
        behind = [cue for cue in after if not sentence.acts_forward(cue)]
        if doubt := next((cue for cue in behind if "doubted_after" in cue.value), None):
            return Said.DOUBTED, doubt.words
        for cue in reversed([cue for cue in sentence.cues if cue.end <= start]):
            said = next((_BEFORE[kind] for kind in _BEFORE if kind in cue.value), None)
            if said is None:
                continue
            if said is Said.AFFIRMED:
                break
            reaches = said is Said.DOUBTED or self._reaches(sentence, said, cue.end, start)
            return (said if reaches else Said.DOUBTED), cue.words
        for cue in after:
            if "ends" in cue.value:
                break
            if "denied_after" in cue.value and cue in behind:
                unclear = sentence.broken(end, cue.start)
                return (Said.DOUBTED if unclear else Said.DENIED), cue.words
        return Said.AFFIRMED, ""

    def _reaches(self, sentence: _Sentence, said: Said, cue_end: int, start: int) -> bool:
        """Whether nothing lies between cue and finding, or a list joins them: "no a, b or c"."""
        broken = sentence.broken(cue_end, start)
        if not broken:
            return True
        if said is not Said.DENIED:
            return False
        return self._lists.occurs(sentence.text, cue_end, start) or (
            "\n" not in broken and self._lists.occurs(sentence.text, start)
        )


def _until_blank(kind: str, section: str) -> Iterator[tuple[str, str]]:
    first, *rest = _BLANK_LINE.split(section)
    yield kind, first
    for each in rest:
        yield "findings", each


def _words(raw: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """A sentence normalised, and its commas and line breaks with their places."""
    text, breaks = "", []
    for part in _SOFT_BREAK.split(raw):
        if part in (",", "\n"):
            breaks.append((len(text), part))
        elif words := normal(part).replace("*", ""):
            text = f"{text} {words}" if text else words
    return text, tuple(breaks)
