"""The objects of a reading: which there are, what they inherit, and their UIDs."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import JPEGBaseline8Bit
from support import readings
from support.film import Stored, code
from support.objects import composed, context, fixed_film, small_film, through_disk

from dicom_node import compose
from dicom_node.compose.sanitize import clean
from dicom_node.config import ReportConfig


def deficient(**elements: Any) -> Dataset:
    """A film with values pydicom itself would warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return small_film(**elements)


def quick(source: Dataset, what: compose.Context | None = None) -> list[Dataset]:
    """The objects of a negative film: a picture and a report."""
    return composed(source, readings.negative(readings.frame(source.Rows, source.Columns)), what)


def test_pictures_come_first_and_the_report_last_each_kind_in_a_series_of_its_own() -> None:
    """Summary, details and report of each film."""
    objects = composed(fixed_film())
    assert [ds.Modality for ds in objects] == ["OT"] * 3 + ["SR"]
    assert len({ds.SeriesInstanceUID for ds in objects}) == 3
    assert [ds.InstanceNumber for ds in objects] == [1, 1, 2, 1]
    assert {(ds.SeriesNumber, ds.SeriesDescription) for ds in objects} == {
        (9900, "AI: pneumonia above cut-off - NOT FOR DIAGNOSTIC USE"),
        (9902, "AI details - NOT FOR DIAGNOSTIC USE"),
        (9901, "AI report - NOT FOR DIAGNOSTIC USE"),
    }


def test_composing_twice_gives_the_same_uids() -> None:
    """A retry resends, it never duplicates."""
    first, second = composed(fixed_film()), composed(fixed_film())
    assert [ds.SOPInstanceUID for ds in first] == [ds.SOPInstanceUID for ds in second]
    assert len({ds.SOPInstanceUID for ds in first}) == len(first)


@pytest.mark.parametrize("changed", ["film", "config", "model"])
def test_another_film_configuration_or_model_gives_other_objects(changed: str) -> None:
    """Changed content never travels under a used UID."""
    source = fixed_film()
    reading = readings.positive(readings.frame(source.Rows, source.Columns))
    what = context()
    before = {ds.SOPInstanceUID for ds in composed(source, reading, what)}
    if changed == "film":
        source.SOPInstanceUID = "1.2.3"
    elif changed == "config":
        what = replace(what, config_digest="e" * 64)
    else:
        reading = replace(reading, model=replace(reading.model, version="0.2.0"))
    assert before.isdisjoint({ds.SOPInstanceUID for ds in composed(source, reading, what)})


def test_patient_and_study_are_inherited_word_for_word() -> None:
    """An archive that sees a difference coerces or quarantines."""
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID = "OLD-7", "Elsewhere"
    kept = {
        "IssuerOfPatientID": "Hospital",
        "PatientSize": "1.7",
        "PatientWeight": "70",
        "InstitutionName": "Spital Süd",
        "OtherPatientIDsSequence": Sequence([other]),
        "ProcedureCodeSequence": Sequence([code("399208008", "SCT", "Plain X-ray of chest")]),
    }
    source = fixed_film(**kept)
    for ds in quick(source):
        same = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge"]
        same += ["StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"]
        same += ["StudyDescription", "ReferringPhysicianName", *kept]
        for keyword in same:
            assert ds[keyword].value == source[keyword].value, keyword


def test_times_are_written_in_the_zone_the_film_speaks() -> None:
    """03:04:05 UTC is 08:34:05 where the header says +0530, and the next day may have come."""
    for ds in quick(fixed_film(TimezoneOffsetFromUTC="+0530")):
        assert (ds.ContentDate, ds.ContentTime) == ("20260102", "083405")
        assert ds.TimezoneOffsetFromUTC == "+0530"
    late = replace(context(), at=datetime(2026, 1, 2, 1, 0, tzinfo=UTC))
    ds = quick(fixed_film(TimezoneOffsetFromUTC="-0300"), late)[-1]
    assert (ds.ContentDate, ds.ContentTime) == ("20260101", "220000")


