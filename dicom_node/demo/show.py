"""`dicom-node demo`: send public radiographs through a node and a small PACS on loopback."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from PIL import Image as PILImage
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage
from rich.console import Console
from rich.table import Table

from dicom_node.config import DicomDestination
from dicom_node.deliver.scu import StoreSender
from dicom_node.demo.pacs import DemoPacs
from dicom_node.demo.running import free_port, running_node
from dicom_node.domain.clock import utc_now
from dicom_node.errors import NodeError
from dicom_node.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_node.store.store import Store

# From the PyPI package pydicom-data: DICOM WG04's compression samples, real and public.
FILMS = {
    "RG1_UNCR.dcm": "adult chest PA, CR, uncompressed",
    "RG1_J2KR.dcm": "adult chest PA, CR, JPEG 2000 lossless",
    "RG3_UNCR.dcm": "an extremity, CR, uncompressed",
}
_AE_TITLE = "DICOM_NODE"


@dataclass(frozen=True, slots=True)
class _Demo:
    """Folder and ports of one demonstration."""

    out: Path
    node_port: int
    pacs_port: int
    models: Path | None  # None: the default

    @property
    def data_dir(self) -> Path:
        return self.out / "node"

    @property
    def config(self) -> Path:
        return self.out / "config.yaml"

    @property
    def node(self) -> DicomDestination:
        return DicomDestination(
            name="node", ae_title=_AE_TITLE, host="127.0.0.1", port=self.node_port
        )

    def write_config(self) -> None:
        """Write the node's configuration to a file that other commands can be given afterwards."""
        values = {
            "node": {
                "ae_title": _AE_TITLE,
                "host": "127.0.0.1",
                "port": self.node_port,
                "data_dir": str(self.data_dir),
            },
            "destinations": [
                {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": self.pacs_port}
            ],
            "models": {"dir": str(self.models.resolve()) if self.models else None},
            "log": {"level": "info"},
        }
        self.config.write_text(yaml.safe_dump(values, sort_keys=False))


def run_demo(out: Path, models: Path | None = None) -> int:
    """Run the node once on all films, write the results below ``out`` and return the exit status.

    ``models`` is the folder of the networks that read; None: the default.

    Raises
    ------
    NodeError
        The public radiographs are not installed, or the node does not start.
    """
    films = {name: _public_film(name) for name in FILMS}
    console = Console()
    console.print("[bold]Research software, not a medical device: NOT FOR DIAGNOSTIC USE.[/bold]")
    _clear(out)
    started = time.monotonic()
    with DemoPacs(out / "returned") as pacs:
        demo = _Demo(out, free_port(), pacs.port, models)
        demo.write_config()
        with (
            running_node(demo.config, out / "node.log") as node,
            console.status("starting the node") as status,
        ):
            sender = StoreSender("MODALITY", [demo.node], timeout_seconds=30.0)
            node.wait(lambda: sender.echo("node").ok, "the node does not answer C-ECHO")
            status.update(f"sending {len(films)} films and waiting for the results")
            list(sender.send("node", list(films.values())))
            store = open_store(demo.data_dir, utc_now)
            node.wait(lambda: _is_settled(store, len(films)), "the results did not arrive")
            shown = [_film_summary(store, name, path) for name, path in films.items()]
            store.close()
        returned = pacs.instances()
    summary = {
        "not_for_diagnostic_use": True,
        "seconds": round(time.monotonic() - started, 1),
        "films": shown,
        "returned": {uid: str(path) for uid, path in returned.items()},
        "overlays": [str(path) for path in _write_overlays(returned.values(), out / "overlays")],
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2, default=str) + "\n")
    _print(console, summary, out)
    return 0 if _is_as_expected(shown, returned) else 1


def _public_film(name: str) -> Path:
    from pydicom.data import get_testdata_file

    try:
        found = get_testdata_file(name, download=False)
    except ValueError:
        found = None
    if found is None:
        raise NodeError(f"{name} is missing; it is in pydicom-data: pip install 'dicom-node[demo]'")
    return Path(str(found))


