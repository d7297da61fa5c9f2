"""Each object is written, read back and held against the standard's own tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as public
from pydicom.sr.coding import Code
from pydicom.uid import UID
from support import readings
from support.objects import composed, context, fixed_film, small_film, through_disk

from dicom_node import compose
from dicom_node.compose import codes
from dicom_node.config import ReportConfig
from dicom_node.domain.values import Refusal, RefusalCode

# Type 1: there with a value. PS3.3 A.8 (Secondary Capture) and its modules.
TYPE_1 = """
SpecificCharacterSet SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality
InstanceNumber Manufacturer ManufacturerModelName DeviceSerialNumber SoftwareVersions DeviceUID
SeriesNumber SeriesDescription SeriesDate SeriesTime ContentDate ContentTime
InstanceCreationDate InstanceCreationTime ContentQualification ContributingEquipmentSequence
"""
TYPE_2 = """
PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber
ReferringPhysicianName StudyID
"""
SECONDARY_CAPTURE = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
    "Modality": "OT",
    "ConversionType": "SYN",
    "ImageType": ["DERIVED", "SECONDARY"],
    "BurnedInAnnotation": "YES",
    "ContentQualification": "RESEARCH",
    "BodyPartExamined": "CHEST",
    "PatientOrientation": ["L", "F"],
    "LossyImageCompression": "00",
    "SamplesPerPixel": 3,
    "PhotometricInterpretation": "RGB",
    "PlanarConfiguration": 0,
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
    "PixelRepresentation": 0,
}
# No window on colour, no frame of reference on a picture with words, no pointers into the series
SECONDARY_CAPTURE_WITHOUT = """
WindowCenter WindowWidth FrameOfReferenceUID ImagePositionPatient ImageOrientationPatient
ReferencedImageSequence
"""
REPORT = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.34",
    "Modality": "SR",
    "SeriesNumber": 9901,
    "CompletionFlag": "PARTIAL",
    "VerificationFlag": "UNVERIFIED",
    "PreliminaryFlag": "PRELIMINARY",
    "ValueType": "CONTAINER",
    "ContinuityOfContent": "SEPARATE",
}
REPORT_TYPE_1 = "CurrentRequestedProcedureEvidenceSequence CodingSchemeIdentificationSequence"
REPORT_TYPE_2 = "ReferencedPerformedProcedureStepSequence PerformedProcedureCodeSequence"

# (parent, relationship, value type, concept) -> (at least, at most); PS3.16 TID 1500, 1501, 1410,
# 300, 1600 as far as the node uses them. What is not here may not be in a report.
MANY = 99
ROOT, LIBRARY, GROUP_1600, MEASURED = "126000", "111028", "126200", "126010"
OBSERVER = {"121013": 1, "121014": 1, "121015": 1, "121016": 1, "121017": 1}
TEMPLATE: dict[str, dict[tuple[str, str, str], tuple[int, int]]] = {
    ROOT: {
        ("HAS CONCEPT MOD", "CODE", "121049"): (1, 1),  # language
        ("HAS OBS CONTEXT", "CODE", "121005"): (1, 1),  # observer type
        ("HAS OBS CONTEXT", "UIDREF", "121012"): (1, 1),
        **{("HAS OBS CONTEXT", "TEXT", concept): (1, n) for concept, n in OBSERVER.items()},
        ("HAS CONCEPT MOD", "CODE", "121058"): (1, 1),  # procedure reported
        ("CONTAINS", "TEXT", "111412"): (1, 1),  # summary; TID 1500 is extensible
        ("CONTAINS", "CONTAINER", LIBRARY): (1, 1),
        ("CONTAINS", "CONTAINER", MEASURED): (1, 1),
    },
    LIBRARY: {("CONTAINS", "CONTAINER", GROUP_1600): (1, MANY)},
    GROUP_1600: {("CONTAINS", "IMAGE", "260753009"): (1, MANY)},
    "260753009": {  # library entry, TID 1602 and 1603
        ("HAS ACQ CONTEXT", "CODE", "121139"): (1, 1),
        ("HAS ACQ CONTEXT", "NUM", "110910"): (1, 1),
        ("HAS ACQ CONTEXT", "NUM", "110911"): (1, 1),
        ("HAS ACQ CONTEXT", "TEXT", "111044"): (0, 1),
        ("HAS ACQ CONTEXT", "TEXT", "111043"): (0, 1),
        ("HAS ACQ CONTEXT", "NUM", "111026"): (0, 1),
        ("HAS ACQ CONTEXT", "NUM", "111066"): (0, 1),
    },
    MEASURED: {("CONTAINS", "CONTAINER", "125007"): (1, MANY)},
    "1501": {
        ("HAS OBS CONTEXT", "TEXT", "112039"): (1, 1),
        ("HAS OBS CONTEXT", "UIDREF", "112040"): (1, 1),
        ("CONTAINS", "CODE", "121071"): (1, 1),  # finding
        ("HAS CONCEPT MOD", "CODE", "363698007"): (1, 1),  # finding site
        ("HAS CONCEPT MOD", "TEXT", "111001"): (1, 1),  # algorithm, TID 4019
        ("HAS CONCEPT MOD", "TEXT", "111003"): (1, 1),
        ("HAS CONCEPT MOD", "TEXT", "111002"): (1, 1),
        ("HAS CONCEPT MOD", "CODE", "111000"): (1, 1),
        ("CONTAINS", "NUM", "*"): (1, 1),
        ("CONTAINS", "CODE", "705057003"): (0, 1),  # presence
        ("CONTAINS", "CODE", "130401"): (0, 1),  # visual explanation
        ("CONTAINS", "TEXT", "121106"): (0, 1),  # comment
        ("CONTAINS", "IMAGE", "121112"): (1, 1),
    },
    "1410": {
        ("HAS OBS CONTEXT", "TEXT", "112039"): (1, 1),
        ("HAS OBS CONTEXT", "UIDREF", "112040"): (1, 1),
        ("CONTAINS", "CODE", "121071"): (1, 1),
        ("HAS CONCEPT MOD", "CODE", "363698007"): (0, 1),
        ("CONTAINS", "NUM", "*"): (0, 1),
        ("CONTAINS", "SCOORD", "111030"): (1, 1),  # image region
        ("HAS CONCEPT MOD", "TEXT", "111001"): (0, 1),  # the input gate
        ("HAS CONCEPT MOD", "TEXT", "111003"): (0, 1),
        ("HAS CONCEPT MOD", "TEXT", "111002"): (0, 1),
        ("CONTAINS", "CODE", "111029"): (0, 1),  # image quality rating
        ("CONTAINS", "CODE", "111052"): (0, 1),  # quality finding
        ("CONTAINS", "TEXT", "121106"): (0, 1),
    },
    "NUM": {("INFERRED FROM", "SCOORD", "260753009"): (0, MANY)},
    "SCOORD": {("SELECTED FROM", "IMAGE", "260753009"): (1, 1)},
    "363698007": {("HAS CONCEPT MOD", "CODE", "272741003"): (0, 1)},  # laterality
}


@pytest.fixture(scope="module", params=["positive", "positive_without_covid", "negative"])
def objects(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[Dataset]:
    source = fixed_film()
    reading = getattr(readings, request.param)(readings.frame(320, 288))
    return through_disk(composed(source, reading), tmp_path_factory.mktemp("objects"))


def test_every_object_has_what_every_object_needs(objects: list[Dataset]) -> None:
    """Patient, study, series, equipment and SOP common modules."""
    for ds in objects:
        for keyword in TYPE_1.split():
            assert ds.get(keyword) not in (None, "", []), keyword
        for keyword in TYPE_2.split():
            assert keyword in ds, keyword
        assert len(ds.SeriesDescription) <= 64
        assert UID(ds.SOPInstanceUID).is_valid
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID


def test_a_picture_is_a_secondary_capture(objects: list[Dataset]) -> None:
    """Attribute by attribute."""
    for ds in objects[:-1]:
        for keyword, value in SECONDARY_CAPTURE.items():
            assert ds[keyword].value == value, keyword
        for keyword in SECONDARY_CAPTURE_WITHOUT.split():
            assert keyword not in ds
        assert len(ds.PixelData) == ds.Rows * ds.Columns * 3 + (ds.Rows * ds.Columns * 3) % 2
        (origin,) = ds.SourceImageSequence
        assert origin.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        (series,) = ds.ReferencedSeriesSequence
        assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == (
            origin.ReferencedSOPInstanceUID
        )
        assert 0 < len(ds.DerivationDescription) <= 1024


def test_a_report_is_a_preliminary_unverified_document(objects: list[Dataset]) -> None:
    """Attribute by attribute."""
    ds = objects[-1]
    for keyword, value in REPORT.items():
        assert ds[keyword].value == value, keyword
    for keyword in REPORT_TYPE_1.split():
        assert ds.get(keyword), keyword
    for keyword in REPORT_TYPE_2.split():
        assert keyword in ds, keyword
    template = ds.ContentTemplateSequence[0]
    assert (template.MappingResource, template.TemplateIdentifier) == ("DCMR", "1500")


def test_a_report_follows_its_templates(objects: list[Dataset]) -> None:
    """Each content item is where a row of a template puts it, and often enough."""
    assert list(violations(objects[-1])) == []


@pytest.mark.parametrize("stage3_code", [True, False])
def test_an_odd_film_s_report_follows_them_too(stage3_code: bool) -> None:
    """Without orientation and spacing, and without a code for stage 3."""
    source = small_film(without=["PatientOrientation"], spacing=None)
    report = composed(source, None, context(ReportConfig(stage3_code=stage3_code)))[-1]
    assert list(violations(report)) == []


def test_the_walker_sees_a_missing_and_a_foreign_item(objects: list[Dataset]) -> None:
    """A judge that cannot fail proves nothing."""
    report = deepcopy(objects[-1])
    group = report.ContentSequence[-1].ContentSequence[0]
    del group.ContentSequence[0]
    group.ContentSequence[-1].RelationshipType = "HAS PROPERTIES"
    assert len(list(violations(report))) == 3


def test_every_probability_has_coordinates_and_says_of_what(objects: list[Dataset]) -> None:
    """OHIF dies of a measurement without coordinates, and shows nothing but its name and unit."""
    names = []
    for number in probabilities(objects[-1]):
        scoord = number.ContentSequence[0]
        assert (scoord.RelationshipType, scoord.GraphicType) == ("INFERRED FROM", "POLYLINE")
        assert list(scoord.GraphicData[:2]) == list(scoord.GraphicData[-2:])
        names.append(number.ConceptNameCodeSequence[0].CodeMeaning)
        assert number.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "%"
        assert 0 <= number.MeasuredValueSequence[0].NumericValue <= 100
    expected = ["Pneumonia probability", "COVID-19 probability"]
    assert names == expected[: 1 if len(objects) == 2 else 2]


def test_labels_of_two_stages_do_not_cover_each_other(objects: list[Dataset]) -> None:
    """A viewer puts a label beside the middle of its outline: the middles differ."""
    middles = []
    for number in probabilities(objects[-1]):
        rows = list(number.ContentSequence[0].GraphicData)[1::2]
        middles.append((min(rows) + max(rows)) / 2)
    assert all(abs(a - b) > 320 / 30 for a, b in pairwise(middles))


def test_regions_are_closed_polylines_inside_the_film_with_their_side(
    objects: list[Dataset],
) -> None:
    """The hottest spot was set in the left half of the film: the patient's right lung."""
    sides = []
    for group in groups(objects[-1], "1410"):
        for item in group.ContentSequence:
            if item.ValueType == "SCOORD":
                data = list(item.GraphicData)
                assert item.GraphicType == "POLYLINE"
                assert data[:2] == data[-2:]
                assert max(data[::2]) <= 288
                assert max(data[1::2]) <= 320
                assert min(data) >= 0
            if item.ConceptNameCodeSequence[0].CodeValue == "363698007":
                side = item.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning
                sides.append(side)
    if len(objects) > 2:
        assert sides[:2] == ["Right", "Left"]
    else:
        assert sides == []


