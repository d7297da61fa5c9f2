"""Frontal chest films are selected by their headers; each refusal has its code and reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, EnhancedSRStorage
from support.film import code, film, phantom

from dicom_node.config import SelectConfig
from dicom_node.domain.values import RefusalCode
from dicom_node.pixels import read_dataset
from dicom_node.select_images import select
from dicom_node.select_images.checks import CHECKS
from dicom_node.select_images.vocabulary import CHEST, FRONTAL, NOT_FRONTAL, OTHER_PARTS, found

CHEST_SPELLINGS = (
    *(
        "CHESTPA",
        "CHEST-PA",
        "CHEST_AP_PORT",
        "CHESTPORTABLE",
        "ThoraxAP",
        "THORAX PA",
        "CXR2VIEWS",
    ),
    *("Lungenaufnahme", "Thoraxaufnahme", "thorax de face", "TORAX PA", "RX TORACE", "CHEST1VIEW"),
    *("klatka piersiowa PA", "borstkas", "TORAXPA", "pulmones", "pecho", "peito", "petto"),
    *("poitrine", "göğüs", "C.X.R."),
)
OTHER_SPELLINGS = (
    *(
        "Brustwirbelsäule",
        "Kniegelenk",
        "HANDPA",
        "KNEEAP",
        "ABDOMENAP",
        "Schultergelenk",
        "Becken",
    ),
    *(
        "columna dorsal",
        "rodilla izquierda",
        "ginocchio dx",
        "joelho",
        "wervelkolom",
        "CHESTABDOMEN",
    ),
    *("rachis thoracique", "columna torácica", "胸椎", "胸骨", "肋骨", "lumbaal", "costelas"),
    *("gril costal", "côtes", "hanche", "Bauch", "ABDO"),
    *("poignet", "RIBS", "Rippenthorax", "parrilla costal", "[/X]", "XQ7"),
)
DECUBITUS_VIEWS = (
    *(
        "DECUB",
        "LDECUB",
        "LLD",
        "LAT DECUB",
        "LATDECUB",
        "X-TABLE",
        "XTABLE",
        "X TABLE",
        "cross-table",
    ),
    *(
        "décubitus latéral",
        "Linksseitenlage",
        "decúbito lateral",
        "decubito laterale",
        "zijligging",
    ),
)
OTHER_VIEWS = (
    *DECUBITUS_VIEWS,
    *("seitl.", "dwarse opname", "zijwaarts", "TANG"),
    *("CHESTLAT", "LATERAL-L", "LLAT", "RLAT", "seitlich", "Seitenansicht", "de profil", "perfil"),
    *(
        "profilo",
        "laterale sn",
        "oblicua",
        "obliqua",
        "Schrägaufnahme",
        "OBL",
        "lordotic",
        "boczne",
    ),
)
FRONTAL_VIEWS = (
    *(
        "PA",
        "P.A.",
        "PA-ERECT",
        "AP-PORT",
        "APSUPINE",
        "CHESTPA",
        "PA_STANDING",
        "postero-anterior",
    ),
    *("d.v.", "FRONT", "von vorn", "voor-achterwaarts"),
    *("antéro-postérieur", "de face", "frente", "frontale", "dorsoventral", "posteroanteriore"),
)
PIXELS = phantom(300, 280)
BLANK = {"BodyPartExamined": "", "StudyDescription": ""}
NO_VIEW = {"ViewPosition": ""}
DERIVED = {"ImageType": ["DERIVED", "SECONDARY"]}


def source(purpose: str) -> Dataset:
    """A source image, and what it was used for."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code(purpose, "DCM", "purpose")]
    return item


def modified(meaning: str) -> Dataset:
    """The code of a frontal view with a modifier."""
    view = code("399348003", "SCT", "antero-posterior")
    view.ViewModifierCodeSequence = [code("1", "99LOCAL", meaning)]
    return view


def header(**options: Any) -> Dataset:
    options.setdefault("PatientOrientation", "")
    return film(PIXELS, **options)


def refused(config: SelectConfig | None = None, **options: Any) -> RefusalCode | None:
    refusal = select(header(**options), config or SelectConfig())
    return refusal.code if refusal else None


