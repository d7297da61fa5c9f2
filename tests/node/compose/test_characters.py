"""Names and words in every character set, rightly and wrongly declared: in as bytes, out as UTF-8.

The examples are those of PS3.5 Annexes H to K and of PS3.5 6.1.2.5, byte by byte.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.charset import python_encoding
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from support import readings
from support.fakes import FakeClock
from support.film import film, phantom, write
from support.objects import composed, through_disk
from support.receiving import MemoryStore, RawPeer, encoded, receiver

from dicom_node.check_objects import check_files
from dicom_node.compose.sanitize import clean
from dicom_node.config import Config
from dicom_node.domain.values import Image
from dicom_node.errors import Refused
from dicom_node.pipeline import Pipeline
from dicom_node.pixels import read_dataset
from models.reading import Look, ModelIdentity, Reading

CHARSET, NAME, DESCRIPTION, INSTITUTION, ADDRESS, COMMENTS = (
    0x00080005, 0x00100010, 0x00081030, 0x00080080, 0x00080081, 0x00104000,
)  # fmt: skip
VRS = {CHARSET: b"CS", NAME: b"PN", ADDRESS: b"ST", COMMENTS: b"LT"}  # the others are LO
YAMADA = (
    b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"
    b"=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
)  # fmt: skip
# charset, bytes, what a person called so would read
STANDARD = [
    pytest.param(b"\\ISO 2022 IR 87", YAMADA, "Yamada^Tarou=山田^太郎=やまだ^たろう", id="H.3.1"),
    pytest.param(
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
        b"=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        id="H.3.2",
    ),
    pytest.param(
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
        id="I.2",
    ),
    pytest.param(
        b"ISO_IR 192",
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1",
        "Wang^XiaoDong=王^小東",
        id="J.1",
    ),
    pytest.param(
        b"GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东", id="J.3"
    ),
    pytest.param(
        b"GBK", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东", id="J.4"
    ),
    pytest.param(
        b"\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
        "Zhang^XiaoDong=张^小东",
        id="K.2",
    ),
    pytest.param(b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme", id="latin-1"),
    pytest.param(b"ISO_IR 101", b"Wa\xb3\xeasa^Lech", "Wałęsa^Lech", id="latin-2"),
    pytest.param(b"ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг", id="cyrillic"),  # noqa: RUF001
    pytest.param(b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος", id="greek"),
    pytest.param(
        b"ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار", id="arabic"
    ),
    pytest.param(
        b"ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה", id="hebrew"
    ),
    pytest.param(b"ISO_IR 148", b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu", id="turkish"),
    pytest.param(b"ISO_IR 166", b"\xca\xc1\xaa\xd2\xc2", "สมชาย", id="thai"),
    pytest.param(
        b"ISO 2022 IR 100\\ISO 2022 IR 126\\ISO 2022 IR 144",
        b"Buc^J\xe9r\xf4me=\x1b-F\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2=\x1b-L\xbb\xee\xda",
        "Buc^Jérôme=Διονυσιος=Люк",
        id="three-sets",
    ),
    # the second byte of these two is a backslash's, which here separates nothing
    pytest.param(b"GB18030", b"Wang=\x81\x5c\x8c\x5c", "Wang=乗孿", id="backslash-byte"),
]
# Wrong in a recognisable way: the text is saved
RECOGNISED = [
    pytest.param(
        b"ISO_IR 100", "Buc^Jérôme=王^小東".encode(), "Buc^Jérôme=王^小東", id="utf8-as-latin-1"
    ),
    pytest.param(b"ISO_IR 144", "Иванова^Мария".encode(), "Иванова^Мария", id="utf8-as-cyrillic"),
    pytest.param(None, "Müller^Jürgen".encode(), "Müller^Jürgen", id="utf8-undeclared"),
    pytest.param(b"", "Müller^Jürgen".encode(), "Müller^Jürgen", id="utf8-declared-empty"),
    pytest.param(None, b"M\xfcller^J\xfcrgen", "Müller^Jürgen", id="latin-1-undeclared"),
    pytest.param(b"ISO IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme", id="misspelt"),
    pytest.param(b"ISO_IR 999", b"Buc^J\xe9r\xf4me", "Buc^Jérôme", id="unknown-set"),
    pytest.param(b"ISO_IR 999", "Buc^Jérôme".encode(), "Buc^Jérôme", id="unknown-set-utf8"),
]
# Wrong beyond saving: what was plain stays, the rest is there to be seen
LOST = [
    pytest.param(None, b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong", id="gb"),
    pytest.param(None, YAMADA, "Yamada^Tarou", id="escapes-undeclared"),
    pytest.param(b"ISO_IR 100", YAMADA, "Yamada^Tarou", id="escapes-as-latin-1"),
    pytest.param(b"ISO_IR 192", YAMADA, "Yamada^Tarou", id="escapes-as-utf8"),
    pytest.param(b"\\ISO 2022 IR 87", b"Yamada=\x1b$B;3E\x1b(", "Yamada", id="half-an-escape"),
    pytest.param(b"\\ISO 2022 IR 87", b"Yamada=\x1b$ZZZ", "Yamada", id="unknown-escape"),
    pytest.param(b"ISO_IR 192", b"Buc=J\xe9r\xf4me", "Buc", id="latin-1-as-utf8"),
    pytest.param(b"ISO_IR 192\\ISO 2022 IR 87", YAMADA, "Yamada^Tarou", id="utf8-with-extension"),
    pytest.param(b"nonsense\\\\ISO_IR 999", b"Buc=J\xe9r", "Buc", id="nonsense"),
    pytest.param(b"GB18030", b"Wang=\x81\xff\xff", "Wang", id="broken-gb"),
    pytest.param(b"ISO_IR 100", b"Buc=\x9b\x00\x1f", "Buc", id="controls"),
]  # fmt: skip


class SureReader:
    """Sees a frontal chest film, and no pneumonia."""

    identity: ModelIdentity = readings.MODEL

    def look(self, image: Image) -> Look:
        return readings.look()

    def read(self, image: Image, *, force_stage3: bool = False, **_: object) -> Reading:
        return readings.negative(readings.frame(*image.pixels.shape))


@dataclass
class Door:
    """A receiver and what came in through it."""

    data_dir: Path
    store: MemoryStore
    port: int


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    store, folder = MemoryStore(), tmp_path_factory.mktemp("data")
    with receiver(folder, store) as node:
        yield Door(folder, store, node.ports[0])


def element(tag: int, value: bytes) -> bytes:
    """One element, Explicit VR Little Endian, padded as text is."""
    value += b" " * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, VRS.get(tag, b"LO"), len(value)) + value


def bytes_of(source: Dataset, charset: bytes | None, text: bytes) -> bytes:
    """The film as it travels, with this text as its name and in other fields."""
    raw = {tag: text for tag in (NAME, DESCRIPTION, INSTITUTION, ADDRESS, COMMENTS)}
    if charset is not None:
        raw[CHARSET] = charset
    parts = {int(tag): b"" for tag, _ in source.items()}
    for tag in parts:
        alone = Dataset()
        alone[tag] = source[tag]
        parts[tag] = encoded(alone)
    del parts[CHARSET]
    parts |= {tag: element(tag, value) for tag, value in raw.items()}
    return b"".join(parts[tag] for tag in sorted(parts))


def journey(
    door: Door, folder: Path, charset: bytes | None, text: bytes
) -> tuple[Dataset, list[Dataset]]:
    """Send the film as bytes; what the node reads of its spool, and what it makes of that."""
    source = film(phantom(96, 80, marker=None))
    uid, sent = str(source.SOPInstanceUID), bytes_of(source, charset, text)
    with RawPeer(door.port, str(source.SOPClassUID)) as peer:
        assert peer.store(uid, sent) == 0
    spooled = door.data_dir / door.store.rows[uid].path
    assert spooled.read_bytes().endswith(sent)  # kept as it came
    read = read_dataset(spooled)
    objects = through_disk(composed(read, readings.negative(readings.frame(96, 80))), folder)
    assert check_files(sorted(folder.iterdir()), read) == []
    for path in folder.iterdir():
        assert name_in(path.read_bytes()).decode("utf-8")
    return read, objects


def name_in(file: bytes) -> bytes:
    """The raw bytes of Patient's Name in a file of ours."""
    at = file.index(struct.pack("<HH2s", NAME >> 16, NAME & 0xFFFF, b"PN"))
    (length,) = struct.unpack_from("<H", file, at + 6)
    return file[at + 8 : at + 8 + length]


