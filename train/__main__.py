"""``python -m train stage1|stage2|stage3|evaluate|export``: read the YAML, call one function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
import typer
import yaml
from torch import nn

from models import registry
from models.densenet import ChestDenseNet
from models.unet import LungUNet
from train.export import Release, report
from train.export import export as write_release
from train.loop import Phase, Schedule, fit
from train.masked import Masking
from train.stage1_lungs import LungTask
from train.stage2_pneumonia import Group, PneumoniaTask, Recipe
from train.stage3_covid import CovidTask

Config = Annotated[Path, typer.Option(help="YAML of the run", exists=True)]
Data = Annotated[Path, typer.Option(envvar="DATA", help="Data folder", exists=True)]
Out = Annotated[Path, typer.Option(help="Folder of the run; an interrupted run there is resumed")]
Init = Annotated[Path | None, typer.Option(help="Weights to start from", exists=True)]
Lungs = Annotated[Path, typer.Option(help="Weights of stage 1", exists=True)]
Pneumonia = Annotated[Path, typer.Option(help="Weights of stage 2", exists=True)]
Models = Annotated[Path | None, typer.Option(help="Models directory; the packaged one if absent")]

Without = Annotated[list[str] | None, typer.Option(help="Leave this source out of the report")]
Network = TypeVar("Network", bound=nn.Module)

app = typer.Typer(help="Train, evaluate and export the three networks.", no_args_is_help=True)


@app.command()
def stage1(config: Config, data: Data, out: Out, init: Init = None) -> None:
    """Lungs."""
    raw = _read(config)
    task = LungTask(_started(LungUNet(), init), data)
    print(fit(task, _schedule(raw), out))


@app.command()
def stage2(config: Config, data: Data, out: Out, lungs: Lungs, init: Init = None) -> None:
    """Normal against pneumonia, with stage 1 as it is."""
    raw = _read(config)
    task = PneumoniaTask(
        _started(ChestDenseNet(), init), data, _masking(raw, lungs), _recipe(raw["recipe"])
    )
    print(fit(task, _schedule(raw), out))


@app.command()
def stage3(
    config: Config, data: Data, out: Out, lungs: Lungs, pneumonia: Pneumonia, init: Init = None
) -> None:
    """COVID-19 against other pneumonia, with stages 1 and 2 as they are; starts from stage 2."""
    raw = _read(config)
    network = _started(ChestDenseNet(), init or pneumonia)
    task = CovidTask(network, data, _masking(raw, lungs), pneumonia, _recipe(raw["recipe"]))
    print(fit(task, _schedule(raw), out))


@app.command()
def evaluate(
    data: Data, models: Models = None, out: Out = Path("runs/evaluate"), without: Without = None
) -> None:
    """Print the numbers of the cards: the shipped cascade on the test split."""
    out.mkdir(parents=True, exist_ok=True)
    for name, results in report(registry.load(models), data, tuple(without or ())).items():
        (out / f"{name}.md").write_text(results, encoding="utf-8")
        print(f"{name}\n\n{results}")


@app.command()
def export(
    config: Config,
    data: Data,
    out: Out,
    into: Annotated[Path, typer.Option(help="Models directory")] = registry.DEFAULT,
    without: Without = None,
) -> None:
    """Write weights, manifest and cards; thresholds from validation, numbers from test."""
    raw = _read(config)
    networks = raw["networks"]
    release = Release(
        version=str(raw["version"]),
        mask_margin=int(raw["mask_margin"]),
        weights={name: Path(one["weights"]) for name, one in networks.items()},
        history={name: str(one["history"]).strip() for name, one in networks.items()},
        sources={name: tuple(one["sources"]) for name, one in networks.items()},
        without=tuple(without or ()),
    )
    for name, results in write_release(release, data, out, into).items():
        print(f"{name}\n\n{results}")


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def _schedule(raw: dict[str, Any]) -> Schedule:
    fields = dict(raw["schedule"])
    return Schedule(phases=tuple(Phase(**phase) for phase in fields.pop("phases")), **fields)


def _recipe(raw: dict[str, Any]) -> Recipe:
    fields = dict(raw)
    groups = tuple(
        Group(label=group["label"], sources=tuple(group["sources"]))
        for group in fields.pop("groups")
    )
    if fields.get("previous"):
        fields["previous"] = Path(fields["previous"])
    return Recipe(groups=groups, original=tuple(fields.pop("original", ())), **fields)


def _masking(raw: dict[str, Any], lungs: Path) -> Masking:
    return Masking(weights=lungs, margin=int(raw["mask_margin"]))


def _started(network: Network, init: Path | None) -> Network:
    if init is not None:
        network.load_state_dict(torch.load(init, weights_only=True))
    return network


if __name__ == "__main__":
    app()
