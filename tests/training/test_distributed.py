"""Several processes learn what one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch

RUN = """
import sys
from pathlib import Path
import torch
from torch import nn
from torch.nn import functional
from train.loop import fit
from train.schedule import Phase, Schedule


class Line:
    def __init__(self):
        torch.manual_seed(3)
        self.network = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.InstanceNorm2d(4), nn.ReLU(),
            nn.Flatten(), nn.Linear(64, 1),
        )

    def prepare(self, size):
        pass

    def batch(self, phase, generator):
        y = torch.randint(2, (phase.batch,), generator=generator).float()
        noise = torch.randn(phase.batch, 1, 4, 4, generator=generator)
        noise[:, :, :2] += (2 * y - 1)[:, None, None, None]
        return {"x": noise, "y": y}

    def loss(self, network, batch):
        return functional.binary_cross_entropy_with_logits(network(batch["x"])[:, 0], batch["y"])

    def validate(self, network, phase):
        return {"score": 0.0}


schedule = Schedule(
    phases=(Phase(size=4, batch=8, steps=6, learning_rate=0.02),), validate_every=6, threads=1
)
fit(Line(), schedule, Path(sys.argv[1]))
"""


def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    """Under torchrun each process takes half of each batch, and the weights come out the same."""
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for before, out in (([], "one"), (launcher, "two")):
        command = [sys.executable, *before, str(script), str(tmp_path / out)]
        subprocess.run(command, check=True, env=environment, timeout=240, capture_output=True)
    one, two = (torch.load(tmp_path / out / "best.pt", weights_only=True) for out in ("one", "two"))
    torch.manual_seed(3)
    untrained = torch.nn.Conv2d(1, 4, 3, padding=1, bias=False).weight
    assert not torch.allclose(one["0.weight"], untrained, atol=1e-3)
    for name, weights in one.items():
        assert torch.allclose(weights, two[name], atol=1e-6), name
