"""One film from file to results: a coded refusal, or a reading and the objects made of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_node import check_objects, compose, gate, pixels, select_images
from dicom_node.domain.spans import Spans
from dicom_node.domain.values import Edition, FilmOutcome, Image, Refusal, RefusalCode, Result
from dicom_node.errors import Refused
from dicom_node.explain.message import points
from dicom_node.fail_points import fail_point
from dicom_node.summary import summary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydicom import Dataset

    from dicom_node.config import Config
    from dicom_node.domain.values import CheckFailure, EarlierReading
    from dicom_node.ports import Clock, Reader
    from models.reading import Reading
    from models.thresholds import Thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """select -> pixels -> gate -> infer -> gate -> compose, for one film at a time."""

    config: Config
    reader: Reader
    clock: Clock
    secret: bytes = field(default=b"", repr=False)  # of the node: its UIDs are derived with it
    editions: tuple[Edition, ...] = (Edition(),)  # a set of objects for each

    def read(  # noqa: PLR0913 - what came before the film is five things
        self,
        path: Path,
        out: Path,
        *,
        force_stage3: bool = False,
        revision: int = 1,
        predecessors: tuple[Result, ...] = (),
        earlier: tuple[EarlierReading, ...] = (),
        contested: bool = False,
        key: str = "",
        sender: str = "",
    ) -> FilmOutcome:
        """Read the film at ``path`` and write its results to ``out``.

        Parameters
        ----------
        path
            A DICOM file, as received.
        out
            Folder for the composed objects; each ``Result.path`` is relative to it.
        force_stage3
            Run stage 3 below stage 2's threshold too.
        revision, predecessors, earlier
            Which reading of its study this is, its reports before, the patient's other readings.
        contested
            Whether another object was received under the film's SOP Instance UID.
        key
            What the UIDs of the results are derived from, if not the SOP Instance UID: two films
            under one UID need two.
        sender
            The calling AE title that sent it, for `thresholds.overrides`.

        Returns
        -------
        FilmOutcome
            A refusal or a reading. Both may have results: the report of a refusal says why.
        """
        try:
            source = pixels.read_dataset(path)
        except Refused as error:
            return FilmOutcome(sop_instance_uid="", refusal=_why(error), reading=None)
        context = self._context(
            force_stage3=force_stage3, revision=revision, predecessors=predecessors,
            contested=contested, key=key,
        )  # fmt: skip
        spans = Spans()
        with spans.step("decode"):
            image = self._select(source)
        fail_point("work.decoded")
        if isinstance(image, Refusal):
            return self._refuse(source, image, context, out)
        thresholds = self.thresholds(source, sender)
        read = self._read_through_gate(image, thresholds, spans, force_stage3=force_stage3)
        if isinstance(read, Refusal):
            return self._refuse(source, read, context, out)
        image, reading = read
        spans.seconds.update(reading.seconds)
        fail_point("work.read")
        if self.config.results.previous:
            context = replace(context, earlier=compose.earlier(source, earlier, reading.model))
        make = partial(compose.compose, image=image, reading=reading)
        results, faults = self._compose(source, context, make, out, spans)
        return FilmOutcome(
            sop_instance_uid=str(source.get("SOPInstanceUID", "")),
            refusal=None,
            reading=summary(reading, spans.seconds, image.notes, self.config.digest),
            film_date=compose.film_date(source),
            traits=gate.traits(source, self.clock().date()),
            results=results,
            faults=faults,
        )

    def score(self, path: Path, *, sender: str = "") -> FilmOutcome:
        """Read the film at ``path`` from ``sender`` as `read` does, but compose no results."""
        try:
            source = pixels.read_dataset(path)
        except Refused as error:
            return FilmOutcome(sop_instance_uid="", refusal=_why(error), reading=None)
        uid = str(source.get("SOPInstanceUID", ""))
        image = self._select(source)
        if isinstance(image, Refusal):
            return FilmOutcome(sop_instance_uid=uid, refusal=image, reading=None)
        read = self._read_through_gate(image, self.thresholds(source, sender), Spans())
        if isinstance(read, Refusal):
            return FilmOutcome(sop_instance_uid=uid, refusal=read, reading=None)
        image, reading = read
        return FilmOutcome(
            sop_instance_uid=uid,
            refusal=None,
            reading=summary(reading, reading.seconds, image.notes, self.config.digest),
            film_date=compose.film_date(source),
        )

    def _select(self, source: Dataset) -> Image | Refusal:
        """The film's image, or why its header or pixels cannot be read."""
        if refusal := select_images.select(source, self.config.select):
            return refusal
        if keyword := compose.missing_uid(source):
            return Refusal(code=RefusalCode.FILE, reason=f"{keyword} is missing or not a valid UID")
        if refusal := gate.examine_header(source, self.config.gate, self.clock().date()):
            return refusal
        try:
            return pixels.to_image(source)
        except Refused as error:
            return _why(error)

    def _read_through_gate(
        self, image: Image, thresholds: Thresholds, spans: Spans, *, force_stage3: bool = False
    ) -> tuple[Image, Reading] | Refusal:
        """Read the film, with wrong polarity corrected, or return the gate's refusal."""
        results = self.config.results
        read = partial(
            self.reader.read, thresholds=thresholds, force_stage3=force_stage3,
            guided=results.guided or results.parametric_maps,
        )  # fmt: skip
        if not self.config.gate.enabled:
            return image, read(image)
        with spans.step("gate"):
            look = self.reader.look(image)
        if refusal := gate.examine_look(image, look, self.config.gate):
            return refusal
        image = gate.correct_polarity(image, look, self.config.gate)
        reading = read(image)
        return gate.examine_reading(reading, look.limits) or (image, reading)

    def thresholds(self, source: Dataset, sender: str) -> Thresholds:
        """What its stages are compared with, see `config.ThresholdsConfig.of_film`."""
        modality, view = (str(source.get(key) or "") for key in ("Modality", "ViewPosition"))
        return self.config.thresholds.of_film(modality=modality, view=view, ae_title=sender)

    def _refuse(
        self, source: Dataset, refusal: Refusal, context: compose.Context, out: Path
    ) -> FilmOutcome:
        shown = None if refusal.code is RefusalCode.UNREADABLE else _shown(source)
        model = self.reader.identity
        make = partial(compose.compose_refusal, refusal=refusal, model=model, image=shown)
        results, faults = self._compose(source, context, make, out, Spans())
        return FilmOutcome(
            sop_instance_uid=str(source.get("SOPInstanceUID", "")),
            refusal=refusal, reading=None, results=results, faults=faults,
        )  # fmt: skip

    def _compose(
        self, source: Dataset, context: compose.Context, make: Callable[..., list[Dataset]],
        out: Path, spans: Spans,
    ) -> tuple[tuple[Result, ...], tuple[CheckFailure, ...]]:  # fmt: skip
        """Make, write and check a set of objects for each edition; some are in several."""
        results: dict[str, Result] = {}
        faults: list[CheckFailure] = []
        for edition in self.editions:
            header, seen = compose.restrict(source, replace(context, edition=edition))
            with spans.step("compose"):
                objects = make(header, context=seen)
            fail_point("work.composed")
            with spans.step("write"):
                written = [_write(ds, out, source) for ds in objects]
            with spans.step("check"):
                faults += check_objects.check_files([out / each.path for each in written], header)
            for each in written:
                known = results.setdefault(each.sop_instance_uid, replace(each, editions=()))
                editions = (*known.editions, edition.name)
                results[each.sop_instance_uid] = replace(known, editions=editions)
        return tuple(results.values()), tuple(dict.fromkeys(faults))

    def _context(self, **of_film: Any) -> compose.Context:
        return compose.Context(
            report=self.config.report,
            results=self.config.results,
            config_digest=self.config.digest,
            ae_title=self.config.node.ae_title,
            at=self.clock().astimezone(),
            normals_above=self.config.models.normals_above,
            secret=self.secret,
            **of_film,
        )


