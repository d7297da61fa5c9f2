"""The parts that every report shares (PS3.16 TID 1500): observer, procedure, image library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import highdicom as hd
from pydicom.dataset import Dataset

import dicom_node
from dicom_node.compose import codes
from dicom_node.compose.lineage import Lineage
from dicom_node.compose.sanitize import clean
from dicom_node.dicom.header import number, text
from dicom_node.explain.phrases import WORDS

if TYPE_CHECKING:
    from dicom_node.explain import Region

Group: TypeAlias = (
    hd.sr.MeasurementsAndQualitativeEvaluations
    | hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations
)

_ACQUISITION = hd.sr.RelationshipTypeValues.HAS_ACQ_CONTEXT


def root(lineage: Lineage, groups: Iterable[Group], summary: str) -> Dataset:
    """Build the root container of a report: a summary in sentences, then these groups.

    TID 1500 is extensible and has no row for the summary. Content is separate in every container,
    because DCMTK leaves out the names of measurements in continuous text.
    """
    container = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer(lineage)),
        procedure_reported=codes.PROCEDURE,
        imaging_measurements=list(groups),
        title=codes.REPORT,
    )[0]
    said = hd.sr.TextContentItem(codes.NARRATIVE, summary, hd.sr.RelationshipTypeValues.CONTAINS)
    children = container.ContentSequence
    children.insert(len(children) - 1, said)
    children.insert(len(children) - 1, _library(lineage.source))
    _separate(container)
    return container


def _separate(item: Dataset) -> None:
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for child in item.get("ContentSequence", ()):
        _separate(child)


def tracking(lineage: Lineage, key: str, name: str) -> hd.sr.TrackingIdentifier:
    """Build the tracking identifiers of a group; OHIF crashes on a group without a UID.

    The UID is derived from ``key``; ``name`` is what the reader sees.
    """
    return hd.sr.TrackingIdentifier(uid=lineage.root.uid(f"tracking {key}"), identifier=name)


def region_name(finding: str, number: int, region: Region) -> str:
    """Name a region by its finding, number and place."""
    return f"{finding} region {number}: {getattr(WORDS['en'], region.place.name).lower()}"


def region_source(lineage: Lineage) -> hd.sr.SourceImageForRegion:
    """Reference the film that coordinates refer to."""
    source = lineage.source
    return hd.sr.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID)


def size_of(source: Dataset) -> tuple[int, int]:
    """Return rows and columns, 0 for what the header does not say."""
    return int(number(source, "Rows", 0)), int(number(source, "Columns", 0))


def comment(group: Group, text: str) -> None:
    """Add a comment to a group."""
    contains = hd.sr.RelationshipTypeValues.CONTAINS
    group[0].ContentSequence.append(hd.sr.TextContentItem(codes.COMMENT, text, contains))


def observer(lineage: Lineage) -> hd.sr.ObserverContext:
    """Build the observer context (TID 1001, 1004): a device, not a person."""
    context = lineage.context
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=lineage.device_uid,
        name=context.ae_title,
        manufacturer_name=context.results.manufacturer,
        model_name=dicom_node.MODEL_NAME,
        serial_number=context.results.station_serial_number,
        physical_location=context.ae_title,
    )
    return hd.sr.ObserverContext(hd.sr.CodedConcept.from_code(codes.DEVICE), device)


def _library(source: Dataset) -> hd.sr.ContainerContentItem:
    """Build the image library (TID 1600); highdicom's fails without orientation or spacing."""
    contains = hd.sr.RelationshipTypeValues.CONTAINS
    image = hd.sr.ImageContentItem(
        codes.SOURCE, source.SOPClassUID, source.SOPInstanceUID, relationship_type=contains
    )
    image.ContentSequence = hd.sr.ContentSequence(list(_descriptors(source)))
    group = hd.sr.ContainerContentItem(codes.IMAGE_LIBRARY_GROUP, relationship_type=contains)
    group.ContentSequence = hd.sr.ContentSequence([image])
    library = hd.sr.ContainerContentItem(codes.IMAGE_LIBRARY, relationship_type=contains)
    library.ContentSequence = hd.sr.ContentSequence([group])
    return library


def _descriptors(source: Dataset) -> Iterator[hd.sr.ContentItem]:
    """Describe the film (TID 1602, 1603) with the attributes its header has."""
    modality = codes.MODALITIES.get(text(source, "Modality"), codes.OTHER_MODALITY)
    yield hd.sr.CodeContentItem(codes.MODALITY, modality, _ACQUISITION)
    for name, pixels in zip((codes.ROWS, codes.COLUMNS), size_of(source), strict=True):
        yield hd.sr.NumContentItem(name, pixels, codes.PIXELS, None, _ACQUISITION)
    known = clean(source, ["PatientOrientation", "ImagerPixelSpacing", "PixelSpacing"])
    if len(orientation := known.get("PatientOrientation") or ()) == 2:
        names = (codes.ORIENTATION_ROW, codes.ORIENTATION_COLUMN)
        for name, value in zip(names, orientation, strict=True):
            yield hd.sr.TextContentItem(name, value, _ACQUISITION)
    spacing = known.get("ImagerPixelSpacing") or known.get("PixelSpacing")
    if spacing:
        names = (codes.VERTICAL_SPACING, codes.HORIZONTAL_SPACING)  # row spacing comes first
        for name, value in zip(names, spacing, strict=True):
            yield hd.sr.NumContentItem(name, float(value), codes.MILLIMETER, None, _ACQUISITION)
