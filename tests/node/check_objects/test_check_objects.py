"""Objects are checked before they leave: good ones pass, each fault is found."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit, generate_uid
from support import iod_tables, readings
from support.every_object import whole_set
from support.film import Stored, code
from support.objects import composed, context, fixed_film, small_film, through_disk

from dicom_node.check_objects import check, check_files
from dicom_node.config import ReportConfig
from dicom_node.domain.values import CheckFailure

DISEASE = "233604007"
KINDS = (
    "picture", "segmentation", "presentation", "parametric",
    "report", "refusal", "basic-text", "key-objects",
)  # fmt: skip
IMAGES = ("picture", "segmentation", "parametric")


@pytest.fixture(scope="module")
def written() -> tuple[Dataset, dict[str, bytes]]:
    """The film, and the file of each kind of object."""
    source = fixed_film()
    files = {}
    for kind, ds in whole_set(source).items():
        out = BytesIO()
        ds.save_as(out, enforce_file_format=True)
        files[kind] = out.getvalue()
    return source, files


@pytest.fixture
def objects(written: tuple[Dataset, dict[str, bytes]]) -> dict[str, Dataset]:
    return {kind: dcmread(BytesIO(file)) for kind, file in written[1].items()}


@pytest.fixture
def source(written: tuple[Dataset, dict[str, bytes]]) -> Dataset:
    return written[0]


def test_a_good_set_of_every_kind_passes(objects: dict[str, Dataset], source: Dataset) -> None:
    """Nothing is held back for nothing."""
    assert tuple(objects) == KINDS
    assert check(list(objects.values()), source) == []


@pytest.mark.parametrize("reading", ["positive", "positive_without_covid", "negative"])
@pytest.mark.parametrize("sop_class", ["comprehensive_3d", "comprehensive", "enhanced"])
def test_what_the_node_composes_passes(tmp_path: Path, reading: str, sop_class: str) -> None:
    """Every reading, every class of report."""
    source = small_film()
    what = context(ReportConfig(sop_class=sop_class))  # type: ignore[arg-type]
    through_disk(
        composed(source, getattr(readings, reading)(readings.frame(320, 288)), what), tmp_path
    )
    assert check_files(sorted(tmp_path.iterdir()), source) == []


def test_a_deficient_film_s_objects_pass(tmp_path: Path) -> None:
    """What a film lacks, garbles or says at too great length is no reason to hold its results."""
    lost = "PatientID StudyDate StudyTime PatientSex PatientBirthDate AccessionNumber StudyID"
    order, other = Dataset(), Dataset()
    other.PatientID = "OLD-7"  # without its Type 1 companion
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        order.RequestedProcedureID = "longer than sixteen characters"
        order.RequestedProcedureCodeSequence = Sequence([Dataset()])
        source = small_film(
            PatientName="N" * 99,
            StudyInstanceUID="1.2.03.4",
            without=[*lost.split(), "PatientOrientation", "ImagerPixelSpacing", "PixelSpacing"],
            StudyDescription="D" * 99,
            IssuerOfPatientID="I" * 99,
            RequestAttributesSequence=Sequence([order]),
            OtherPatientIDsSequence=Sequence([other]),
        )
        through_disk(composed(source), tmp_path)
    assert check_files(sorted(tmp_path.iterdir()), source) == []


# -- faults ------------------------------------------------------------------------------------


def _set(keyword: str, value: object) -> Callable[[Dataset], None]:
    def act(ds: Dataset) -> None:
        mode = config.settings.reading_validation_mode
        config.settings.reading_validation_mode = config.IGNORE
        config.settings.writing_validation_mode = config.IGNORE
        try:
            setattr(ds, keyword, value)
        finally:
            config.settings.reading_validation_mode = mode
            config.settings.writing_validation_mode = None  # type: ignore[assignment]

    return act


def _drop(keyword: str) -> Callable[[Dataset], None]:
    def act(ds: Dataset) -> None:
        delattr(ds, keyword)

    return act


def _at(
    find: Callable[[Dataset], Dataset], act: Callable[[Dataset], None]
) -> Callable[[Dataset], None]:
    return lambda ds: act(find(ds))


def _items(ds: Dataset) -> Iterator[Dataset]:
    for item in ds.get("ContentSequence", []):
        yield item
        yield from _items(item)


def _first(value_type: str, concept: str = "") -> Callable[[Dataset], Dataset]:
    def find(ds: Dataset) -> Dataset:
        return next(
            item
            for item in _items(ds)
            if item.ValueType == value_type
            and concept in ("", item.ConceptNameCodeSequence[0].CodeValue)
        )

    return find


def _cut_pixels(ds: Dataset) -> None:
    keyword = "PixelData" if "PixelData" in ds else "FloatPixelData"
    ds[keyword].value = ds[keyword].value[:-8]


def _foreign_reference(ds: Dataset) -> None:
    """Point the first reference found, and its evidence, at an object that does not exist."""
    stranger = generate_uid()
    was = ""
    for item in _walk(ds):
        if "ReferencedSOPInstanceUID" in item and was in ("", item.ReferencedSOPInstanceUID):
            was = item.ReferencedSOPInstanceUID
            item.ReferencedSOPInstanceUID = stranger


def _walk(ds: Dataset) -> Iterator[Dataset]:
    yield ds
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from _walk(item)


def _wrong_class(ds: Dataset) -> None:
    for item in _walk(ds):
        if "ReferencedSOPClassUID" in item:
            item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


def _second_observer(ds: Dataset) -> None:
    ds.ContentSequence.insert(0, next(i for i in ds.ContentSequence if i.ValueType == "UIDREF"))


def _rename_group(ds: Dataset) -> None:
    _first("CONTAINER", "125007")(ds).ContentTemplateSequence[0].TemplateIdentifier = "1420"


EVERY: tuple[tuple[str, Callable[[Dataset], None], str], ...] = (
    ("file-meta", lambda ds: setattr(ds.file_meta, "MediaStorageSOPClassUID", "1"), "file-meta"),
    ("no-modality", _drop("Modality"), "attribute"),
    ("no-patient-id", _drop("PatientID"), "attribute"),
    ("other-patient", _set("PatientID", "ANOTHER"), "identity"),
    ("other-name", _set("PatientName", "Some^Body"), "identity"),
    ("other-study", _set("StudyInstanceUID", "1.2.3"), "identity"),
    ("other-accession", _set("AccessionNumber", "9"), "identity"),
    ("film-series", _set("SeriesInstanceUID", "1.2.826.0.1.1.1"), "identity"),
    ("charset", _set("SpecificCharacterSet", "ISO_IR 100"), "statement"),
    ("for-diagnosis", _set("ContentQualification", "PRODUCT"), "statement"),
    ("unqualified", _drop("ContentQualification"), "statement"),
    ("long-text", _set("SeriesDescription", "x" * 65), "value"),
    ("bad-date", _set("ContentDate", "2026-01-02"), "value"),
    ("bad-age", _set("PatientAge", "old"), "value"),
    ("no-series", _set("SeriesInstanceUID", ""), "attribute"),
    ("unknown-class", _set("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "attribute"),
)  # fmt: skip
REFERRING = ("picture", "segmentation", "presentation", "parametric", "report", "key-objects")
DOCUMENTS = ("report", "refusal", "basic-text", "key-objects")
MEASURED = ("report", "refusal")
FAULTS = (
    *((KINDS, *each) for each in EVERY),
    (("report",), "bad-uid", _set("SOPInstanceUID", "1.2.x"), "value"),
    (("report",), "empty-uid", _set("SOPInstanceUID", ""), "attribute"),
    (("report",), "film-instance", _set("SOPInstanceUID", "1.2.826.0.1.1.1.1"), "identity"),
    (REFERRING, "dangling", _foreign_reference, "reference"),
    (REFERRING, "wrong-class", _wrong_class, "reference"),
    (IMAGES, "short-pixels", _cut_pixels, "pixels"),
    (IMAGES, "wrong-rows", _set("Rows", 7), "pixels"),
    (("picture", "segmentation"), "no-rows", _drop("Rows"), "attribute"),
    (("picture",), "no-pixels", _drop("PixelData"), "pixels"),
    (("picture",), "no-planes", _drop("PlanarConfiguration"), "attribute"),
    (("picture",), "grey", _set("PhotometricInterpretation", "MONOCHROME2"), "pixels"),
    (("picture",), "no-conversion", _drop("ConversionType"), "attribute"),
    (("picture",), "clean", _set("BurnedInAnnotation", "NO"), "statement"),
    (("picture",), "unlisted", _drop("ReferencedSeriesSequence"), "reference"),
    (("picture",), "no-orientation", _drop("PatientOrientation"), "attribute"),
    (("segmentation",), "no-segments", _drop("SegmentSequence"), "attribute"),
    (("segmentation",), "frames", _set("NumberOfFrames", 2), "pixels"),
    (("segmentation",), "fractional", _set("SegmentationType", "FRACTIONAL"), "attribute"),
    (("segmentation",), "segment",
     lambda ds: delattr(ds.SegmentSequence[0], "SegmentLabel"), "attribute"),
    (("segmentation", "parametric"), "frame-content",
     lambda ds: delattr(ds.PerFrameFunctionalGroupsSequence[0], "FrameContentSequence"),
     "attribute"),
    (("parametric",), "label", _set("ContentLabel", ""), "attribute"),
    (("parametric",), "burned", _set("BurnedInAnnotation", "YES"), "statement"),
    (("parametric",), "frame-of-reference", _drop("FrameOfReferenceUID"), "attribute"),
    (("presentation",), "area", _drop("DisplayedAreaSelectionSequence"), "attribute"),
    (("presentation",), "layer", _drop("GraphicLayerSequence"), "attribute"),
    (("presentation",), "shape", _drop("PresentationLUTShape"), "attribute"),
    (("presentation",), "pixels", _set("PixelData", b"\0\0"), "pixels"),
    (DOCUMENTS, "empty", _set("ContentSequence", Sequence()), "content"),
    (DOCUMENTS, "title", _set("ConceptNameCodeSequence", Sequence([code("1", "DCM", "x")])),
     "content"),
    (("report", "refusal", "basic-text"), "verified", _set("VerificationFlag", "VERIFIED"),
     "statement"),
    (("report", "refusal", "basic-text"), "final", _set("PreliminaryFlag", "FINAL"), "statement"),
    (("report", "refusal", "basic-text"), "completion", _drop("CompletionFlag"), "attribute"),
    (("report", "refusal"), "template", _drop("ContentTemplateSequence"), "content"),
    (("key-objects",), "template", _drop("ContentTemplateSequence"), "content"),
    (("report", "key-objects"), "evidence", _drop("CurrentRequestedProcedureEvidenceSequence"),
     "reference"),
    (MEASURED, "observers", _second_observer, "content"),
    (MEASURED, "group", _rename_group, "content"),
    (MEASURED, "no-finding", _at(_first("CODE", "121071"), _drop("ConceptCodeSequence")),
     "content"),
    (MEASURED, "relationship",
     _at(_first("UIDREF", "112040"), _set("RelationshipType", "CONTAINS")), "content"),
    (MEASURED, "no-text", _at(_first("TEXT", "112039"), _drop("TextValue")), "content"),
    (MEASURED, "half-code",
     _at(_first("CODE", "121071"), lambda i: delattr(i.ConceptCodeSequence[0], "CodeMeaning")),
     "content"),
    (MEASURED, "no-name", _at(_first("TEXT", "112039"), _drop("ConceptNameCodeSequence")),
     "content"),
    (("basic-text",), "number", _at(_first("TEXT"), _set("ValueType", "NUM")), "content"),
    (("report",), "no-coordinates", _at(_first("NUM", "PNEUMONIA-PROB"), _drop("ContentSequence")),
     "content"),
    (("report",), "over-100",
     _at(_first("NUM", "PNEUMONIA-PROB"),
         lambda i: _set("NumericValue", "101")(i.MeasuredValueSequence[0])), "content"),
    (("report",), "no-unit",
     _at(_first("NUM", "PNEUMONIA-PROB"),
         lambda i: delattr(i.MeasuredValueSequence[0], "MeasurementUnitsCodeSequence")), "content"),
    (("report",), "outside", _at(_first("SCOORD"), _set("GraphicData", [0, 0, 9, 99999.0])),
     "content"),
    (("report",), "odd", _at(_first("SCOORD"), _set("GraphicData", [0.0, 0, 9])), "content"),
    (("report",), "no-source", _at(_first("SCOORD"), _drop("ContentSequence")), "content"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "act", "rule"),
    [pytest.param(kinds, act, rule, id=f"{kinds[0]}-{name}") for kinds, name, act, rule in FAULTS],
)
def test_a_sabotaged_object_is_caught(
    objects: dict[str, Dataset],
    source: Dataset,
    kinds: tuple[str, ...],
    act: Callable[[Dataset], None],
    rule: str,
) -> None:
    """In each kind of object; the fault names the object and the rule, and no patient."""
    for kind in kinds:
        act(objects[kind])
    faults = check(list(objects.values()), source)
    caught = {fault.sop_instance_uid for fault in faults if fault.rule == rule}
    assert [kind for kind in kinds if str(objects[kind].SOPInstanceUID) not in caught] == []
    for fault in faults:
        assert "PHANTOM-1" not in fault.message
        assert "ANOTHER" not in fault.message


def test_one_uid_for_two_objects_is_caught(objects: dict[str, Dataset], source: Dataset) -> None:
    """An archive would keep one of them."""
    first, second = objects["picture"], objects["segmentation"]
    second.SOPInstanceUID = first.SOPInstanceUID
    assert "unique" in {fault.rule for fault in check([first, second], source)}


def test_two_kinds_in_one_series_are_caught(objects: dict[str, Dataset], source: Dataset) -> None:
    """A series has one modality."""
    objects["segmentation"].SeriesInstanceUID = objects["picture"].SeriesInstanceUID
    assert "unique" in {fault.rule for fault in check(list(objects.values()), source)}


def test_a_missing_sibling_leaves_a_reference_dangling(
    objects: dict[str, Dataset], source: Dataset
) -> None:
    """Why one bad object holds the whole set: the others refer to it."""
    del objects["picture"]
    faults = check(list(objects.values()), source)
    assert {(fault.sop_instance_uid, fault.rule) for fault in faults} == {
        (str(objects["key-objects"].SOPInstanceUID), "reference")
    }


@pytest.mark.parametrize("frames", [1, 2])
def test_encapsulated_frames_are_counted(
    objects: dict[str, Dataset], source: Dataset, frames: int
) -> None:
    """Of compressed pixels the fragments are counted, not decoded."""
    picture = objects["picture"]
    jpeg = small_film(stored=Stored(bits=8), kind="sc", syntax=JPEGBaseline8Bit)
    picture.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    picture.PixelData = jpeg.PixelData
    picture["PixelData"].is_undefined_length = True
    if frames > 1:
        picture.NumberOfFrames = frames
    faults = check(list(objects.values()), source)
    assert bool(faults) == (frames > 1)


def test_bytes_that_are_no_utf8_are_caught(
    written: tuple[Dataset, dict[str, bytes]], tmp_path: Path
) -> None:
    """The file is read as the archive would read it, byte by byte."""
    source, files = written
    path = tmp_path / "a.dcm"
    path.write_bytes(files["picture"].replace(b"Phantom^Chest", b"Phant\xfcm^Chest"))
    assert ("value", "PatientName is not UTF-8") in {
        (f.rule, f.message) for f in check_files([path], source)
    }


def test_a_file_that_is_gone_or_no_dicom_is_a_fault(tmp_path: Path) -> None:
    """Not an error that would have the film read again."""
    (tmp_path / "2.25.8.dcm").write_bytes(b"nothing")
    faults = check_files([tmp_path / "2.25.7.dcm", tmp_path / "2.25.8.dcm"], fixed_film())
    assert [(fault.sop_instance_uid, fault.rule) for fault in faults] == [
        ("2.25.7", "file"), ("2.25.8", "file"),
    ]  # fmt: skip


def test_an_object_without_anything_is_faulty_not_an_error() -> None:
    """However odd an object is, the check ends."""
    faults = check([Dataset()], fixed_film())
    assert {type(fault) for fault in faults} == {CheckFailure}
    assert "attribute" in {fault.rule for fault in faults}


def test_the_table_is_what_the_standard_says() -> None:
    """`python tests/support/iod_tables.py` writes it again."""
    if not iod_tables.is_there():
        pytest.skip("this highdicom keeps its copy of the standard elsewhere")
    assert iod_tables.TARGET.read_text() == iod_tables.as_text(iod_tables.tables())


def test_checking_is_quick(written: tuple[Dataset, dict[str, bytes]], tmp_path: Path) -> None:
    """A film's objects take a small part of the time its reading took; pixels are not decoded."""
    source, files = written
    for kind, file in files.items():
        (tmp_path / f"{kind}.dcm").write_bytes(file)
    taken = []
    for _ in range(3):
        started = time.process_time()
        check_files(sorted(tmp_path.iterdir()), source)
        taken.append(time.process_time() - started)
    assert min(taken) < 0.5