def test_the_node_signs_and_names_the_modality_it_worked_from() -> None:
    """Equipment is the node's; the film's stands among the contributors."""
    for ds in quick(fixed_film()):
        assert (ds.Manufacturer, ds.ManufacturerModelName) == ("dicom-node project", "dicom-node")
        assert ds.SoftwareVersions[1] == "model 0.1.0"
        acquired, processed = ds.ContributingEquipmentSequence
        assert acquired.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
        assert acquired.Manufacturer == "Phantom"
        assert processed.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"


def test_what_a_deficient_film_lacks_is_empty_not_missing() -> None:
    """Type 2 attributes are there in any case."""
    lost = "PatientID StudyDate StudyTime PatientSex PatientBirthDate AccessionNumber StudyID"
    lost += " ReferringPhysicianName Manufacturer BodyPartExamined ViewPosition PatientOrientation"
    source = small_film(
        PatientName="", without=[*lost.split(), "ImagerPixelSpacing", "PixelSpacing"]
    )
    for ds in quick(source):
        for keyword in lost.split()[:8]:
            assert keyword in ds
            assert not ds[keyword].value
        assert len(ds.ContributingEquipmentSequence) == 1
    picture = quick(source)[0]
    assert picture.BodyPartExamined == "CHEST"
    assert picture.PatientOrientation in (None, "")
    assert "PixelSpacing" not in picture


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientAge", "56"), ("StudyDate", "2026.01.02"), ("PatientSex", "U"), ("StudyTime", "9h")],
)
def test_an_illegal_value_is_left_out(keyword: str, value: str) -> None:
    """An archive refuses the whole object for one bad date."""
    for ds in quick(deficient(**{keyword: value})):
        assert not ds.get(keyword)


def test_a_name_in_another_character_set_leaves_as_unicode(tmp_path: Path) -> None:
    """ISO_IR 144 comes in, UTF-8 goes out, the same person."""
    source = small_film(PatientName="Иванова^Мария", SpecificCharacterSet="ISO_IR 144")
    for ds in through_disk(quick(through_disk([source], tmp_path)[0]), tmp_path / "out"):
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert str(ds.PatientName) == "Иванова^Мария"


def test_text_that_does_not_decode_is_replaced_where_a_person_sees_it(tmp_path: Path) -> None:
    """Declared UTF-8, but one byte is not: U+FFFD stands in its place."""
    source = small_film(PatientName="Muster^Anna", StudyDescription="Thorax")
    compose.write(source, tmp_path / "a.dcm")
    raw = (tmp_path / "a.dcm").read_bytes()
    broken = raw.replace(b"Muster^Anna", b"M\xfcster^Anna").replace(b"Thorax", b"Tho\x1bax")
    (tmp_path / "a.dcm").write_bytes(broken)
    for ds in quick(dcmread(tmp_path / "a.dcm")):
        assert "M\N{REPLACEMENT CHARACTER}ster" in str(ds.PatientName)
        assert ds.StudyDescription == "Tho\N{REPLACEMENT CHARACTER}ax"


def test_cleaning_keeps_private_elements_of_items_behind() -> None:
    """Their content is unknown."""
    entry = code("1", "99X", "x")
    entry.add_new(0x00090010, "LO", "SECRET")
    source = Dataset()
    source.ProcedureCodeSequence = Sequence([entry])
    (kept,) = clean(source, ["ProcedureCodeSequence"]).ProcedureCodeSequence
    assert 0x00090010 not in kept
    assert kept.CodeMeaning == "x"


def test_pixel_spacing_is_scaled_with_the_picture() -> None:
    """A millimetre stays a millimetre on the shrunk film."""
    source = small_film(rows=716, columns=512, spacing=(0.2, 0.2), kind="cr")
    reading = readings.positive(readings.frame(716, 512))
    for picture in composed(source, reading)[:2]:  # 512 pixels wide, its film 358 high
        assert [float(value) for value in picture.PixelSpacing] == [0.4, 0.4]
        assert picture.SourceImageSequence[0].SpatialLocationsPreserved == "NO"
        assert picture.DerivationCodeSequence[0].CodeValue == "113085"