def test_a_negative_report_says_absent_and_that_stage_3_did_not_run(tmp_path: Path) -> None:
    """No word on COVID-19 where nothing looked for it."""
    source = fixed_film()
    report = composed(source, readings.negative(readings.frame(320, 288)))[-1]
    lines = tree(report)
    assert any("Presence" in line and "Absent" in line for line in lines)
    assert any("stage3=not run (stage2 below threshold)" in line for line in lines)
    assert not any("probability" in line and "COVID" in line for line in lines)


def test_without_its_code_stage_3_calls_nothing_present_or_absent() -> None:
    """report.stage3_code false: a probability beside a pneumonia that stays present."""
    report = composed(fixed_film(), None, context(ReportConfig(stage3_code=False)))[-1]
    lines = tree(report)
    assert not any(codes.COVID19.value in line for line in lines)
    assert sum("Presence" in line for line in lines) == 1


@pytest.mark.parametrize("kind", ["positive", "negative", "refused"])
def test_the_report_reads_as_it_always_did(kind: str) -> None:
    """The golden trees; look at each change of them as an archive's administrator would.

    Derived UIDs change with every version, by design, and stand as ``2.25.*``.
    """
    source = fixed_film()
    if kind == "refused":
        report = refusal_report(source)
    else:
        report = composed(source, getattr(readings, kind)(readings.frame(320, 288)))[-1]
    golden = Path(__file__).with_name(f"report_{kind}.txt")
    shown = re.sub(r"2\.25\.\d+", "2.25.*", "\n".join(tree(report))) + "\n"
    assert shown == golden.read_text(encoding="utf-8")


