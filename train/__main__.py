"""``python -m train COMMAND``: read the YAML, call one function.

``all`` trains the stages one after the other and exports them. Every command continues where an
interrupted run in the same folder stopped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import typer
import yaml
from rich.console import Console
from rich.markdown import Markdown
from torch import nn

from models import registry, signature
from models.unet import LungUNet
from train import export as exporting
from train import settings
from train.adapt import command
from train.data import manifest
from train.data.adapters import ADAPTERS, adapt
from train.evaluation import cards, operating, results_page
from train.evaluation.depth import look_deeper
from train.evaluation.tables import measure
from train.experiments import EXPERIMENTS
from train.experiments.result import Run, write
from train.gate import release as gate_release
from train.loop import fit
from train.stages.refit import refit
from train.stages.stage1_lungs import LungTask
from train.stages.stage2_pneumonia import PneumoniaTask, learning_films
from train.stages.stage3_covid import CovidTask
from train.starts import start

Config = Annotated[Path, typer.Option(help="Settings of the run, a YAML file", exists=True)]
Data = Annotated[
    Path, typer.Option(envvar="DATA", help="Folder with films and their manifest.csv", exists=True)
]
Out = Annotated[Path, typer.Option(help="Folder of the run; an interrupted run in it is continued")]
Init = Annotated[str | None, typer.Option(help="Weights to start from; default: those in the YAML")]
Lungs = Annotated[Path, typer.Option(help="Weights of stage 1", exists=True)]
Pneumonia = Annotated[Path, typer.Option(help="Weights of stage 2", exists=True)]
Weights = Annotated[
    Path | None, typer.Option(help="Weights; default: those in the YAML", exists=True)
]
Own = Annotated[Path | None, typer.Option(help="Weights; default: the models' own", exists=True)]
Models = Annotated[Path | None, typer.Option(help="Models directory; default: the packaged one")]
Into = Annotated[Path, typer.Option(help="Models directory to write")]
Without = Annotated[list[str] | None, typer.Option(help="Source to leave out; may be repeated")]
Splits = Annotated[
    list[str] | None, typer.Option(help="Split to measure; may be repeated; default: test, site")
]

app = typer.Typer(help="Train, evaluate and export the three networks.", no_args_is_help=True)
command.register(app)


def _start(network: nn.Module, init: str | Path | None, out: Path) -> None:
    """Load the first weights, and note for the card where they came from."""
    if found := start(network, init):
        out.mkdir(parents=True, exist_ok=True)
        (out / "start.yaml").write_text(yaml.safe_dump(asdict(found)), encoding="utf-8")


@app.command()
def stage1(
    data: Data,
    config: Config = settings.CONFIGS / "stage1.yaml",
    out: Out = Path("runs/stage1"),
    init: Init = None,
) -> Path:
    """Train stage 1: find the lungs."""
    raw = settings.read(config)
    schedule = settings.schedule(raw)
    torch.manual_seed(schedule.seed)  # of the first weights
    network = LungUNet()
    _start(network, init or raw.get("init"), out)
    task = LungTask(network, data, settings.lung_groups(raw))
    return fit(task, schedule, out)


@app.command()
def stage2(
    data: Data,
    lungs: Lungs,
    config: Config = settings.CONFIGS / "stage2.yaml",
    out: Out = Path("runs/stage2"),
    init: Init = None,
) -> Path:
    """Train stage 2: normal or pneumonia. Stage 1 stays as it is."""
    raw = settings.read(config)
    schedule = settings.schedule(raw)
    torch.manual_seed(schedule.seed)  # of the first weights
    masking, recipe = settings.masking(raw, lungs), settings.recipe(raw)
    network = registry.classifier(masking.backbone)
    _start(network, init or raw.get("init"), out)
    task = PneumoniaTask(network, learning_films(data, recipe), masking, recipe)
    return fit(task, schedule, out)


@app.command()
def stage3(
    data: Data,
    lungs: Lungs,
    pneumonia: Pneumonia,
    config: Config = settings.CONFIGS / "stage3.yaml",
    out: Out = Path("runs/stage3"),
    init: Init = None,
) -> Path:
    """Train stage 3: COVID-19 or another pneumonia. Stages 1 and 2 stay as they are.

    The first weights are stage 2's. If the YAML has `refit`, only the last layer is fitted.
    """
    raw = settings.read(config)
    masking, recipe = settings.masking(raw, lungs), settings.recipe(raw)
    network = registry.classifier(masking.backbone)
    _start(network, init or raw.get("init") or pneumonia, out)
    task = CovidTask(network, learning_films(data, recipe), masking, pneumonia, recipe)
    if ridges := raw.get("refit"):
        return refit(task, ridges, out)
    return fit(task, settings.schedule(raw), out)


@app.command("all")
def everything(data: Data, out: Out = Path("runs"), to: Into = registry.DEFAULT) -> None:
    """Train all stages, export and measure them, then train the gate."""
    lungs = stage1(data, out=out / "stage1")
    pneumonia = stage2(data, lungs, out=out / "stage2")
    covid19 = stage3(data, lungs, pneumonia, out=out / "stage3")
    raw = settings.read(settings.CONFIGS / "export.yaml")
    for name, stage in (("lungs", "stage1"), ("pneumonia", "stage2"), ("covid19", "stage3")):
        config = settings.read(settings.CONFIGS / f"{stage}.yaml")
        raw["networks"][name]["history"] = settings.history(stage, config)
    weights = {"lungs": lungs, "pneumonia": pneumonia, "covid19": covid19}
    release = settings.release(raw, weights, without=(), measured=True)
    _show(exporting.export(release, data, out / "export", to))
    gate(data, out=out / "gate", to=to)


@app.command()
def export(  # noqa: PLR0913 - one option each
    data: Data,
    config: Config = settings.CONFIGS / "export.yaml",
    out: Out = Path("runs/export"),
    to: Annotated[
        Path, typer.Option("--to", "--into", help="Models directory to write")
    ] = registry.DEFAULT,
    lungs: Weights = None,
    pneumonia: Weights = None,
    covid19: Weights = None,
    without: Without = None,
    measured: Annotated[
        bool, typer.Option(help="Measure now, or later with `evaluate --cards`")
    ] = True,
) -> None:
    """Write a models directory: weights, manifest and cards.

    Thresholds come from the validation split, the cards' numbers from the test split. The cards
    quote `history` of the YAML, so it must describe the weights given here.
    """
    given = {"lungs": lungs, "pneumonia": pneumonia, "covid19": covid19}
    weights = {name: path for name, path in given.items() if path is not None}
    raw = settings.read(config)
    release = settings.release(raw, weights, tuple(without or ()), measured)
    _show(exporting.export(release, data, out, to))


@app.command()
def gate(
    data: Data,
    config: Config = settings.CONFIGS / "gate.yaml",
    out: Out = Path("runs/gate"),
    to: Into = registry.DEFAULT,
    network: Annotated[
        Path | None,
        typer.Option(help="Keep this trained gate; fit only its distance and limits", exists=True),
    ] = None,
) -> None:
    """Train the input gate, fit it to the models in --to and add it; repeat after each export.

    Networks that an earlier run finished in the same folder are not trained again. A gate that
    accepts too few frontal films, or too many laterals, is not written.
    """
    raw = settings.read(config)
    _show({"gate": gate_release.release(data, raw, out, to, network=network)})


@app.command()
def sign(
    folder: Annotated[Path, typer.Argument(help="Folder with manifest.yaml", exists=True)],
    key: Annotated[Path, typer.Option(help="Ed25519 private key, PEM", exists=True)],
) -> None:
    """Sign the manifest, and with it the digests of all weights, for models.public_key."""
    typer.echo(f"written: {signature.sign(folder, key)}")


@app.command("manifest")
def write_manifest(
    name: Annotated[str, typer.Argument(help=f"Data set: {', '.join(ADAPTERS)}")],
    folder: Annotated[Path, typer.Argument(help="Data set folder as published", exists=True)],
    seed: Annotated[int, typer.Option(help="Seed of the split by patient")] = 20260101,
) -> None:
    """Write a data set's manifest.csv into its folder: labels, patients, near copies, splits."""
    if name not in ADAPTERS:
        raise typer.BadParameter(f"one of {', '.join(ADAPTERS)}", param_hint="NAME")
    rows = adapt(name, folder, seed)
    manifest.write(rows, folder / manifest.NAME)
    counts = Counter((row.split, row.label) for row in rows)
    for (split, label), count in sorted(counts.items()):
        typer.echo(f"{split:<12}{label:<16}{count:>7}")


