"""Turns of phrase that this repository does not use, and where they still are.

    PYTHONPATH=.:tests python -m repository.words [PATH...]      # every place, with what to say

Code, comments, docstrings, messages, names and documents are searched alike.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Pattern -> what to say. A space in a pattern matches any white space.
BANNED = {
    "told|tells?|telling": "say, state, report, write, send, show; an event is recorded",
    "anew": "again",
    "whoever|whomever|whom": "the process that, the person who; or turn the sentence round",
    "nobody|somebody|everybody": "no one, someone, each destination, another process",
    r"vouch\w*": "confirm, cover, prove",
    r"pledges?|pledged": "commitment request",
    r"doom\w*|bury|buried|hurry|hurried": "remove, reap, at once",
    "desks?": "handler",
    "parcels?": "file, outgoing file",
    "in vain": "without success",
    r"meddl\w*": "tamper",
    "farewell": "close, release",
    r"inquir\w+|enquir\w+|asker": "query, verify",
    "he|him|his|himself": "a program is 'it', a person 'they'",
    "mends?|mended|mending": "fix, correct, repair",
    "trails?": "audit log",
    "(None|empty) where|where none|where there is none|where (it|they) has none": "if",
    "stands? in the|stands? there": "is in",
    "for want of|of which no|of which none|that there is none": "say it straight",
    "shakes? (no )?hands|shakes": "handshake",
    "whence|wherein|thereof|therein|whereof|lest|nought|aught|thither|hither": "plain words",
    "for ever": "without end, indefinitely",
    "asked after|asks? after": "verified, queried",
    "tellers?|doorkeeper|nameless": "the name of what it does",
    "judges?|judged": "validator, viewer, test program",
    "sabotages?|gist": "fault, summary",
    "as things are|as days are|so manieth": "plain words",
    "does not do well|makes? two truths|no matter": "plain words",
}
_PATTERN = re.compile(
    "|".join(
        rf"(?P<w{number}>\b(?:{pattern})\b)".replace(" ", r"\s+")
        for number, pattern in enumerate(BANNED)
    ),
    re.IGNORECASE,
)
_ADVICE = list(BANNED.values())

#: (path, word): why the word must stay.
KEPT = {
    ("Makefile", "judges"): "the former name of `make interop`, kept as an alias",
    ("CHANGELOG.md", "judges"): "the same",
    ("CHANGELOG.md", "told"): "a former field name",
    ("CHANGELOG.md", "vouched"): "a former field name",
    ("docs/GLOSSARY.md", "trail"): "says that the word is not used",
    ("dicom_node/conformance/settings.py", "trail"): "a heading of PS3.2 Annex N",
    ("docs/CONFORMANCE.md", "trail"): "a heading of PS3.2 Annex N",
}
#: What is searched. Migrations and older results are history; this file quotes what it bans.
_SUFFIXES = {".py", ".md", ".yaml", ".toml", ".lua", ".sh", ".mjs", ".cff", ".service", ".txt"}
_NAMES = {"Makefile", "Dockerfile", "run"}
_LEFT_OUT = (
    "tests/repository/words.py",
    "tests/repository/test_words.py",
    "dicom_node/store/alembic/",
    "tests/conformance/",
    "docs/results/history/",
)


def files() -> list[Path]:
    """Every text of the checkout that is searched."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    return [
        ROOT / name
        for name in listed
        if (Path(name).suffix in _SUFFIXES or Path(name).name in _NAMES)
        and not name.startswith(_LEFT_OUT)
        and (ROOT / name).is_file()
        and not (ROOT / name).is_symlink()  # its text is searched where it lies
    ]


def found(text: str, name: str = "") -> Iterator[tuple[int, str, str]]:
    """Each banned turn: its line, the turn, and what to say in its place."""
    # a file object's own method is no prose; names are read word by word
    text = text.replace(".tell()", ".____()")
    # kinds of audit lines and tables that exist in databases of 0.1.0
    text = re.sub(
        r"trail_positions|pledge-(asked|reported|deferred|given-up)|\"pledges\"",
        "",
        text,
    )
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", text)
    text = re.sub(r"\n[ \t]*#:? ", lambda match: "\n" + " " * (len(match[0]) - 1), text)
    for match in _PATTERN.finditer(text):
        turn = " ".join(match[0].split())
        if (name, turn.lower()) not in KEPT:
            advice = _ADVICE[int(str(match.lastgroup)[1:])]
            yield text.count("\n", 0, match.start()) + 1, turn, advice


if __name__ == "__main__":
    for argument in sys.argv[1:] or [str(ROOT)]:
        for file in files():
            if file.is_relative_to(Path(argument).absolute()):
                name = file.relative_to(ROOT).as_posix()
                for line, turn, advice in found(file.read_text(), name):
                    sys.stdout.write(f"{name}:{line}: {turn!r}: {advice}\n")