@pytest.mark.parametrize("kind", ["cr", "dx", "dx-processing", "sc"])
@pytest.mark.parametrize("view", ["PA", "AP"])
def test_a_frontal_chest_film_is_taken(kind: str, view: str) -> None:
    """CR, DX and Secondary Capture, PA or AP."""
    assert refused(kind=kind, ViewPosition=view) is None


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"SOPClassUID": CTImageStorage}, RefusalCode.SOP_CLASS),
        ({"SOPClassUID": EnhancedSRStorage}, RefusalCode.SOP_CLASS),
        ({"SOPClassUID": ""}, RefusalCode.SOP_CLASS),
        ({"Modality": "MG"}, RefusalCode.MODALITY),
        ({"Modality": "OT"}, RefusalCode.MODALITY),
        ({"Modality": "DR"}, None),
        ({"Modality": "RG"}, None),
        ({"Modality": ""}, None),
        ({"kind": "sc", "Modality": "OT"}, None),  # it says chest
        ({"kind": "sc", "Modality": "OT", **BLANK}, RefusalCode.MODALITY),
        ({"kind": "sc", "Modality": "", **BLANK}, RefusalCode.MODALITY),
        ({"kind": "sc", "Modality": "SR"}, RefusalCode.MODALITY),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, None),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, None),  # a transcoded film
        ({**DERIVED, "DerivationDescription": "RLE transcoded"}, None),
        ({**DERIVED, "DerivationCodeSequence": [code("113040", "DCM", "Lossy")]}, None),
        ({**DERIVED, "SourceImageSequence": [source("121320")]}, None),
        ({**DERIVED, "SourceImageSequence": [source("121322")]}, RefusalCode.IMAGE_TYPE),
        ({**DERIVED, "SourceImageSequence": [Dataset()]}, RefusalCode.IMAGE_TYPE),
        ({**DERIVED, "DerivationDescription": "edges enhanced"}, RefusalCode.IMAGE_TYPE),
        (
            {**DERIVED, "DerivationCodeSequence": [code("113086", "DCM", "Edge enhancement")]},
            RefusalCode.IMAGE_TYPE,
        ),
        ({"ImageType": ["DERIVED", "SECONDARY"], "kind": "sc"}, None),
        ({"ImageType": ["DERIVED", "PRIMARY", "BONE_SUPPRESSED"]}, RefusalCode.IMAGE_TYPE),
        ({"SeriesDescription": "AI result, heatmap"}, RefusalCode.IMAGE_TYPE),
        ({"kind": "sc", "ConversionType": "SYN"}, RefusalCode.IMAGE_TYPE),
        ({"kind": "sc", "ConversionType": "DF"}, None),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, RefusalCode.PHOTOMETRIC),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, RefusalCode.PHOTOMETRIC),
        ({"NumberOfFrames": 2}, RefusalCode.FRAMES),
        ({"NumberOfFrames": 1}, None),
        ({"Rows": 200}, RefusalCode.SIZE),
        ({"Columns": 601}, RefusalCode.SIZE),
        ({"without": ["Rows"]}, RefusalCode.SIZE),
    ],
    ids=str,
)
def test_kind_of_object_and_picture(elements: dict[str, Any], expected: RefusalCode | None) -> None:
    """Anything but a single grey film of a radiography device is refused, each with its code."""
    assert refused(**elements) == expected


@pytest.mark.parametrize(
    ("elements", "taken"),
    [
        ({"BodyPartExamined": "THORAX"}, True),
        ({"BodyPartExamined": "chest "}, True),
        ({"BodyPartExamined": "TÓRAX"}, True),
        ({"BodyPartExamined": "胸部"}, True),
        ({"BodyPartExamined": "CHEST_AP"}, True),
        ({"BodyPartExamined": "RIBCAGE"}, False),
        ({"BodyPartExamined": "EXTREMITY"}, False),
        ({"BodyPartExamined": "TSPINE"}, False),
        ({"BodyPartExamined": "CHESTABDOMEN"}, False),
        ({"BodyPartExamined": "CHEST ABDOMEN"}, False),
        ({"BodyPartExamined": "HAND", "StudyDescription": "Chest"}, False),
        *(({"BodyPartExamined": part}, True) for part in CHEST_SPELLINGS),
        *(({"BodyPartExamined": part}, False) for part in OTHER_SPELLINGS),
        *(
            ({**BLANK, "SeriesDescription": part}, False)
            for part in ("rachis thoracique", "胸椎", "胸骨", "Bauch", "costelas")
        ),
        (BLANK, True),
        ({**BLANK, "BodyPartExamined": "UNKNOWN"}, True),
        ({**BLANK, "without": ["BodyPartExamined"]}, True),
        ({**BLANK, "StudyDescription": "RX torace 2 proiezioni"}, True),
        ({**BLANK, "StudyDescription": "Röntgen-Thorax im Liegen"}, True),
        ({**BLANK, "StudyDescription": "Knie links"}, False),
        ({**BLANK, "StudyDescription": "T-Spine"}, False),
        ({**BLANK, "SeriesDescription": "abdomen", "StudyDescription": "chest"}, False),
        ({**BLANK, "StudyDescription": "No Finding"}, True),
        ({**BLANK, "ProtocolName": "膝関節"}, False),
        ({**BLANK, "AnatomicRegionSequence": [code("51185008", "SCT", "Thorax")]}, True),
        ({**BLANK, "AnatomicRegionSequence": [code("T-D3000", "SRT", "Chest")]}, True),
        ({**BLANK, "AnatomicRegionSequence": [code("T-D8700", "SRT", "Hand")]}, False),
    ],
    ids=str,
)
def test_body_part(elements: dict[str, Any], taken: bool) -> None:
    """Body Part Examined, else the region's code, else words of the descriptions."""
    assert refused(**elements) == (None if taken else RefusalCode.BODY_PART)