@app.command()
def evaluate(  # noqa: PLR0913 - one option each
    data: Data,
    models: Models = None,
    out: Out = Path("runs/evaluate"),
    without: Without = None,
    split: Splits = None,
    write_cards: Annotated[
        bool, typer.Option("--cards", help="Write the numbers into the cards")
    ] = False,
    docs: Annotated[
        Path | None, typer.Option(help="Also run the bias probes; write RESULTS.md and plots here")
    ] = None,
) -> None:
    """Measure a cascade on the test split and print the numbers of its cards."""
    if (write_cards or docs) and split:
        raise typer.BadParameter("the cards and RESULTS.md give the test split")
    directory, left_out = models or registry.DEFAULT, tuple(without or ())
    cascade = registry.load(directory, gate=False)
    results = measure(cascade, data, out, splits=tuple(split or ("test", "site")), without=left_out)
    (out / "results.json").write_text(results.json(), encoding="utf-8")
    for name, table in results.markdown().items():
        (out / f"{name}.md").write_text(table, encoding="utf-8")
    if write_cards:
        cards.rewrite(directory, results.markdown(), exporting.command(left_out))
        known = registry.read_manifest(directory)
        known = operating.with_normals_above(known, data, cascade, out)
        registry.write_manifest(known, directory)
    if docs:
        depth = look_deeper(cascade, data, out)
        command = f"{exporting.command(left_out)} --docs docs"
        Console().print(Markdown(results_page.write(results, depth, docs, command)))
    else:
        _show(results.markdown())