def _clear(out: Path) -> None:
    """Remove the files of an earlier demonstration, and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    for folder in ("node", "returned", "overlays"):
        shutil.rmtree(out / folder, ignore_errors=True)
    for file in ("config.yaml", "summary.json", "node.log"):
        (out / file).unlink(missing_ok=True)


def _is_settled(store: Store, films: int) -> bool:
    """Whether every film was read or refused and every result was accepted."""
    studies = store.queries.studies(limit=films)
    decided = sum(study["read"] + study["refused"] for study in studies)
    done = all(set(study["deliveries"]) <= {"accepted", "committed"} for study in studies)
    return decided == films and done


def _film_summary(store: Store, name: str, path: Path) -> dict[str, Any]:
    """What the store knows of one film: refusal or reading, and its results."""
    source = dcmread(path, stop_before_pixels=True)
    detail = store.queries.study_detail(str(source.StudyInstanceUID)) or {}
    film = next(
        instance
        for instance in detail["instances"]
        if instance["sop_instance_uid"] == source.SOPInstanceUID
    )
    objects = [
        {
            "sop_instance_uid": result["sop_instance_uid"],
            "modality": result["modality"],
            "series_description": result["series_description"],
            "deliveries": {each["destination"]: each["status"] for each in result["deliveries"]},
        }
        for result in detail["results"]
        if result["source_sop_instance_uid"] == source.SOPInstanceUID
    ]
    refusal = film["refusal_code"] and {
        "code": film["refusal_code"],
        "reason": film["refusal_reason"],
    }
    return {
        "film": name,
        "shows": FILMS[name],
        "study_instance_uid": film["study_instance_uid"],
        "sop_instance_uid": film["sop_instance_uid"],
        "refusal": refusal,
        "reading": film["reading"] and film["reading"].as_json(),
        "objects": objects,
    }


def _write_overlays(returned: Iterable[Path], folder: Path) -> list[Path]:
    """Write a PNG of each returned picture, named after film, series and instance number."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in returned:
        ds = dcmread(path)
        if ds.SOPClassUID == SecondaryCaptureImageStorage:
            source = str(ds.SourceImageSequence[0].ReferencedSOPInstanceUID)
            png = folder / f"{source}_{ds.SeriesNumber}-{ds.InstanceNumber}.png"
            PILImage.fromarray(np.asarray(ds.pixel_array)).save(png)
            written.append(png)
    return sorted(written)


def _print(console: Console, summary: Mapping[str, Any], out: Path) -> None:
    table = Table("film", "what it is", "pneumonia", "COVID-19", "returned", header_style="bold")
    for film in summary["films"]:
        reading = film["reading"] or {}
        kinds = Counter(each["modality"] for each in film["objects"])
        returned = ", ".join(f"{count} {modality}" for modality, count in kinds.items())
        table.add_row(
            film["film"],
            film["shows"],
            f"refused: {film['refusal']['reason']}"
            if film["refusal"]
            else _stage(reading["pneumonia"]),
            _stage(reading.get("covid19")),
            returned or "nothing",
        )
    console.print(table)
    console.print(
        f"{len(summary['returned'])} objects returned in {summary['seconds']} s. "
        f"See {out}/overlays, {out}/returned and {out}/summary.json, "
        f"or run: dicom-node studies --config {out}/config.yaml"
    )


def _stage(stage: Mapping[str, Any] | None) -> str:
    if stage is None:
        return ""
    sign = ">=" if stage["positive"] else "<"
    return f"{stage['probability']:.2f} {sign} {stage['threshold']:.2f}"


def _is_as_expected(films: Sequence[Mapping[str, Any]], returned: Mapping[str, Path]) -> bool:
    """Whether chests were read, the extremity refused, and every object reached the PACS."""
    for film in films:
        if ("chest" in film["shows"]) is (film["refusal"] is not None):
            return False
        if not all(each["sop_instance_uid"] in returned for each in film["objects"]):
            return False
    return bool(returned)