def test_detector_spacing_is_not_passed_off_as_patient_spacing() -> None:
    """With Imager Pixel Spacing alone, only the nominal attribute is written."""
    picture = quick(small_film(rows=358, kind="dx", spacing=(0.7, 0.7)))[0]
    assert "PixelSpacing" not in picture
    assert [float(value) for value in picture.NominalScannedPixelSpacing] == [0.7, 0.7]


def test_a_frontal_film_without_orientation_hangs_as_frontal_films_do() -> None:
    """PA and AP are shown with the patient facing us."""
    picture = quick(small_film(without=["PatientOrientation"]))[0]
    assert list(picture.PatientOrientation) == ["L", "F"]


def test_once_lossy_always_lossy() -> None:
    """A picture of a JPEG film says so, even where the film's header forgot."""
    source = small_film(stored=Stored(bits=8), kind="sc", syntax=JPEGBaseline8Bit)
    assert quick(source)[0].LossyImageCompression == "01"
    del source.LossyImageCompression
    assert quick(source)[0].LossyImageCompression == "01"
    assert quick(small_film())[0].LossyImageCompression == "00"


def test_the_pixels_of_a_picture_come_back_as_drawn(tmp_path: Path) -> None:
    """RGB, eight bits, uncompressed."""
    picture = through_disk(quick(small_film(rows=301, columns=263))[:1], tmp_path)[0]
    assert picture.pixel_array.shape == (picture.Rows, picture.Columns, 3)
    assert np.ptp(picture.pixel_array) > 200


def test_the_report_names_film_and_pictures_as_evidence() -> None:
    """A reader of the report finds everything that belongs to it."""
    source = fixed_film()
    *pictures, report = composed(source)
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    named = {
        ref.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for ref in series.ReferencedSOPSequence
    }
    assert study.StudyInstanceUID == source.StudyInstanceUID
    assert named == {source.SOPInstanceUID, *(ds.SOPInstanceUID for ds in pictures)}


def test_the_report_answers_the_order() -> None:
    """Request attributes come over; without them the accession number does, or nothing."""
    order = Dataset()
    order.RequestedProcedureID, order.ScheduledProcedureStepID = "RP1", "S1"
    report = quick(fixed_film(RequestAttributesSequence=Sequence([order])))[-1]
    assert report.ReferencedRequestSequence[0].RequestedProcedureID == "RP1"
    assert quick(fixed_film())[-1].ReferencedRequestSequence[0].AccessionNumber == "A1"
    assert "ReferencedRequestSequence" not in quick(small_film(without=["AccessionNumber"]))[-1]


@pytest.mark.parametrize(
    ("sop_class", "uid"),
    [
        ("comprehensive_3d", "1.2.840.10008.5.1.4.1.1.88.34"),
        ("comprehensive", "1.2.840.10008.5.1.4.1.1.88.33"),
        ("enhanced", "1.2.840.10008.5.1.4.1.1.88.22"),
    ],
)
def test_the_configuration_chooses_the_reports_class(sop_class: str, uid: str) -> None:
    """The content is the same in each."""
    what = context(ReportConfig(sop_class=sop_class))  # type: ignore[arg-type]
    report = quick(fixed_film(), what)[-1]
    assert uid == report.SOPClassUID
    assert len(report.ContentSequence) == len(quick(fixed_film())[-1].ContentSequence)


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """No half-written object is ever under its final name, nor left beside it."""
    ds = quick(fixed_film())[-1]
    compose.write(ds, tmp_path / "deep" / "a.dcm")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.dcm"]
    with pytest.raises(OSError, match="Is a directory"):
        compose.write(ds, tmp_path / "deep")
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
