"""A verdict from what a report says: its codes first, then its conclusion, then its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.domain.verdicts import Finding
from dicom_node.verdicts.phrases import Mention, PhraseReader, Said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_node.verdicts.rules import Rules

_PNEUMONIA = (Finding.PNEUMONIA, Finding.COVID19)
_OPEN = (*_PNEUMONIA, Finding.UNKNOWN)  # what may be pneumonia


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a report says; ``finding`` is None if no rule made anything of it."""

    finding: Finding | None
    rule: str = ""  # the rule that decided, or `contradiction`, `doubt` or `denial`
    mentions: tuple[Mention, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The opinion in plain JSON values."""
        mentions = [
            {
                "rule": each.rule.name,
                "finding": each.rule.finding.value,
                "words": each.words,
                "said": each.said.value,
                "cue": each.cue,
                "in_conclusion": each.in_conclusion,
            }
            for each in self.mentions
        ]
        finding = self.finding.value if self.finding else None
        return {"finding": finding, "rule": self.rule, "mentions": mentions}


class ReportReader:
    """Makes an opinion of codes and text by a rule file."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._phrases = PhraseReader(rules)

    def read(self, text: str, codes: Sequence[tuple[str, str]] = ()) -> Opinion:
        """Read a report; ``codes`` are pairs of coding system and code.

        The text does not count if the rules know one of the codes. A conclusion that says anything
        counts alone.
        """
        coded = tuple(
            Mention(rule, Said.AFFIRMED, f"{system}:{code}")
            for system, code in codes
            if (rule := self._rules.of_code(system, code)) is not None
        )
        mentions = coded or tuple(self._phrases.mentions(text))
        said = [each for each in mentions if each.said is not Said.PAST]
        said = [each for each in said if each.in_conclusion] or said
        finding, decided_by = _decide(said, self._rules.denied)
        return Opinion(finding, decided_by, mentions)

    def read_sections(
        self, sections: Sequence[tuple[str, str]], codes: Sequence[tuple[str, str]] = ()
    ) -> Opinion:
        """Read a report in parts, each with a name that counts if it is a heading of the rules."""
        parts, last = [], ""
        for name, text in sections:
            if name != last:
                parts.append(f"\n\n{name}:" if self._phrases.is_heading(name) else "\n")
            parts.append(text)
            last = name
        return self.read("\n".join(parts), codes)


def _decide(said: Sequence[Mention], if_denied: Finding) -> tuple[Finding | None, str]:
    """The finding, and what decided.

    A pneumonia that is affirmed counts, though it is doubted elsewhere; if it is also denied,
    nothing is known.
    """
    affirmed = {each.rule.finding: each.rule.name for each in said if each.said is Said.AFFIRMED}
    denied = {each.rule.finding for each in said if each.said is Said.DENIED}
    doubted = {each.rule.finding for each in said if each.said is Said.DOUBTED}
    for finding in (Finding.COVID19, Finding.PNEUMONIA):
        if finding not in affirmed:
            continue
        if finding in denied:
            return Finding.UNKNOWN, "contradiction"
        if finding is Finding.PNEUMONIA and Finding.COVID19 in doubted:
            break
        return finding, affirmed[finding]
    if doubted.intersection(_OPEN):
        return Finding.UNKNOWN, "doubt"
    for finding in (Finding.UNKNOWN, Finding.OTHER, Finding.NORMAL):
        if finding in affirmed:
            return finding, affirmed[finding]
    return (if_denied, "denial") if denied.intersection(_OPEN) else (None, "")