@pytest.mark.parametrize(
    ("elements", "taken"),
    [
        *(
            ({"ViewPosition": view}, False)
            for view in ("LL", "RL", "LLO", "RLD", "LATERAL", "LAT", "Oblique")
        ),
        *(({"ViewPosition": view}, False) for view in OTHER_VIEWS),
        *(({"ViewPosition": view}, True) for view in FRONTAL_VIEWS),
        *(({**NO_VIEW, "SeriesDescription": f"Thorax {view}"}, False) for view in OTHER_VIEWS),
        *(({"SeriesDescription": f"Chest AP {view}"}, False) for view in DECUBITUS_VIEWS),
        *(({**NO_VIEW, "BodyPartExamined": f"CHEST{view}"}, False) for view in ("LAT", "DECUB")),
        ({**NO_VIEW, "BodyPartExamined": "CHESTPA"}, True),
        ({**NO_VIEW, "ViewPosition": "STANDING"}, True),
        ({**NO_VIEW, "ViewPosition": "UNKNOWN"}, True),
        ({**NO_VIEW, "ViewPosition": "XQ7"}, False),  # said, and not understood
        ({**NO_VIEW, "ViewPosition": "XQ7", "SeriesDescription": "Chest PA"}, True),
        ({**NO_VIEW, "SeriesDescription": "Thorax, décubitus dorsal"}, True),
        ({**NO_VIEW, "SeriesDescription": "Tórax decúbito supino"}, True),
        ({**NO_VIEW, "StudyDescription": "Chest 12 Dec 2024"}, True),
        ({**NO_VIEW, "ViewCodeSequence": [modified("left lateral decubitus")]}, False),
        *(({"ViewPosition": view}, True) for view in ("pa", "AP SUPINE", "P-A", "FRONTAL", "")),
        ({"ViewPosition": "AP AXIAL"}, False),
        ({"ViewPosition": "PA", "StudyDescription": "Chest PA and lateral"}, True),
        ({**NO_VIEW, "StudyDescription": "Chest PA and lateral"}, True),
        ({**NO_VIEW, "SeriesDescription": "Thorax seitlich"}, False),
        ({**NO_VIEW, "SeriesDescription": "Chest LAT", "StudyDescription": "Chest PA"}, False),
        ({**NO_VIEW, "SeriesDescription": "胸部側面"}, False),
        ({**NO_VIEW, "SeriesDescription": "Platform latex chest"}, True),
        ({**NO_VIEW, "ViewCodeSequence": [code("399067008", "SCT", "lateral")]}, False),
        ({**NO_VIEW, "ViewCodeSequence": [code("R-10206", "SRT", "antero-posterior")]}, True),
        ({**NO_VIEW, "ViewCodeSequence": [code("272479007", "SCT", "PA")]}, True),
        ({**NO_VIEW, "PatientOrientation": ["A", "F"]}, False),
        ({**NO_VIEW, "PatientOrientation": ["L", "F"]}, True),
    ],
    ids=str,
)
def test_view(elements: dict[str, Any], taken: bool) -> None:
    """PA and AP are frontal; lateral, oblique and decubitus views are refused."""
    assert refused(**elements) == (None if taken else RefusalCode.VIEW)


