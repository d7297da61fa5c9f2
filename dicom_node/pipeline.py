"""The whole middle as one function: a film in, a coded no or a reading with objects out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from dicom_node import check_objects, compose, pixels, select_images
from dicom_node.domain import FilmOutcome, Image, Refusal, RefusalCode, Result
from dicom_node.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from dicom_node.config import Config
    from dicom_node.ports import Clock, Reader
    from models.reading import Reading, StageResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """select -> pixels -> infer -> explain -> compose, for one film at a time."""

    config: Config
    reader: Reader
    clock: Clock

    def read(self, path: Path, out: Path, *, force_stage3: bool = False) -> FilmOutcome:
        """Read the film at ``path`` and write its results below ``out``.

        Parameters
        ----------
        path
            A DICOM file, as received.
        out
            Folder for the composed objects; each ``Result.path`` is relative to it.
        force_stage3
            Run stage 3 below stage 2's threshold too.

        Returns
        -------
        FilmOutcome
            With a refusal, or with a reading and its results; never both.
        """
        sop_instance_uid = ""
        try:
            source = pixels.read_dataset(path)
            sop_instance_uid = str(source.get("SOPInstanceUID", ""))
            if refusal := select_images.select(source, self.config.select):
                return _refused(sop_instance_uid, refusal)
            started = perf_counter()
            image = pixels.to_image(source)
            decode_seconds = perf_counter() - started
        except Refused as error:
            return _refused(
                sop_instance_uid, Refusal(code=RefusalCode(error.code), reason=error.reason)
            )
        reading = self.reader.read(image, force_stage3=force_stage3)
        started = perf_counter()
        results = self._compose(source, image, reading, out)
        faults = check_objects.check_files([out / result.path for result in results], source)
        seconds = {"decode": decode_seconds, **reading.seconds, "compose": perf_counter() - started}
        return FilmOutcome(
            sop_instance_uid=sop_instance_uid,
            refusal=None,
            reading=summary(reading, seconds) | {"config_digest": self.config.digest},
            results=results,
            faults=tuple(faults),
        )

    def _compose(
        self, source: Dataset, image: Image, reading: Reading, out: Path
    ) -> tuple[Result, ...]:
        context = compose.Context(
            report=self.config.report,
            results=self.config.results,
            config_digest=self.config.digest,
            ae_title=self.config.node.ae_title,
            at=self.clock().astimezone(),
        )
        return tuple(_write(ds, out) for ds in compose.compose(source, image, reading, context))


def summary(reading: Reading, seconds: dict[str, float]) -> dict[str, object]:
    """The JSON-ready gist of a reading: what `read --json`, `show` and the audit log hold."""
    return {
        "lungs": {"area_fraction": round(reading.lungs.area_fraction, 4)},
        "pneumonia": _stage(reading.pneumonia),
        "covid19": _stage(reading.covid19) if reading.covid19 else None,
        "model": {"version": reading.model.version, **reading.model.digests},
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
    }


def entry(path: Path, outcome: FilmOutcome) -> dict[str, object]:
    """One film of `read --json`."""
    reading = outcome.reading or dict.fromkeys(
        ("lungs", "pneumonia", "covid19", "model", "seconds")
    )
    refusal = outcome.refusal
    return {
        "path": str(path),
        "sop_instance_uid": outcome.sop_instance_uid,
        "accepted": refusal is None,
        "refusal": {"code": refusal.code.value, "reason": refusal.reason} if refusal else None,
        "lungs": reading["lungs"],
        "pneumonia": reading["pneumonia"],
        "covid19": reading["covid19"],
        "objects": _objects(outcome.results),
        "faults": [asdict(fault) for fault in outcome.faults],
        "model": reading["model"],
        "seconds": reading["seconds"],
    }


def _objects(results: Sequence[Result]) -> list[dict[str, str]]:
    return [
        {
            "path": str(result.path),
            "sop_class_uid": result.sop_class_uid,
            "modality": result.modality,
            "series_description": result.series_description,
        }
        for result in results
    ]


def _refused(sop_instance_uid: str, refusal: Refusal) -> FilmOutcome:
    return FilmOutcome(sop_instance_uid=sop_instance_uid, refusal=refusal, reading=None)


def _stage(result: StageResult) -> dict[str, object]:
    return {
        "probability": round(result.probability, 6),
        "threshold": result.threshold,
        "positive": result.positive,
    }


def _write(ds: Dataset, out: Path) -> Result:
    relative = Path(f"{ds.SOPInstanceUID}.dcm")
    compose.write(ds, out / relative)
    return Result(
        sop_instance_uid=str(ds.SOPInstanceUID),
        sop_class_uid=str(ds.SOPClassUID),
        series_instance_uid=str(ds.SeriesInstanceUID),
        modality=str(ds.Modality),
        series_description=str(ds.SeriesDescription),
        path=relative,
    )
