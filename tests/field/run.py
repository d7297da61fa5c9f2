"""One file through the pipeline: what became of it, in how much time and memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from dicom_node.log import where
from dicom_node.pipeline import Pipeline

#: More than this for one file is a failure.
SECONDS, MEBIBYTES = 15.0, 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one file: ``how`` is "read", "withheld", a refusal's code, or "FAILED"."""

    path: Path
    how: str
    why: str = ""
    seconds: float = 0.0  # without the time for which other processes had the processor
    mebibytes: int = 0  # highest resident memory of the process meanwhile

    @property
    def failed(self) -> bool:
        """An exception, an object that may not leave, or beyond time or memory."""
        beyond = self.seconds > SECONDS or self.mebibytes > MEBIBYTES
        return beyond or self.how in ("FAILED", "withheld")


def run(pipeline: Pipeline, path: Path, out: Path) -> Outcome:
    """Read one file; whatever it raises is the outcome."""
    _forget_peak()
    started = time.monotonic() - _waited()
    try:
        outcome = pipeline.read(path, out)
    except Exception as error:  # noqa: BLE001 - that nothing is raised is what is measured
        how, why = "FAILED", where(error)
    else:
        how = outcome.refusal.code.value if outcome.refusal else "read"
        why = outcome.refusal.reason if outcome.refusal else ""
        if outcome.faults:
            how, why = "withheld", "; ".join(fault.message for fault in outcome.faults)
    seconds = time.monotonic() - _waited() - started
    return Outcome(path=path, how=how, why=why, seconds=seconds, mebibytes=_peak())


def _waited() -> float:
    """Seconds for which this thread was ready and had no processor (Linux, scheduler statistics).

    On a busy machine a film takes as long as its neighbours like; this is not the node's doing.
    """
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def _forget_peak() -> None:
    """Let Linux measure the highest resident memory from here (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) // 1024
