"""One good object of each kind beside picture and report, made with highdicom from a film.

In the plainest form that the standard and real viewers take, whatever the configuration says.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from io import BytesIO
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage, generate_uid
from support import readings
from support.film import code
from support.objects import composed, context

from dicom_node import compose
from dicom_node.compose import codes
from dicom_node.compose.lineage import Kind, Lineage
from dicom_node.domain.values import Refusal, RefusalCode

SIGNED: dict[str, Any] = {
    "manufacturer": "Phantom",
    "manufacturer_model_name": "siblings",
    "software_versions": "1",
    "device_serial_number": "0",
}


def whole_set(source: Dataset) -> dict[str, Dataset]:
    """Kind -> object: what one film may yield at most, every report's class among it."""
    images = {
        "picture": _picture(source),
        "segmentation": _segmentation(source),
        "presentation": _presentation(source),
        "parametric": _parametric(source),
    }
    report = composed(source)[-1]
    _evidence(report, [source])
    return {
        **images,
        "report": report,
        "refusal": _refusal(source),
        "basic-text": _basic_text(source),
        "key-objects": _key_objects([source, *images.values(), report]),
    }


def _picture(source: Dataset) -> Dataset:
    return composed(source, readings.negative(readings.frame(source.Rows, source.Columns)))[0]


def _ours(ds: Dataset, source: Dataset, **elements: object) -> Dataset:
    """What `Lineage.derive` gives every object of the node, over what highdicom gave it."""
    kind = Kind(
        name="sibling",
        sop_class_uid=ds.SOPClassUID,
        modality=ds.Modality,
        series_number=int(ds.SeriesNumber),
        series_description=ds.get("SeriesDescription", "AI"),
    )
    derived = Lineage(source=source, model=readings.MODEL, context=context()).derive(kind, "", 1)
    for element in derived:
        if element.keyword not in ("SOPInstanceUID", "SeriesInstanceUID"):
            ds.add(element)
    for keyword, value in {"BodyPartExamined": "CHEST", **elements}.items():
        setattr(ds, keyword, value)
    return ds


def _segmentation(source: Dataset) -> Dataset:
    lungs = hd.seg.SegmentDescription(
        1,
        "Lungs",
        Code("91723000", "SCT", "Anatomical Structure"),
        codes.LUNG,
        "AUTOMATIC",
        hd.AlgorithmIdentificationSequence("lungs", codes.AI, "1"),
    )
    mask = np.zeros((1, source.Rows, source.Columns, 1), np.uint8)
    mask[:, 40:99, 30:77] = 1
    ds = hd.seg.Segmentation(
        [source], mask, "BINARY", [lungs], generate_uid(), 9903, generate_uid(), 1,
        content_label="LUNGS", **SIGNED,
    )  # fmt: skip
    return _ours(ds, source, PatientOrientation=["L", "F"])


def _presentation(source: Dataset) -> Dataset:
    layer = hd.pr.GraphicLayer("AI", order=1)
    outline = hd.pr.GraphicObject(
        graphic_type="POLYLINE",
        graphic_data=np.array([[9.0, 9], [50, 9], [50, 50], [9, 9]]),
        units="PIXEL",
    )
    ds = hd.pr.GrayscaleSoftcopyPresentationState(
        [source], generate_uid(), 9905, generate_uid(), 1, content_label="AI",
        graphic_layers=[layer],
        graphic_annotations=[hd.pr.GraphicAnnotation([source], layer, graphic_objects=[outline])],
        voi_lut_transformations=[hd.pr.SoftcopyVOILUTTransformation(2048.0, 4096.0)],
        **SIGNED,
    )  # fmt: skip
    return _ours(ds, source)


def _parametric(source: Dataset) -> Dataset:
    placed = deepcopy(source)
    placed.FrameOfReferenceUID, placed.PositionReferenceIndicator = generate_uid(), ""
    placed.ImagePositionPatient, placed.SliceThickness = [0, 0, 0], 1
    placed.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    placed.PixelSpacing = [0.7, 0.7]
    heat = np.linspace(0, 1, source.Rows * source.Columns, dtype=np.float32)
    ds = hd.pm.ParametricMap(
        [placed], heat.reshape(1, source.Rows, source.Columns),
        generate_uid(), 9906, generate_uid(), 1, contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            hd.pm.RealWorldValueMapping(
                lut_label="HEAT", lut_explanation="heat", unit=Code("1", "UCUM", "no units"),
                value_range=(0.0, 1.0), slope=1.0, intercept=0.0,
                quantity_definition=Code("130402", "DCM", "Class activation"),
            )
        ],
        voi_lut_transformations=[hd.VOILUTTransformation(0.5, 1.0)], **SIGNED,
    )  # fmt: skip
    return _ours(ds, source)


def _key_objects(objects: Sequence[Dataset]) -> Dataset:
    title = Code("113000", "DCM", "Of Interest")
    selection = hd.ko.KeyObjectSelection(title, referenced_objects=objects)
    ds = hd.ko.KeyObjectSelectionDocument(
        list(objects), selection, generate_uid(), 9904, generate_uid(), 1, manufacturer="Phantom"
    )
    return _ours(ds, objects[0])


def _another_report(source: Dataset) -> Dataset:
    """A negative report under new UIDs, without highdicom's classes, which guard their items."""
    out = BytesIO()
    composed(source, readings.negative(readings.frame(source.Rows, source.Columns)))[-1].save_as(
        out, enforce_file_format=True
    )
    out.seek(0)
    ds: Dataset = dcmread(out)
    ds.SOPInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    return ds


def _refusal(source: Dataset) -> Dataset:
    refusal = Refusal(code=RefusalCode.VIEW, reason="a lateral view")
    report = compose.compose_refusal(source, refusal, readings.MODEL, context())[-1]
    _evidence(report, [source])
    return report


def _basic_text(source: Dataset) -> Dataset:
    """A title and a narrative, for viewers that only print text."""
    ds = _another_report(source)
    ds.SOPClassUID, ds.SeriesNumber = BasicTextSRStorage, 9907
    ds.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    ds.ConceptNameCodeSequence = Items([code("18748-4", "LN", "Diagnostic Imaging Report")])
    del ds.ContentTemplateSequence
    text = Dataset()
    text.RelationshipType, text.ValueType = "CONTAINS", "TEXT"
    text.ConceptNameCodeSequence = Items([code("111412", "DCM", "Narrative Summary")])
    text.TextValue = "Pneumonia probability 8 %. Not for diagnostic use."
    ds.ContentSequence = Items([ds.ContentSequence[0], text])
    _evidence(ds, [source])
    return ds


def _evidence(ds: Dataset, instances: Sequence[Dataset]) -> None:
    """Leave only these among a report's evidence."""
    kept = {instance.SOPInstanceUID for instance in instances}
    (study,) = ds.CurrentRequestedProcedureEvidenceSequence
    study.ReferencedSeriesSequence = Items(
        series
        for series in study.ReferencedSeriesSequence
        if series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in kept
    )


def _concept(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)
