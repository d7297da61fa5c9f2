"""The training loop of all stages.

A step's randomness comes from (seed, phase, step) alone and a checkpoint holds everything else, so
a run that is killed and resumed ends where an unbroken one does. Lightning Fabric carries device,
precision and distribution; of several processes (``torchrun``, or ``devices``) each draws the whole
batch and learns from its share, so that their number changes no film; the first validates and
writes. Batch norm's averages alone stay each process's own.
"""

from __future__ import annotations

import copy
import csv
import math
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric
from rich.progress import Progress
from torch import Generator, Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from train.files import replacing
from train.schedule import Phase, Schedule, learning_rate, step_generator

_LAST = ("out.", "head.")  # where the names of a classifier's last layers begin
_PICTURES = 8  # films of a batch shown in TensorBoard


class Task(Protocol):
    """What the loop needs to train one stage's network.

    A batch is a dict of tensors whose first dimension is the film, so that several processes can
    divide it; ``x`` is the network's input, (B, C, H, W). `loss` gets the network in training mode,
    `validate` its running average in eval mode and without gradients. `validate` returns ``score``
    among other numbers, the same ones each time.
    """

    @property
    def network(self) -> nn.Module:
        """The network to train, with the weights to start from."""

    def prepare(self, size: int) -> None:
        """Get the films ready for a phase at this size."""

    def batch(self, phase: Phase, generator: Generator) -> dict[str, Tensor]:
        """Draw and augment films; the loop moves them to the device."""

    def loss(self, network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        """Run the network on a batch, give the loss."""

    def validate(self, network: nn.Module, phase: Phase) -> dict[str, float]:
        """Numbers on the validation split; larger ``score`` is better."""


@dataclass(slots=True)
class State:
    """Everything a checkpoint holds besides the modules."""

    phase: int = 0
    step: int = 0
    best: float = -math.inf  # within the phase: scores at two resolutions do not compare
    rows: list[dict[str, float]] = field(default_factory=list)


def fit(task: Task, schedule: Schedule, out: Path, *, stop_after: int | None = None) -> Path:
    """Train through all phases.

    A run continues from ``out/checkpoint.pt`` if there is one, and ends as an unbroken run would.

    Parameters
    ----------
    task
        The network, its films and its loss.
    schedule
        Phases, learning rates, device, seed.
    out
        Folder of the run: ``best.pt``, ``checkpoint.pt``, ``log.csv``, TensorBoard's events.
    stop_after
        End this run after so many steps, with a checkpoint, as a kill would; None: never.

    Returns
    -------
    Path
        ``out/best.pt``: the running average with the best ``score`` of the last phase. After
        ``stop_after`` it may be that of an earlier phase, or not be there yet.
    """
    torch.set_num_threads(schedule.threads)
    torch.manual_seed(schedule.seed)
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(task, schedule, out)
    run.restore()
    budget = math.inf if stop_after is None else stop_after
    with Progress(disable=not sys.stderr.isatty()) as progress:
        while run.state.phase < len(schedule.phases):
            phase = schedule.phases[run.state.phase]
            bar = progress.add_task(f"{phase.size} px", total=phase.steps)
            task.prepare(phase.size)
            while run.state.step < phase.steps:
                if budget <= 0:
                    run.save()
                    return run.best_path
                run.advance(phase)
                budget -= 1
                progress.update(bar, completed=run.state.step)
            run.next_phase()
    run.save()
    return run.best_path


class _Run:
    """The state of one run."""

    def __init__(self, task: Task, schedule: Schedule, out: Path) -> None:
        self.task, self.schedule, self.out = task, schedule, out
        self.fabric = Fabric(
            accelerator=schedule.accelerator,
            devices=int(os.environ.get("LOCAL_WORLD_SIZE", schedule.devices)),  # torchrun knows
            precision=schedule.precision,  # type: ignore[arg-type]
        )
        self.fabric.launch()
        self.plain = task.network
        self.plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = self.fabric.to_device(copy.deepcopy(self.plain).eval())
        self.state = State()
        self.network: Any = self.fabric.setup_module(self.plain)
        if hasattr(self.plain, "features"):
            self.network.mark_forward_method("features")  # a task may want the last maps too
        self.optimizer = self._fresh_optimizer()
        self.best_path = out / "best.pt"
        self.saved = monotonic()
        self.board = SummaryWriter(str(out)) if self.fabric.is_global_zero else None

    def _fresh_optimizer(self) -> Any:
        return self.fabric.setup_optimizers(
            torch.optim.AdamW(
                _by_rate(self.plain, self.schedule.body_rate),
                weight_decay=self.schedule.weight_decay,
            )
        )

    def advance(self, phase: Phase) -> None:
        """Take one step; validate and checkpoint where due."""
        state = self.state
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * learning_rate(state.step, phase)
        generator = step_generator(self.schedule.seed, state.phase, state.step)
        batch = self.fabric.to_device(self._share(self.task.batch(phase, generator)))
        if state.step == 0:
            self._show(batch["x"], phase)
        self.network.train()
        loss = self.task.loss(self.network, batch)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.optimizer.step()
        self._follow()
        state.step += 1
        if state.step % self.schedule.validate_every == 0 or state.step == phase.steps:
            self._validate(phase, loss.item())
        if monotonic() - self.saved > self.schedule.checkpoint_seconds:
            self.save()

    def _share(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Every n-th film for process n of the run, so that each group keeps its share."""
        rank, processes = self.fabric.global_rank, self.fabric.world_size
        return {name: values[rank::processes] for name, values in batch.items()}

    def _show(self, films: Tensor, phase: Phase) -> None:
        """Show films as the network sees them, each in its own range."""
        if self.board is None:
            return
        some = films[:_PICTURES, :1].float().cpu()
        low, high = some.amin((2, 3), keepdim=True), some.amax((2, 3), keepdim=True)
        shown = (some - low) / (high - low).clamp(min=1e-6)
        self.board.add_images(f"films/{phase.size}px", shown)

    def _follow(self) -> None:
        """Move the running average; young averages move faster."""
        keep = min(self.schedule.ema, (self.state.step + 1) / (self.state.step + 10))
        with torch.no_grad():
            pairs = zip(self.average.state_dict().values(), self._weights().values(), strict=True)
            for mine, theirs in pairs:
                if mine.dtype.is_floating_point:
                    mine.lerp_(theirs, 1.0 - keep)
                else:
                    mine.copy_(theirs)

    def _weights(self) -> dict[str, Tensor]:
        return self.plain.state_dict()

    def _validate(self, phase: Phase, loss: float) -> None:
        if not self.fabric.is_global_zero:
            return
        with torch.inference_mode(), self.fabric.autocast():
            numbers = self.task.validate(self.average, phase)
        row = {"phase": self.state.phase, "size": phase.size, "step": self.state.step, "loss": loss}
        self.state.rows.append(row | numbers)
        self._write_log()
        print(" ".join(f"{name}={value:.4g}" for name, value in self.state.rows[-1].items()))
        self._chart(numbers | {"loss": loss})
        if numbers["score"] >= self.state.best:
            self.state.best = numbers["score"]
            with replacing(self.best_path) as part:
                torch.save(self.average.state_dict(), part)

    def _chart(self, numbers: dict[str, float]) -> None:
        if self.board is None:
            return
        done = sum(p.steps for p in self.schedule.phases[: self.state.phase]) + self.state.step
        for name, value in numbers.items():
            self.board.add_scalar(name, value, done)
        self.board.flush()

    def _write_log(self) -> None:
        with (self.out / "log.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.state.rows[0]))
            writer.writeheader()
            writer.writerows(self.state.rows)

    def next_phase(self) -> None:
        """Start the next phase: the same weights, a fresh optimizer."""
        self.state.phase += 1
        if self.state.phase < len(self.schedule.phases):
            self.state.step, self.state.best = 0, -math.inf
            self.optimizer = self._fresh_optimizer()

    def save(self) -> None:
        """Write the checkpoint."""
        self.saved = monotonic()
        if not self.fabric.is_global_zero:
            return
        state = self.state
        content = {
            "network": self._weights(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "state": [state.phase, state.step, state.best],
            "rows": state.rows,
        }
        with replacing(self.out / "checkpoint.pt") as part:
            torch.save(content, part)

    def restore(self) -> None:
        """Restore the checkpoint if there is one."""
        path = self.out / "checkpoint.pt"
        if not path.exists():
            return
        content = torch.load(path, weights_only=True, map_location=self.fabric.device)
        self.plain.load_state_dict(content["network"])
        self.average.load_state_dict(content["average"])
        phase, step, best = content["state"]
        self.state = State(phase=phase, step=step, best=best, rows=content["rows"])
        self.optimizer.load_state_dict(content["optimizer"])


def _by_rate(network: nn.Module, body_rate: float) -> list[dict[str, Any]]:
    """Last layers at the phase's learning rate, all others at a share of it."""
    last: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (last if name.startswith(_LAST) else others).append(parameter)
    groups = [{"params": last, "share": 1.0}, {"params": others, "share": body_rate}]
    return [group for group in groups if group["params"]]