def entry(path: Path, outcome: FilmOutcome | str) -> dict[str, object]:
    """One film of `read --json`; ``outcome`` is a sentence if reading the file failed."""
    error = None
    if isinstance(outcome, str):
        error = outcome
        outcome = FilmOutcome(sop_instance_uid="", refusal=None, reading=None)
    reading = outcome.reading.as_json() if outcome.reading else {}
    refusal = outcome.refusal
    return {
        "path": str(path),
        "sop_instance_uid": outcome.sop_instance_uid,
        "accepted": refusal is None and error is None,
        "error": error,
        "refusal": {"code": refusal.code.value, "reason": refusal.reason} if refusal else None,
        "polarity": reading.get("polarity"),
        "notes": reading.get("notes"),
        "lungs": reading.get("lungs"),
        "pneumonia": _scored(reading.get("pneumonia")),
        "covid19": _scored(reading.get("covid19")),
        "explanation": reading.get("explanation"),
        "objects": _objects(outcome.results),
        "faults": [asdict(fault) for fault in outcome.faults],
        "model": reading.get("model"),
        "seconds": reading.get("seconds"),
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


def _shown(source: Dataset) -> Image | None:
    """Return the film's pixels for the picture of a refusal, None if they cannot be shown."""
    try:
        return pixels.to_image(source)
    except Refused:
        return None


def _why(error: Refused) -> Refusal:
    return Refusal(code=RefusalCode(error.code), reason=error.reason)


def _scored(stage: Any) -> dict[str, object] | None:
    """A stage for `read --json`, with the score that pictures and reports state."""
    return {**stage, "score": points(stage["probability"])} if stage else None


def _write(ds: Dataset, out: Path, source: Dataset) -> Result:
    relative = Path(f"{ds.SOPInstanceUID}.dcm")
    compose.write(ds, out / relative)
    fail_point("work.written")
    moved = str(ds.StudyInstanceUID) != str(source.StudyInstanceUID)
    return Result(
        sop_instance_uid=str(ds.SOPInstanceUID),
        sop_class_uid=str(ds.SOPClassUID),
        series_instance_uid=str(ds.SeriesInstanceUID),
        modality=str(ds.Modality),
        series_description=str(ds.SeriesDescription),
        path=relative,
        sent_study_instance_uid=str(ds.StudyInstanceUID) if moved else None,
    )
