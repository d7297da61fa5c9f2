"""Add a gate to a models directory, fitted to its networks: weights, manifest entry, card."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from dicom_node import gate as rules
from dicom_node import pixels, select_images
from dicom_node.config import GateConfig, SelectConfig
from dicom_node.domain.values import RefusalCode
from dicom_node.errors import Refused
from models import registry
from models.cascade import Cascade
from models.gate import Gate, GateNet, fit_distance
from models.reading import GateLimits
from train.data import manifest
from train.data.manifest import Row
from train.data.sampler import spread
from train.evaluation import cards
from train.gate import limits as rule
from train.gate.classifier import is_lateral
from train.gate.features import see
from train.gate.learning import Learned, learn
from train.gate.learning import kept as as_it_is
from train.gate.limits import held_out, score

_FILE, _CARD = "weights/gate.safetensors", "cards/gate.md"
_COMMAND = "python -m train gate --data DIR"
#: Films for the centre of the distance, of each source.
_CENTRE = 150
_OPEN = GateLimits(
    lateral=2.0, part=2.0, other=2.0, turned=2.0, inverted=2.0, distance=torch.inf,
    lung_area=0.0, lungs_at_edge=1.0, black=1.0, white=1.0, contrast=0.0,
)  # fmt: skip
_WORDS = cards.Words(
    title="The input gate",
    details=(
        "A network of five strided convolutions, 0.2 million parameters, on the film at 128 x 128: "
        "frontal chest, lateral chest, part of a chest film, or something else; upright or turned; "
        "inverted or not. After stages 1 and 2: the share of the film that is lung, lungs cut by "
        "the film's edge, and the distance of stage 2's pooled features from those of its training "
        "films (diagonal Mahalanobis, shrunk). Exposure is measured on the pixels, age is read "
        "from the header."
    ),
    factors="Source of the film; children (kermany) against adults.",
    metrics="Share of films accepted, and the codes of the refusals.\n\n" + rule.RULE,
    caveats=(
        "Turned, inverted and cut films are made from upright ones. Pictures of other things come "
        "from Python packages and from drawings; few of them are radiographs of other body parts, "
        "so a pelvis or an abdomen may pass where the header does not name it. A familiar-looking "
        "film is not a film the networks are right about. Ages in headers may be wrong."
    ),
)


def release(
    data: Path, raw: dict[str, Any], out: Path, into: Path, *, network: Path | None = None
) -> str:
    """Teach or keep a gate, fit it, measure it, and write it to a models directory.

    Parameters
    ----------
    data
        Folder with films and manifest; its ``dicom`` folder is tested if there is one.
    raw
        The content of ``configs/gate.yaml``.
    out
        Folder of the run; what is finished there is not repeated.
    into
        Models directory that gets the gate. Its networks are the ones the gate is fitted to.
    network
        A gate's weights file: nothing is learned, only centre, scale and limits are fitted.

    Returns
    -------
    str
        The results, Markdown, as the card has them.

    Raises
    ------
    NotReleased
        The gate misses `limits.FRONTAL_FLOOR` or `limits.LATERAL_CEILING`; ``into`` is as it was.
    """
    rows = manifest.read(data)
    learned = as_it_is(rows, network) if network else learn(rows, data, raw, out)
    cascade = registry.load(into, gate=False)
    _centre(learned, cascade, _familiar(rows, raw["familiar"]), data, out)
    # What a kept network learned from is not known film by film; the training split is left out.
    known = [row for row in rows if row.split == "train"] if network else learned.training
    films = held_out(rows, known, int(raw["most"]))
    seen = see(cascade, [data / row.path for row in films], out)
    opened = score(films, seen, data, [Gate(learned.network, _OPEN)] * len(films))
    limits = rule.choose_limits([f for f in opened if f.row.split == "val"], data)
    cascade.gate = Gate(_halved(learned.network), limits)
    accepted = score(films, seen, data, [cascade.gate] * len(films))
    laterals = _laterals(learned, cascade, limits, data, out)
    rule.check_floors(accepted, laterals)
    digest = registry.save_weights(learned.network.state_dict(), into / _FILE)
    listed = registry.read_manifest(into)
    entry = registry.GateEntry(
        file=_FILE,
        sha256=digest,
        card=_CARD,
        licence=_licence(learned.training),
        limits=limits,
        fitted_to={name: listed.identity.digests[name] for name in ("lungs", "pneumonia")},
    )
    (into / _CARD).write_text("being written\n", encoding="utf-8")
    registry.write_manifest(listed.model_copy(update={"gate": entry}), into)
    registry.identity(into)
    tested = [row for row in films if row.split == "test"]
    results = "\n".join(
        (
            rule.table(accepted, laterals),
            rule.changed(tested, data, cascade.gate),
            _dicom(data / "dicom", cascade),
        )
    )
    if network:
        results = results.replace(rule.LATERALS, "lateral, which the network may have learned from")
    made = (
        f"Network kept, SHA-256 `{registry.sha256_of(network)}`: it may know films below"
        if network
        else _made(raw)
    )
    _write_card(into, learned, made, raw, results, kept=network is not None)
    return results


def _halved(network: GateNet) -> GateNet:
    """The network as the node will load it: its weights rounded to half precision."""
    rounded = {
        name: value.half().float() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    shipped = GateNet()
    shipped.load_state_dict(rounded)
    return shipped


def _familiar(rows: list[Row], sources: list[str]) -> list[Row]:
    known = [row for row in rows if row.split == "train" and not row.mask and not is_lateral(row)]
    return [r for name in sources for r in spread([k for k in known if k.source == name], _CENTRE)]


def _centre(learned: Learned, cascade: Cascade, rows: list[Row], data: Path, out: Path) -> None:
    """Give every network the centre and scale of the familiar films."""
    seen = see(cascade, [data / row.path for row in rows], out)
    centre, scale = fit_distance(torch.stack([torch.from_numpy(one.features) for one in seen]))
    for network in (learned.network, *learned.without.values()):
        network.centre, network.scale = centre, scale


def _laterals(
    learned: Learned, cascade: Cascade, limits: GateLimits, data: Path, out: Path
) -> list[rule.Scored]:
    rows = [row for row in learned.training if row.path in learned.without]
    gates = [Gate(learned.without[row.path], limits) for row in rows]
    return score(rows, see(cascade, [data / row.path for row in rows], out), data, gates)


def _dicom(folder: Path, cascade: Cascade) -> str:
    """Show the answers to header and pixels of whole DICOM files, if the folder has any."""
    if not (folder / manifest.NAME).exists():
        return ""
    lines = ["| DICOM file | expected | header | pixels |", "|---|---|---|---|"]
    with (folder / manifest.NAME).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            header, picture = _answers(folder / row["path"], cascade)
            lines.append(f"| {row['shows']} | {row['expected']} | {header} | {picture} |")
    return "\n".join(lines) + "\n"


def _answers(path: Path, cascade: Cascade) -> tuple[str, str]:
    """The answers to the header and to the pixels, each as if the other had passed."""
    config = GateConfig()
    try:
        source = pixels.read_dataset(path)
        said = select_images.select(source, SelectConfig()) or rules.examine_header(source, config)
        header = said.code.value if said else "passes"
        image = pixels.to_image(source)
    except Refused as error:
        return RefusalCode(error.code).value, "-"
    assert cascade.gate is not None  # noqa: S101 - the caller's
    look = cascade.gate.look(image.pixels)
    if refusal := rules.examine_look(image, look, config):
        return header, refusal.code.value
    righted = rules.correct_polarity(image, look, config)
    refusal = rules.examine_reading(cascade.read(righted.pixels), look.limits)
    turned_over = ", polarity corrected" if righted is not image else ""
    return header, (refusal.code.value if refusal else "accepted") + turned_over


def _licence(rows: list[Row]) -> str:
    return (
        "Apache-2.0 for the code; the weights are for research only, being learned from films "
        f"under {'; '.join(sorted({row.licence for row in rows}))}"
    )


def _made(raw: dict[str, Any]) -> str:
    steps = [
        " and ".join(str(p["steps"]) for p in raw[name]["phases"]) for name in ("base", "laterals")
    ]
    return f"Made by `{_COMMAND}`: {steps[0]} batches without laterals, then {steps[1]} with them"


def _write_card(
    into: Path, learned: Learned, made: str, raw: dict[str, Any], results: str, *, kept: bool
) -> None:
    listed = registry.read_manifest(into)
    assert listed.gate is not None  # noqa: S101 - the caller's
    counts = Counter("lateral" if is_lateral(row) else row.source for row in learned.training)
    other = f", by a network that learned from other patients ({raw['folds']} folds)"
    folds = "" if kept else other
    fitted = ", ".join(f"{name} `{digest[:12]}`" for name, digest in listed.gate.fitted_to.items())
    facts = cards.Facts(
        version=listed.version,
        history=f"{made}. The distance is fitted to {fitted}.",
        digest=listed.gate.sha256,
        operating="\n".join(
            f"- {k}: {v}" for k, v in listed.model_dump()["gate"]["limits"].items()
        ),
        evaluation=f"At most {raw['most']} films of each source and split that nothing was learned "
        f"from; val chose the limits. Every lateral film{folds}. Where there is a folder of DICOM "
        "files, those.",
        training=", ".join(f"{name} {count}" for name, count in sorted(counts.items())),
        results=results,
        command=_COMMAND,
        licence=listed.gate.licence,
        writer="gate",
    )
    (into / _CARD).write_text(cards.card(_WORDS, facts), encoding="utf-8")