@pytest.mark.parametrize(("charset", "text", "expected"), [*STANDARD, *RECOGNISED])
def test_a_name_comes_in_as_bytes_and_leaves_as_utf_8(
    door: Door, tmp_path: Path, charset: bytes | None, text: bytes, expected: str
) -> None:
    """Every object says ISO_IR 192, and means the same person, study and hospital."""
    _, objects = journey(door, tmp_path, charset, text)
    for path, ds in zip(sorted(tmp_path.iterdir()), objects, strict=True):
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert str(ds.PatientName) == expected
        assert name_in(path.read_bytes()).rstrip() == expected.encode()
        assert ds.StudyDescription == expected
        assert (ds.InstitutionName, ds.InstitutionAddress) == (expected, expected)
        assert ds.PatientComments == expected


@pytest.mark.parametrize(("charset", "text", "plain"), LOST)
def test_an_undecodable_name_stalls_nothing(
    door: Door, tmp_path: Path, charset: bytes | None, text: bytes, plain: str
) -> None:
    """The plain part stays; what cannot be decoded becomes legal, visible text."""
    _, objects = journey(door, tmp_path, charset, text)
    for ds in objects:
        assert ds.SpecificCharacterSet == "ISO_IR 192"
        assert str(ds.PatientName).startswith(plain)
        assert not any(ord(character) < 32 for character in str(ds.PatientName))


