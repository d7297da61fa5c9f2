"""What an object the node makes inherits from its film, and how it points back.

Patient and study are the film's, word for word: an archive that sees a difference coerces or
quarantines. Equipment is the node's own. Reading is lenient, writing strict: what the film
lacks becomes empty where the standard allows, what it garbled is replaced by U+FFFD or left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian

import dicom_node
from dicom_node.compose import codes, inherited
from dicom_node.compose.sanitize import clean
from dicom_node.config import ReportConfig, ResultsConfig
from dicom_node.dicom import uids
from dicom_node.domain.values import Result
from models.reading import ModelIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a film's objects depend on beside the film and the reading."""

    report: ReportConfig
    results: ResultsConfig
    config_digest: str
    ae_title: str
    at: datetime  # when the film was read, aware; the objects carry its wall-clock time
    revision: int = 1  # of the study
    predecessors: tuple[Result, ...] = ()  # reports of the study's earlier revisions


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One series the node makes: the same number and words in every study."""

    name: str
    sop_class_uid: UID
    modality: str
    series_number: int
    series_description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A film and everything its objects descend from."""

    source: Dataset
    model: ModelIdentity
    context: Context

    @property
    def root(self) -> uids.Root:
        """What the objects' UIDs hang on."""
        return uids.Root(
            source_sop_instance_uid=str(self.source.SOPInstanceUID),
            model_digest=self.model.digest,
            config_digest=self.context.config_digest,
            revision=self.context.revision,
        )

    @property
    def device_uid(self) -> str:
        """The node with these networks."""
        results = self.context.results
        return uids.device(results.manufacturer, results.station_serial_number, self.model.digest)

    @property
    def at(self) -> datetime:
        """When the film was read, in the time zone the film's header speaks."""
        offset = clean(self.source, ["TimezoneOffsetFromUTC"]).get("TimezoneOffsetFromUTC")
        if not offset:
            return self.context.at
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        sign = -1 if offset[0] == "-" else 1
        return self.context.at.astimezone(timezone(timedelta(minutes=sign * minutes)))

    def derive(self, kind: Kind, name: str, instance_number: int) -> Dataset:
        """A new object without content: patient, study, series, equipment and SOP common."""
        ds = clean(self.source, [*inherited.PATIENT, *inherited.STUDY, *inherited.SITE])
        for keyword in inherited.TYPE_2:
            if keyword not in ds:
                setattr(ds, keyword, None)
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SOPClassUID, ds.SOPInstanceUID = kind.sop_class_uid, self.root.uid(name)
        ds.SeriesInstanceUID = self.root.uid(f"{kind.name}-series")
        ds.Modality, ds.SeriesNumber = kind.modality, kind.series_number
        ds.SeriesDescription, ds.InstanceNumber = kind.series_description, instance_number
        ds.ContentQualification = "RESEARCH"
        self._date(ds)
        self._sign(ds)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.ImplementationClassUID = UID(dicom_node.IMPLEMENTATION_CLASS_UID)
        ds.file_meta.ImplementationVersionName = dicom_node.IMPLEMENTATION_VERSION_NAME
        return ds

    def _date(self, ds: Dataset) -> None:
        date, time = f"{self.at:%Y%m%d}", f"{self.at:%H%M%S}"
        ds.InstanceCreationDate = ds.SeriesDate = ds.ContentDate = date
        ds.InstanceCreationTime = ds.SeriesTime = ds.ContentTime = time

    def _sign(self, ds: Dataset) -> None:
        """General Equipment, C.7.5.1, and Contributing Equipment: by whom, from whose film."""
        ds.Manufacturer = self.context.results.manufacturer
        ds.ManufacturerModelName = dicom_node.MODEL_NAME
        ds.DeviceSerialNumber = self.context.results.station_serial_number
        ds.SoftwareVersions = [dicom_node.__version__, f"model {self.model.version}"]
        ds.DeviceUID = ds.InstanceCreatorUID = self.device_uid
        node = Dataset()
        for keyword in inherited.EQUIPMENT:
            if keyword in ds:
                node[keyword] = ds[keyword]
        node.PurposeOfReferenceCodeSequence = Sequence([item(codes.PROCESSING_EQUIPMENT)])
        node.ContributionDescription = "Read the film and made this object"
        modality = clean(self.source, inherited.EQUIPMENT)
        modality.PurposeOfReferenceCodeSequence = Sequence([item(codes.ACQUISITION_EQUIPMENT)])
        known = [modality] if modality.get("Manufacturer") else []
        ds.ContributingEquipmentSequence = Sequence([*known, node])


def item(code: Code) -> Dataset:
    """A code sequence item."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator = code.value, code.scheme_designator
    ds.CodeMeaning = code.meaning
    return ds


def reference(ds: Dataset) -> Dataset:
    """A Referenced SOP item."""
    ref = Dataset()
    ref.ReferencedSOPClassUID, ref.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    return ref
