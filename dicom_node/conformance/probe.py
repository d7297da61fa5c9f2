"""Create the objects that the statement describes, from synthetic films and readings.

The films, one of them with the required elements only, go through `dicom_node.compose` with every
setting that changes an object. No neural network, patient data or clock is involved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from dicom_node import compose
from dicom_node.compose import inherited
from dicom_node.compose.report import SOP_CLASSES
from dicom_node.config import Config, ResultsConfig
from dicom_node.domain.values import Image, Refusal, RefusalCode, Result
from models.reading import Frame, HeatCheck, Lungs, ModelIdentity, Reading, StageResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.reading import FloatMap

_SIDE = 640  # pixels of a synthetic film, above the smallest `results.picture_width`
_NETWORK_SIDE = 64  # pixels
_AT = datetime(2020, 1, 1, tzinfo=UTC)

#: Prefix of the coding schemes of the synthetic films.
PROBE_SCHEME = "99PROBE"

#: Elements that an object may copy from its film.
_INHERITABLE = tuple(
    dict.fromkeys(
        (
            *inherited.PATIENT,
            *inherited.STUDY,
            *inherited.SITE,
            *inherited.EQUIPMENT,
            "RequestAttributesSequence",
            "FrameOfReferenceUID",
            "PositionReferenceIndicator",
        )
    )
)
_ORDER = (
    "AccessionNumber",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
)
_SAMPLES: dict[str, Any] = {
    "AS": "05{}Y",
    "CS": "PROBE {}",
    "DA": "2020010{}",
    "DS": "{}",
    "IS": "{}",
    "PN": "Probe^{}",
    "TM": "01010{}",
    "UI": "2.25.{}",
    "US": 1,
}
#: One for each finding that a refusal may report.
_REFUSALS = (RefusalCode.VIEW, RefusalCode.POLARITY, RefusalCode.UNREADABLE, RefusalCode.AGE)
_TEXTS = frozenset({"AS", "DA", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UT"})


@dataclass(frozen=True, slots=True)
class Probe:
    """One film, and the objects composed from it with one configuration."""

    config: Config
    film: Dataset
    objects: tuple[Dataset, ...]
    texts: frozenset[str]  # every text value of the film


def probes(config: Config) -> list[Probe]:
    """Compose with this configuration first, then with every setting at least once.

    Every film is different, and one has the required elements only.
    """
    reports, encodings = (
        tuple(SOP_CLASSES),
        get_args(ResultsConfig.model_fields["encoding"].annotation),
    )
    settings = [
        config,
        *(
            _everything(report, encoding or encodings[0])
            for report, encoding in zip_longest(reports, encodings)
        ),
        _everything(reports[0], encodings[0], picture_width=512, manufacturer="Other", serial="S9"),
    ]
    films = [_probe(each, _full_film(number)) for number, each in enumerate(settings, 1)]
    bare = _probe(_everything(reports[0], encodings[0]), small_film(), positive=False)
    return [*films, bare]


def _everything(
    report: str,
    encoding: str,
    *,
    picture_width: int = 1920,
    manufacturer: str = "Maker",
    serial: str = "S1",
) -> Config:
    """Switch every object on, with this report class and these pictures."""
    switches = {
        name: True for name, field in ResultsConfig.model_fields.items() if field.annotation is bool
    }
    look = {"encoding": encoding, "picture_width": picture_width, "heatmaps": "all"}
    signed = {"manufacturer": manufacturer, "station_serial_number": serial}
    return Config.model_validate(
        {"report": {"sop_class": report}, "results": {**switches, **look, **signed}}
    )


def _probe(config: Config, film: Dataset, *, positive: bool = True) -> Probe:
    reading, context = _reading(film, positive=positive), _context(config, film.InstanceNumber)
    objects = compose.compose(film, _image(film, positive=positive), reading, context)
    for code in _REFUSALS:
        refusal = Refusal(code=code, reason="this is a probe")
        objects += compose.compose_refusal(film, refusal, reading.model, context)
    return Probe(config, film, tuple(objects), frozenset(_texts(film)))


def objects_of_film(config: Config, film: Dataset, at: datetime) -> list[Dataset]:
    """Compose what the node sends for a film with findings."""
    context = replace(_context(config, 1), at=at)
    return compose.compose(film, _image(film), _reading(film, positive=True), context)


def _context(config: Config, number: int) -> compose.Context:
    return compose.Context(
        report=config.report,
        results=config.results,
        config_digest=config.digest,
        ae_title=config.node.ae_title,
        at=_AT + timedelta(days=number),
        predecessors=tuple(_earlier(number)),
    )


def _image(film: Dataset, *, positive: bool = True) -> Image:
    ramp = np.linspace(0, 1, film.Columns, dtype=np.float32)
    notes = {"polarity": "corrected"} if positive else {}
    return Image(pixels=np.tile(ramp, (film.Rows, 1)), spacing_mm=None, notes=notes)


def _earlier(number: int) -> Iterator[Result]:
    """Yield the report of an earlier film of the study, for every second film."""
    if number % 2 == 0:
        yield Result(
            sop_instance_uid=f"2.25.7{number}",
            sop_class_uid=tuple(SOP_CLASSES.values())[number % len(SOP_CLASSES)],
            series_instance_uid=f"2.25.8{number}",
            modality="SR",
            series_description="",
            path=Path(),
        )


def _texts(ds: Dataset) -> Iterator[str]:
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item)
        elif element.VR in _TEXTS:
            yield str(element.value)


def small_film() -> Dataset:
    """Build a film with the required elements only."""
    film = Dataset()
    film.SOPClassUID = DigitalXRayImageStorageForPresentation
    film.SOPInstanceUID, film.StudyInstanceUID, film.SeriesInstanceUID = (
        "2.25.4",
        "2.25.5",
        "2.25.6",
    )
    film.Modality, film.InstanceNumber, film.PhotometricInterpretation = "DX", 70, "MONOCHROME2"
    film.Rows, film.Columns, film.SamplesPerPixel = _SIDE, _SIDE, 1
    film.BitsAllocated = film.BitsStored = 16
    film.HighBit, film.PixelRepresentation = 15, 0
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return film


def _full_film(number: int) -> Dataset:
    """Build a film with every element that may be copied; ``number`` is in the values."""
    film = small_film()
    for keyword in _INHERITABLE:
        setattr(film, keyword, _sample(keyword, number))
    film.StudyInstanceUID, film.SOPInstanceUID = f"2.25.{number}1", f"2.25.{number}2"
    film.SeriesInstanceUID, film.InstanceNumber = f"2.25.{number}3", 70 + number
    film.TimezoneOffsetFromUTC, film.ViewPosition = f"+0{number}00", "PA"
    film.PatientSex, film.ImageLaterality = "MFO"[number % 3], "LRU"[number % 3]
    film.ImagerPixelSpacing = [0.1 * number, 0.1 * number]
    if number != 3:
        film.PatientOrientation = ["L" if number % 2 else "R", "F"]
    if number != 1:
        film.PixelSpacing, film.PixelSpacingCalibrationType = [0.2 * number] * 2, f"PROBE {number}"
    if number % 2 == 0:
        film.SOPClassUID, film.Modality = ComputedRadiographyImageStorage, "CR"
        film.LossyImageCompression, film.LossyImageCompressionRatio = "01", 10 * number
        film.LossyImageCompressionMethod = f"PROBE {number}"
    return film


def _sample(keyword: str, number: int) -> object:
    vr = dictionary_VR(keyword)
    if vr == "SQ":
        return Sequence([_item(keyword, number)])
    pattern = _SAMPLES.get(vr, f"{keyword[:8]} {{}}")
    return pattern.format(number) if isinstance(pattern, str) else pattern


def _item(keyword: str, number: int) -> Dataset:
    item = Dataset()
    if keyword == "RequestAttributesSequence":
        for each in _ORDER:
            setattr(item, each, _sample(each, number))
        return item
    item.CodeValue, item.CodingSchemeDesignator = (
        f"{keyword[:8]} {number}",
        f"{PROBE_SCHEME}{number}",
    )
    item.CodeMeaning = f"{keyword} {number}"
    return item


def _reading(film: Dataset, *, positive: bool) -> Reading:
    """Build a reading: two lungs, heat in one of them; all stages ran, or only the first two."""
    rows, columns = np.mgrid[0:_NETWORK_SIDE, 0:_NETWORK_SIDE] / _NETWORK_SIDE
    lungs = (abs(columns - 0.5) > 0.1) & (abs(columns - 0.5) < 0.35) & (abs(rows - 0.5) < 0.35)
    heat: FloatMap = np.exp(-((columns - 0.3) ** 2 + (rows - 0.6) ** 2) / 0.01).astype(np.float32)
    decision = StageResult(probability=0.9 if positive else 0.1, threshold=0.5, logit=1.0)
    return Reading(
        frame=Frame(
            rows=film.Rows,
            columns=film.Columns,
            size=_NETWORK_SIDE,
            scale=_NETWORK_SIDE / _SIDE,
            top=0,
            left=0,
            height=_NETWORK_SIDE,
            width=_NETWORK_SIDE,
        ),
        lungs=Lungs(mask=lungs, aerated=lungs, area_fraction=0.4),
        pneumonia=decision,
        covid19=decision if positive else None,
        heat_check=HeatCheck(
            inside_lungs=0.1,
            drop=0.0 if positive else None,
            random_drop=0.0 if positive else None,
            reliable=False if positive else None,
        ),
        h2=heat,
        h3=heat if positive else None,
        guided=heat if positive else None,
        model=ModelIdentity(
            version=str(film.SOPInstanceUID), digests={"lungs": "0" * 64}, h2_variant="cam"
        ),
    )