def test_a_refusal_is_a_preliminary_unverified_document_without_any_number(tmp_path: Path) -> None:
    """Attribute by attribute like every report, item by item as its templates say, no score."""
    (ds,) = through_disk([refusal_report(fixed_film())], tmp_path)
    for keyword, value in REPORT.items():
        assert ds[keyword].value == value, keyword
    for keyword in (*TYPE_1.split(), *REPORT_TYPE_1.split()):
        assert ds.get(keyword), keyword
    for keyword in (*TYPE_2.split(), *REPORT_TYPE_2.split()):
        assert keyword in ds, keyword
    assert list(violations(ds)) == []
    assert probabilities(ds) == []


# Not in pydicom's dictionary
LOOKED_UP = [codes.PNEUMONIA, codes.COVID19, codes.PRESENCE, codes.PIXELS]


def test_public_codes_are_in_the_public_dictionary() -> None:
    """No code is made up, except under our own scheme."""
    ours = [code for code in vars(codes).values() if isinstance(code, Code)]
    strange = [code for code in ours if code.scheme_designator != codes.SCHEME and not known(code)]
    assert strange == LOOKED_UP


def known(code: Code) -> bool:
    scheme = getattr(public, code.scheme_designator)
    return any(getattr(scheme, name).value == code.value for name in scheme.dir())


