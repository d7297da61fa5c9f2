"""Every input of the corpus runs through its fuzz target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fuzz.targets import TARGETS, close

CORPUS = sorted(path for path in (Path(__file__).parent / "corpus").glob("*/*") if path.is_file())


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    close()


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.filterwarnings("ignore")
def test_the_node_is_not_at_fault(path: Path) -> None:
    """The input is read or refused with a code; nothing is raised."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus() -> None:
    """Each target has at least one input to start from."""
    assert {path.parent.name for path in CORPUS} == set(TARGETS)