@pytest.mark.parametrize("charset", [b"\\ISO 2022 IR 87", None, b"nonsense"])
def test_such_a_film_is_read_to_the_end(tmp_path: Path, charset: bytes | None) -> None:
    """Selected, read, composed and checked, whatever its name."""
    source = film(phantom(320, 288, marker=None))
    path = write(source, tmp_path / "film.dcm")
    plain, sent = encoded(source), bytes_of(source, charset, YAMADA)
    assert path.read_bytes().endswith(plain)
    path.write_bytes(path.read_bytes().removesuffix(plain) + sent)
    outcome = Pipeline(config=Config(), reader=SureReader(), clock=FakeClock()).read(
        path, tmp_path / "out"
    )
    assert (outcome.refusal, outcome.faults) == (None, ())
    assert outcome.results


def test_components_and_values_keep_their_places(door: Door, tmp_path: Path) -> None:
    """Five components in three groups, one of them empty, and several other names."""
    text = "Yamada^Tarou^^Dr.^jun.==やまだ^たろう".encode()
    _, objects = journey(door, tmp_path, b"ISO_IR 192", text)
    name = objects[0].PatientName
    assert (name.family_name, name.name_prefix, name.name_suffix) == ("Yamada", "Dr.", "jun.")
    assert (name.ideographic, name.phonetic) == ("", "やまだ^たろう")
    source = Dataset()
    source.SpecificCharacterSet = "ISO_IR 192"
    source.OtherPatientNames = ["Müller^Jürgen", "王^小东"]
    assert [str(n) for n in clean(source, ["OtherPatientNames"]).OtherPatientNames] == [
        "Müller^Jürgen", "王^小东",
    ]  # fmt: skip


