"""What a worker does before its first film, so that this one is no slower than the tenth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from structlog.testing import capture_logs
from support.fakes import FakeClock

from dicom_node.config import Config
from dicom_node.explain.canvas import font
from dicom_node.service.warm_up import warm_up


@dataclass
class Started:
    """What was started, in order; stands for the networks and for the decoder."""

    names: list[str] = field(default_factory=list)

    def warm_up(self) -> None:
        self.names.append("networks")

    def decoder(self) -> None:
        self.names.append("decoder")


def _warmed(clock: Callable[[], datetime]) -> list[str]:
    started = Started()
    warm_up(Config(), started, started.decoder, clock)
    return started.names


def test_a_warm_up_draws_pictures() -> None:
    """After a warm-up the fonts are loaded; the decoder starts first, beside the networks."""
    font.cache_clear()
    assert _warmed(FakeClock()) == ["decoder", "networks"]
    assert font.cache_info().currsize > 0


def test_a_worker_starts_without_a_composed_trial_film() -> None:
    """If the drawn film cannot be composed, the worker says so and reads films all the same."""

    def broken() -> datetime:
        raise OverflowError

    with capture_logs() as lines:
        assert _warmed(broken) == ["decoder", "networks"]
    assert [line["event"] for line in lines] == ["the first film may be slow"]
