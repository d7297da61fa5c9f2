"""Where a cascade's networks are computed, and in which precision.

float32 on the processor is the reference. Any other engine is used for a model version only if its
manifest says that it was measured against the reference, see `Measured`. An engine computes the
networks' maps; everything else, heatmaps and decisions too, stays on the processor in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from models.classifier import ChestClassifier

if TYPE_CHECKING:
    from models.manifest import Measured

Kind = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Engine:
    """A device as torch names it, ``cpu`` or ``cuda:N``, and a precision."""

    device: str = "cpu"
    precision: Precision = "fp32"

    @property
    def kind(self) -> Kind:
        """What kind of device it is."""
        return "cuda" if self.device.startswith("cuda") else "cpu"

    @property
    def name(self) -> str:
        """As manifests name it, such as ``cuda bf16``: one GPU is like another."""
        return f"{self.kind} {self.precision}"

    def run(self, compute: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Compute on the device: films (B, 1, S, S) on the processor -> maps there, float32.

        Out of memory, the batch is halved.

        Raises
        ------
        torch.OutOfMemoryError
            Not even one film has room.
        """
        torch.backends.cudnn.allow_tf32 = False  # its 10 bits of mantissa are not float32
        try:
            with self._arithmetic():
                return compute(x.to(self.device)).float().cpu()
        except torch.OutOfMemoryError:
            if len(x) == 1:
                raise
        return torch.cat([self.run(compute, half) for half in torch.tensor_split(x, 2)])

    def _arithmetic(self) -> torch.autocast | nullcontext[None]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.kind, torch.bfloat16)


#: float32 on the processor.
REFERENCE = Engine()
#: `models.precision` -> what is tried, the fastest first.
_PRECISIONS: dict[str, tuple[Precision, ...]] = {"fp32": ("fp32",), "auto": ("bf16", "fp32")}


class Moved(nn.Module):
    """A network that an engine computes."""

    def __init__(self, network: nn.Module, engine: Engine) -> None:
        super().__init__()
        self.network, self._engine = network.to(engine.device), engine

    def forward(self, x: Tensor) -> Tensor:
        """Return what the network returns."""
        return self._engine.run(self.network, x)


class MovedClassifier(ChestClassifier):
    """A classifier whose maps an engine computes; its last layer stays on the processor."""

    def __init__(self, network: ChestClassifier, engine: Engine) -> None:
        super().__init__()
        self.out = network.out
        network.out = nn.Linear(1, 1)  # not used any more
        self.network, self._engine = network.to(engine.device), engine

    def features(self, x: Tensor) -> Tensor:
        """Maps after the last ReLU: (B, 1024, S / 16, S / 16)."""
        return self._engine.run(self.network.features, x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine can compute with."""

    gpus: int
    bf16: frozenset[Kind]  # devices that compute in bfloat16

    @classmethod
    def here(cls) -> Machine:
        """Look at the processor and for GPUs."""
        gpus = torch.cuda.device_count()
        bf16: set[Kind] = {"cpu"} if _processor_has_bf16() else set()
        if gpus and torch.cuda.is_bf16_supported(including_emulation=False):
            bf16.add("cuda")
        return cls(gpus=gpus, bf16=frozenset(bf16))

    def engines(self) -> list[Engine]:
        """Every engine of this machine but the reference."""
        devices, precisions = _devices("auto", self), _PRECISIONS["auto"]
        found = [Engine(device, precision) for device in devices for precision in precisions]
        able = [each for each in found if each.precision == "fp32" or each.kind in self.bf16]
        return [each for each in able if each != REFERENCE]


def _processor_has_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    try:
        words = cpuinfo.read_text(encoding="ascii", errors="replace").split()
    except OSError:  # not Linux
        return False
    return bool({"avx512_bf16", "amx_bf16"} & set(words))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An engine, and why none of the faster ones that were asked for is used."""

    engine: Engine
    why: tuple[str, ...] = ()


def choose(
    device: str,
    precision: Literal["fp32", "auto"],
    measured: Mapping[str, Measured],
    machine: Machine,
) -> Choice:
    """Choose the fastest engine that was asked for, that is here and that may be used.

    Parameters
    ----------
    device
        ``auto``, ``cpu`` or ``cuda:N``.
    precision
        ``auto`` allows bfloat16.
    measured
        Of the manifest: name of an engine -> how it compares with the reference.
    """
    devices, why = _devices(device, machine), []
    if device.startswith("cuda") and device not in devices:
        why.append(f"there is no {device}")
    for engine in (Engine(one, other) for one in devices for other in _PRECISIONS[precision]):
        if engine == REFERENCE:
            break
        if engine.precision == "bf16" and engine.kind not in machine.bf16:
            why.append(f"this {engine.kind} does not compute in bf16")
        elif engine.name not in measured:
            why.append(f"{engine.name} was not measured for these networks")
        elif not measured[engine.name].agrees:
            why.append(f"{engine.name} answers too differently with these networks")
        else:
            return Choice(engine=engine, why=tuple(why))
    return Choice(engine=REFERENCE, why=tuple(why))


def _devices(device: str, machine: Machine) -> list[str]:
    """The devices that may be used, the fastest first; the processor is always the last."""
    gpus = [f"cuda:{number}" for number in range(machine.gpus)]
    wanted = gpus[:1] if device == "auto" else [device]
    return [*(each for each in wanted if each in gpus), "cpu"]


def moved(network: nn.Module, engine: Engine) -> nn.Module:
    """The lungs' network, computed by the engine; the reference computes it as it is."""
    return network if engine == REFERENCE else Moved(network, engine)


def moved_classifier(network: ChestClassifier, engine: Engine) -> ChestClassifier:
    """A network of stages 2 and 3, likewise."""
    return network if engine == REFERENCE else MovedClassifier(network, engine)