def test_words_within_sequences_are_corrected_too(tmp_path: Path) -> None:
    """An item speaks the character set of its object."""
    source = film(phantom(96, 80), SpecificCharacterSet="ISO_IR 100")
    order = Dataset()
    order.RequestedProcedureDescription = "Müller".encode().decode("latin-1")
    source.RequestAttributesSequence = [order]
    (kept,) = clean(source, ["RequestAttributesSequence"]).RequestAttributesSequence
    assert kept.RequestedProcedureDescription == "Müller"


def test_text_is_cut_and_an_identifier_is_not() -> None:
    """Half a description says less; half an identifier names another patient."""
    source = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source.StudyDescription = "x" * 99
        source.PatientID = "1" * 99
        source.PatientName = "N" * 99 + "=" + "王" * 99
    kept = clean(source, ["StudyDescription", "PatientID", "PatientName"])
    assert (len(kept.StudyDescription), len(kept.PatientID)) == (64, 99)
    assert kept.PatientName == "N" * 64 + "=" + "王" * 64


def test_an_element_under_another_vr_is_kept_where_it_can_be_one_of_its_own() -> None:
    """A spacing declared as text is a number in our objects, or it is not there."""
    source = Dataset()
    for keyword, vr, value in (
        ("PixelSpacing", "LO", ["0.14", "0.14"]),
        ("ImagerPixelSpacing", "SH", ["x0.7", "0.7"]),
        ("PatientID", "CS", "A 1"),
    ):
        source.add(DataElement(keyword, vr, value))
    kept = clean(source, ["PixelSpacing", "ImagerPixelSpacing", "PatientID"])
    assert {each.keyword: each.VR for each in kept} == {"PatientID": "LO", "PixelSpacing": "DS"}
    assert [float(one) for one in kept.PixelSpacing] == [0.14, 0.14]
    assert kept.PatientID == "A 1"


def test_a_film_whose_uids_have_leading_zeros_is_answered(tmp_path: Path) -> None:
    """Forbidden, common in the field, and the archive knows the study by that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = film(phantom(96, 80), StudyInstanceUID="1.2.03.4", SOPInstanceUID="1.2.05")
        objects = composed(source, readings.negative(readings.frame(96, 80)))
    assert {str(ds.StudyInstanceUID) for ds in objects} == {"1.2.03.4"}


CHARSETS = st.none() | st.binary(max_size=32) | st.lists(
    st.sampled_from([*python_encoding, "ISO_IR 999", "ISO IR 100", "utf_7", "undefined", "hex"]),
    max_size=4,
).map(lambda terms: "\\".join(terms).encode())  # fmt: skip
NAMES = st.binary(max_size=300) | st.text(max_size=100).map(
    lambda text: text.encode("utf-8", "surrogatepass")
) | st.lists(
    st.sampled_from([b"^", b"=", b"\\", b"\x1b$B", b"\x1b(B", b"\x1b$)C", b"\x1b", b"A", b"\xe9"])
).map(b"".join)  # fmt: skip


@given(charset=CHARSETS, text=NAMES)
@settings(max_examples=300, deadline=None)
def test_no_bytes_in_no_character_set_stop_a_film(charset: bytes | None, text: bytes) -> None:
    """Whatever stands in a name and its declaration, legal UTF-8 leaves, within the VR's length."""
    data = b"" if charset is None else element(CHARSET, charset)
    data += element(0x00080016, b"1.2.840.10008.5.1.4.1.1.1") + element(NAME, text)
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        try:
            source = read_dataset(Path(file.name))
        except Refused:  # a NUL within the declaration: a coded no
            return
    ours = clean(source, ["PatientName"])
    ours.SpecificCharacterSet = "ISO_IR 192"
    sent = encoded(ours)
    if "PatientName" in ours:
        name = name_in(sent).decode("utf-8")
        for value in name.split("\\"):
            assert all(len(group.rstrip()) <= 64 for group in value.split("="))
            assert value.count("=") <= 2
        assert not any(ord(character) < 32 for character in name)