@pytest.mark.parametrize(
    ("config", "elements", "expected"),
    [
        (SelectConfig(accept_blank_body_part=False), BLANK, RefusalCode.BODY_PART),
        (SelectConfig(accept_blank_view=False), NO_VIEW, RefusalCode.VIEW),
        (
            SelectConfig(accept_for_processing=False),
            {"kind": "dx-processing"},
            RefusalCode.INTENT,
        ),
        (SelectConfig(body_parts=("RIBCAGE",)), {"BodyPartExamined": "RIBCAGE"}, None),
        (SelectConfig(min_side=290), {}, RefusalCode.SIZE),
        (SelectConfig(max_aspect=1.05), {}, RefusalCode.SIZE),
    ],
    ids=str,
)
def test_the_configuration_decides(
    config: SelectConfig, elements: dict[str, Any], expected: RefusalCode | None
) -> None:
    """Blanks, intent, size and names of the chest are configurable."""
    assert refused(config, **elements) == expected


@pytest.mark.parametrize(
    ("elements", "sentence"),
    [
        ({"BodyPartExamined": "KNEE"}, "the body part is KNEE, which is not a chest"),
        ({"ViewPosition": "LL"}, "the view position is LL, which is not a frontal view"),
        ({"Modality": "MG"}, "the modality is MG, not a radiograph's"),
    ],
    ids=str,
)
def test_the_reason_names_the_offending_value(elements: dict[str, Any], sentence: str) -> None:
    """A person can check the reason against the header."""
    refusal = select(header(**elements), SelectConfig())
    assert refusal is not None
    assert refusal.reason == sentence


def test_free_text_is_never_quoted() -> None:
    """Of a description the reason quotes only the word that was recognised."""
    ds = header(**BLANK, PatientName="Doe^Jane", SeriesDescription="Jane Doe left knee")
    refusal = select(ds, SelectConfig())
    assert refusal is not None
    assert refusal.reason == 'SeriesDescription says "knee", which is not a chest'


def test_a_strange_value_is_quoted_short_and_printable() -> None:
    """Control characters and long values do not reach logs or terminals."""
    refusal = select(header(BodyPartExamined="\x1b[31mKNEE" * 30), SelectConfig())
    assert refusal is not None
    assert refusal.reason.isprintable()
    assert len(refusal.reason) < 120


def test_a_header_with_nothing_in_it_is_refused_not_crashed_on() -> None:
    """An empty data set is refused by the first check."""
    for check in CHECKS[:1]:
        refusal = check(Dataset(), SelectConfig())
        assert refusal is not None
        assert refusal.code == RefusalCode.SOP_CLASS


def test_word_lists_do_not_overlap() -> None:
    """No word means both yes and no."""
    assert not [word for word in CHEST if found(word, OTHER_PARTS)]
    assert not [word for word in OTHER_PARTS if found(word, CHEST)]
    assert not [word for word in FRONTAL if found(word, NOT_FRONTAL)]


@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.text(max_size=30), min_size=8, max_size=8))
def test_a_reason_quotes_known_words_only(values: list[str]) -> None:
    """Whatever a header holds, no markup, control character or name reaches a reason."""
    ds = Dataset()
    ds.SOPClassUID, ds.Rows, ds.Columns = ComputedRadiographyImageStorage, 300, 300
    ds.AnatomicRegionSequence = [code("1", "99LOCAL", f"[/b]{values[0]}Zqxj")]
    ds.ViewCodeSequence = [code("1", "99LOCAL", f"<b>{values[1]}Zqxj")]
    keywords = (
        *("BodyPartExamined", "ViewPosition", "Modality", "SeriesDescription"),
        *("ConversionType", "PhotometricInterpretation"),
    )
    for keyword, value in zip(keywords, values[2:], strict=True):
        ds[keyword] = DataElement(keyword, "LO", f"{value}\x1b[Zqxj", validation_mode=IGNORE)
    for _ in range(2):  # without body part and view the codes are asked
        for refusal in filter(None, (check(ds, SelectConfig()) for check in CHECKS)):
            assert re.fullmatch(r"[\w ,.:'\"()-]+", refusal.reason)
            assert "zqxj" not in refusal.reason.casefold()
        ds.BodyPartExamined = ds.ViewPosition = ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RG1_UNCR.dcm", None),
        ("RG1_J2KR.dcm", None),
        ("RG3_UNCR.dcm", RefusalCode.BODY_PART),
        ("RG3_J2KR.dcm", RefusalCode.BODY_PART),
    ],
)
def test_public_films(name: str, expected: RefusalCode | None) -> None:
    """The chest is accepted, the extremity refused for its body part."""
    data = pytest.importorskip("pydicom.data")
    path = data.get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("pydicom-data is not installed")
    refusal = select(read_dataset(Path(path)), SelectConfig())
    assert (refusal.code if refusal else None) == expected