def groups(report: Dataset, template: str) -> list[Dataset]:
    """The measurement groups made after a template."""
    measured = report.ContentSequence[-1].ContentSequence
    return [g for g in measured if g.ContentTemplateSequence[0].TemplateIdentifier == template]


def probabilities(report: Dataset) -> list[Dataset]:
    """The measurements of the whole film."""
    items = [item for group in groups(report, "1501") for item in group.ContentSequence]
    return [item for item in items if item.ValueType == "NUM"]


def refusal_report(source: Dataset) -> Dataset:
    """What is said of a lateral."""
    refusal = Refusal(code=RefusalCode.NOT_FRONTAL, reason="the pixels show a chest from the side")
    report = compose.compose_refusal(source, refusal, readings.MODEL, context())[-1]
    return report


def violations(node: Dataset) -> Iterator[str]:
    """Walk the tree and hold the children of every item against `TEMPLATE`."""
    rules = TEMPLATE.get(_rule(node), {})
    counts = dict.fromkeys(rules, 0)
    for child in node.get("ContentSequence", []):
        found = (child.RelationshipType, child.ValueType, _concept(child))
        row = found if found in rules else (*found[:2], "*")
        if row in rules:
            counts[row] += 1
        else:
            yield f"{_rule(node)}: {found} is in no row"
        yield from violations(child)
    for row, (least, most) in rules.items():
        if not least <= counts[row] <= most:
            yield f"{_rule(node)}: {row} {counts[row]} times"


def _rule(node: Dataset) -> str:
    if node.ValueType in ("NUM", "SCOORD"):
        return str(node.ValueType)
    if "ContentTemplateSequence" in node and _concept(node) == "125007":
        return str(node.ContentTemplateSequence[0].TemplateIdentifier)
    if node.get("RelationshipType") == "SELECTED FROM":
        return ""
    return _concept(node)


def _concept(node: Dataset) -> str:
    return str(node.ConceptNameCodeSequence[0].CodeValue)


def tree(node: Dataset, depth: int = 0) -> list[str]:
    """The content tree as text, one item a line."""
    name = node.ConceptNameCodeSequence[0]
    line = f"{'  ' * depth}{node.get('RelationshipType', '')} {node.ValueType} {name.CodeMeaning}"
    lines = [f"{line} ({name.CodeValue}, {name.CodingSchemeDesignator}){_shown(node)}"]
    for child in node.get("ContentSequence", []):
        lines += tree(child, depth + 1)
    return lines


def _shown(node: Dataset) -> str:
    match node.ValueType:
        case "TEXT":
            return f" = {node.TextValue}"
        case "UIDREF":
            return f" = {node.UID}"
        case "CODE":
            code = node.ConceptCodeSequence[0]
            return f" = {code.CodeMeaning} ({code.CodeValue}, {code.CodingSchemeDesignator})"
        case "NUM":
            value = node.MeasuredValueSequence[0]
            return f" = {value.NumericValue} {value.MeasurementUnitsCodeSequence[0].CodeValue}"
        case "IMAGE":
            return f" = {node.ReferencedSOPSequence[0].ReferencedSOPInstanceUID}"
        case "SCOORD":
            return f" = {node.GraphicType}, {len(node.GraphicData) // 2} points"
    return ""
