"""Whatever bytes stand in whatever attribute, the film gets legal results."""

from __future__ import annotations

import ast
import shutil
import struct
import subprocess
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, keyword_dict
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32
from support import readings
from support.film import film, write

from dicom_node.check_objects.values import check_values
from dicom_node.compose.sanitize import clean
from dicom_node.config import Config
from dicom_node.domain.values import FilmOutcome, Image
from dicom_node.pipeline import Pipeline
from models.reading import Look, ModelIdentity, Reading

ROOT = Path(__file__).parents[3] / "dicom_node"
ROOMS = ("compose", "pixels", "select_images", "gate")
VRS = ("DS", "LO", "LT", "SQ", "UN", "US")
VALUES = (
    b"", b" ", b"\\", b"\\\\", b"0", b"-1", b"1e400\\1e400", b"0\\0", b"0.143", b"0.1\\0.2\\0.3",
    b"0.143\\ ", b"nan\\inf", b"Z", b"+09:00", b"-0000", b"-2400", b"+0100", b"UTC+1", b"\xff\xfe",
    b"20240101\\20240102", b"2020.01.01", b"20209999", b"12\\34", b"<b>&\"'", b"\0\0\0\0", b"L\\F",
    b"L\\", b"\\F", b"x" * 200, b"1.2.3", b"1..2", b"999Y", b"a^b^c^d^e^f=g=h=i", b"\x1b$)A\xb0",
    b"YES", b"01", b"\x01\x02\x03", b"-99999999999", b"10:11:12", b"256199",
)  # fmt: skip
# The pixels' own description decides whether there is a film at all; other tests vary it
PIXELS = {"PixelData", "FileMetaInformationVersion"}


def read_attributes() -> list[str]:
    """Keywords that stand as strings in the rooms that read a film."""
    known = set(keyword_dict) - {""}
    found = {
        node.value
        for room in ROOMS
        for path in (ROOT / room).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in known
    }
    return sorted(found - PIXELS)


ATTRIBUTES = read_attributes()


class AnyFilm:
    """Returns a positive reading for a film of any shape."""

    identity: ModelIdentity = readings.MODEL

    def look(self, image: Image) -> Look:
        return readings.look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        return readings.positive(readings.frame(*image.pixels.shape))


def spoiled(source: Dataset, keyword: str, vr: str, value: bytes) -> Dataset:
    """The film with these bytes in this attribute, as a file would give them."""
    tag = Tag(keyword)
    source[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    return source


def with_raw_element(source: Dataset, keyword: str, vr: str, value: bytes, path: Path) -> Path:
    """Write the film with these bytes in this attribute; pydicom itself writes no broken ones."""
    tag = Tag(keyword)
    if tag in source:
        del source[tag]
    data = write(source, path).read_bytes()
    value += b" " * (len(value) % 2)
    size = struct.pack("<H", len(value))
    if vr in EXPLICIT_VR_LENGTH_32:
        size = struct.pack("<HI", 0, len(value))
    element = struct.pack("<HH", tag.group, tag.element) + vr.encode() + size + value
    start = 144 + int.from_bytes(data[140:144], "little")  # behind the file meta information
    path.write_bytes(data[:start] + element + data[start:])
    return path


def outcome_of(source: Dataset, keyword: str, vr: str, value: bytes, folder: Path) -> FilmOutcome:
    """Read a film with these bytes in this attribute, as the node would."""
    results = {"presentation_state": True, "picture_width": 512}
    pipeline = Pipeline(
        config=Config.model_validate({"results": results}),
        reader=AnyFilm(),
        clock=lambda: datetime(2026, 1, 2, tzinfo=UTC),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = with_raw_element(source, keyword, vr, value, folder / "film.dcm")
        return pipeline.read(path, folder / "out")


def test_the_attributes_are_found() -> None:
    """The list comes from the code and has what the examples of the field are about."""
    assert {"TimezoneOffsetFromUTC", "PixelSpacing", "PatientOrientation"} < set(ATTRIBUTES)
    assert len(ATTRIBUTES) > 100


@pytest.mark.parametrize("keyword", ATTRIBUTES)
def test_what_is_copied_is_legal(keyword: str) -> None:
    """For every VR and every odd value: a legal value, or none."""
    for vr in {*VRS, dictionary_VR(keyword)} - {"US or SS", "OB or OW"}:
        for value in VALUES:
            source = spoiled(Dataset(), keyword, vr, value)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                copied = clean(source, [keyword])
                assert not list(check_values(copied)), (vr, value, copied)


@given(
    keyword=st.sampled_from(ATTRIBUTES),
    vr=st.sampled_from([vr for vr in VRS if vr != "SQ"]),
    value=st.sampled_from(VALUES) | st.binary(max_size=40),
)
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_no_value_costs_the_result(
    keyword: str, vr: str, value: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A result or a coded refusal; no exception, nothing withheld."""
    source = film(rows=320, columns=288)
    outcome = outcome_of(source, keyword, vr, value, tmp_path_factory.mktemp("film"))
    assert outcome.refusal or outcome.results
    assert not outcome.faults


EXAMPLES = [
    ("TimezoneOffsetFromUTC", "SH", b"+09:00"),
    ("TimezoneOffsetFromUTC", "SH", b"Z "),
    ("PixelSpacing", "DS", b"0.143\\ "),
    ("PixelSpacing", "DS", b"1e400\\1e400 "),
    ("NominalScannedPixelSpacing", "DS", b"0.2\\0.2\\1 "),
    ("PatientOrientation", "CS", b"\\ "),
    ("StudyDate", "DA", b"20240101\\20240102 "),
    ("PatientID", "LO", b"12\\34 "),
]


@pytest.mark.parametrize(("keyword", "vr", "value"), EXAMPLES)
def test_a_real_sender_s_value_is_read_and_dciodvfy_finds_no_bad_value(
    keyword: str, vr: str, value: bytes, tmp_path: Path
) -> None:
    """The examples of the field; every object passes an independent checker, if there is one."""
    source = film(kind="dx", rows=320, columns=288)
    outcome = outcome_of(source, keyword, vr, value, tmp_path)
    assert outcome.refusal is None
    assert outcome.results
    assert not outcome.faults
    if checker := shutil.which("dciodvfy"):
        for result in outcome.results:
            done = subprocess.run(
                [checker, str(tmp_path / "out" / result.path)],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert "Error" not in done.stdout + done.stderr
