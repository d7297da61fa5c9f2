"""What every object copies from its film, and how it names the node as its equipment.

Patient and study are copied unchanged: an archive coerces or quarantines an object that differs.
The equipment is the node. Reading is lenient, writing strict: an attribute that the film does not
have becomes empty if the standard allows it, and an illegal value is repaired or left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
from dicom_node.domain.values import Edition, Identity, Result
from dicom_node.explain.message import Earlier
from models.reading import ModelIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a film's objects depend on besides the film and the reading."""

    report: ReportConfig
    results: ResultsConfig
    config_digest: str
    ae_title: str
    at: datetime  # when the film was read, aware; the objects carry its wall-clock time
    force_stage3: bool = False  # whether stage 3 ran below stage 2's threshold too
    revision: int = 1  # of the study
    predecessors: tuple[Result, ...] = ()  # earlier reports of the same film
    earlier: tuple[Earlier, ...] = ()  # of the same patient, for comparison
    normals_above: int | None = None  # of 100 normal films of the site
    edition: Edition = Edition()  # noqa: RUF009 - frozen
    contested: bool = False  # another object was received under the film's UID
    key: str = ""  # derives the UIDs in place of the film's SOP Instance UID
    secret: bytes = field(default=b"", repr=False)  # of the node

    @property
    def identity(self) -> Identity:
        """What the objects say of the patient."""
        return self.edition.identity

    @property
    def sr_class(self) -> str:
        """Which SOP class the Structured Report has, as a word of ``report.sop_class``."""
        return self.edition.sr_class or self.report.sop_class


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One series of results: the same number and description in every study."""

    name: str
    sop_class_uid: UID
    modality: str
    series_number: int
    series_description: str
    lists: bool = False  # lists the film's other results, and so differs between editions


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A film and everything else its objects are derived from."""

    source: Dataset
    model: ModelIdentity
    context: Context

    @property
    def root(self) -> uids.Root:
        """Return everything the objects' UIDs are derived from."""
        return uids.Root(
            source_sop_instance_uid=self.context.key or str(self.source.SOPInstanceUID),
            model_digest=self.model.digest,
            config_digest=self.context.config_digest,
            software_version=dicom_node.__version__,
            force_stage3=self.context.force_stage3,
            revision=self.context.revision,
            edition=self.context.identity.value,
            earlier=tuple(f"{each.date} {each.score}" for each in self.context.earlier),
            contested=self.context.contested,
            secret=self.context.secret,
        )

    @property
    def device_uid(self) -> str:
        """Return the UID of the node with these models."""
        results = self.context.results
        return uids.device(results.manufacturer, results.station_serial_number, self.model.digest)

    @property
    def at(self) -> datetime:
        """When the film was read, in the time zone of the film's header."""
        offset = clean(self.source, ["TimezoneOffsetFromUTC"]).get("TimezoneOffsetFromUTC")
        if not offset:
            return self.context.at
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        sign = -1 if offset[0] == "-" else 1
        return self.context.at.astimezone(timezone(timedelta(minutes=sign * minutes)))

    def derive(self, kind: Kind, name: str, instance_number: int) -> Dataset:
        """Start a new object: patient, study, series, equipment and SOP Common, without content."""
        ds = clean(self.source, [*inherited.PATIENT, *inherited.STUDY, *inherited.SITE])
        for keyword in inherited.TYPE_2:
            if keyword not in ds:
                setattr(ds, keyword, None)
        ds.SpecificCharacterSet = "ISO_IR 192"
        root = replace(self.root, edition=self.context.edition.name) if kind.lists else self.root
        ds.SOPClassUID, ds.SOPInstanceUID = kind.sop_class_uid, root.uid(name)
        ds.SeriesInstanceUID = root.uid(f"{kind.name}-series")
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
        """Write General Equipment (C.7.5.1) and Contributing Equipment: node and modality."""
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
    """Build a code sequence item."""
    ds = Dataset()
    ds.CodeValue, ds.CodingSchemeDesignator = code.value, code.scheme_designator
    ds.CodeMeaning = code.meaning
    return ds


def reference(ds: Dataset) -> Dataset:
    """Build an item that references an instance."""
    ref = Dataset()
    ref.ReferencedSOPClassUID, ref.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    return ref
