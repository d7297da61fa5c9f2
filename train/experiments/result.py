"""An experiment's input, and its output: NAME.md and NAME.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.cascade import Cascade


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The input of an experiment."""

    name: str
    data: Path  # folder with films and manifest
    cascade: Callable[[], Cascade]  # loads the networks to measure, without their gate
    out: Path  # work files; an interrupted run there goes on
    docs: Path  # tables and plots
    config: dict[str, Any]  # the content of its YAML
    weights: dict[str, Path] = field(default_factory=dict)  # network -> instead of the models' own
    models: Path | None = None  # the models directory, if not the packaged one

    @property
    def command(self) -> str:
        """What printed the result."""
        given = "".join(f" --{name} FILE" for name in self.weights)
        if self.models:
            given = f" --models {self.models}{given}"
        return f"python -m train experiment {self.name} --data DIR{given}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of an experiment."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numbers: dict[str, Any]  # for machines; dataclasses become objects
    digests: dict[str, str]  # weights -> sha256
    says: str  # what it can and cannot show

    def markdown(self, command: str) -> str:
        """Table, provenance and what it shows."""
        lines = [_line(self.head), _line(["---"] * len(self.head)), *map(_line, self.rows)]
        weights = "\n".join(f"- {name}: `{digest}`" for name, digest in self.digests.items())
        return (
            f"# {self.title}\n\nResearch software, not a medical device. Printed by `{command}`; "
            "in brackets 95 % intervals: of a share Wilson's, else by bootstrap over patients; "
            "the paper's figures were measured on its own films.\n\n"
            + "\n".join(lines)
            + f"\n\n{self.says}\n\n"
            "Weights read (SHA-256 of the file; a FILE of training weights has another one in the "
            f"package, where it is in half precision):\n\n{weights}\n"
        )


def write(run: Run, result: Result) -> str:
    """Write ``NAME.md`` and ``NAME.json`` into ``run.docs``; return the Markdown."""
    text = result.markdown(run.command)
    run.docs.mkdir(parents=True, exist_ok=True)
    (run.docs / f"{run.name}.md").write_text(text, encoding="utf-8")
    content = {"digests": result.digests, "numbers": result.numbers}
    body = json.dumps(content, indent=2, ensure_ascii=False, default=asdict)
    (run.docs / f"{run.name}.json").write_text(f"{body}\n", encoding="utf-8")
    return text


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