@app.command()
def experiment(  # noqa: PLR0913 - one option each
    name: Annotated[str, typer.Argument(help=f"Experiment: {', '.join(EXPERIMENTS)}")],
    data: Data,
    models: Models = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings; default: the experiment's own")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Work files; default: runs/experiments/NAME")
    ] = None,
    docs: Annotated[Path, typer.Option(help="Folder for tables and plots")] = Path("docs/results"),
    lungs: Own = None,
    pneumonia: Own = None,
    covid19: Own = None,
) -> None:
    """Run one of the paper's experiments on public films; print it beside the paper's figures.

    Weights given here replace the models' own in experiments that train.
    """
    if name not in EXPERIMENTS:
        raise typer.BadParameter(f"one of {', '.join(EXPERIMENTS)}", param_hint="NAME")
    given = {"lungs": lungs, "pneumonia": pneumonia, "covid19": covid19}
    run = Run(
        name=name,
        data=data,
        cascade=partial(registry.load, models, gate=False),
        out=out or Path("runs/experiments") / name,
        docs=docs,
        config=settings.read(config or settings.CONFIGS / "experiments" / f"{name}.yaml"),
        weights={name: path for name, path in given.items() if path is not None},
        models=models,
    )
    Console().print(Markdown(write(run, EXPERIMENTS[name](run))))


def _show(tables: dict[str, str]) -> None:
    """Print the tables by network."""
    console = Console()
    for name, table in tables.items():
        console.print(Markdown(f"# {name}\n\n{table}"))


if __name__ == "__main__":
    app()
