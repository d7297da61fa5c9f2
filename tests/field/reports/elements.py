"""Reports about how elements and sequences are encoded."""

from __future__ import annotations

from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian

from field.reports.report import (
    END,
    UNDEFINED,
    Report,
    chest,
    explicit,
    implicit,
    item,
    part10,
)

_ENTRY = implicit(0x00080100, b"T1")  # Code Value, as an item's only element
_CODE = explicit(0x00080100, "SH", b"T1")


def with_element(tag: int, content: bytes) -> bytes:
    """The film, with one more element in these bytes."""
    return part10(chest(), (tag, content))


def without_vr(tag: int, value: bytes) -> bytes:
    """An explicit film with one element in implicit VR."""
    return with_element(tag, implicit(tag, value))


def icon(pixels: bytes, length: int | None = None) -> bytes:
    """An Icon Image Sequence with Pixel Data of its own."""
    content = (
        explicit(0x00280010, "US", b"\x04\0") + explicit(0x00280011, "US", b"\x04\0")
        + explicit(0x00280100, "US", b"\x08\0") + explicit(0x7FE00010, "OB", pixels, length)
    )  # fmt: skip
    return explicit(0x00880200, "SQ", item(content, defined=False) + END, UNDEFINED)


REPORTS = (
    Report(
        thread="fo-dicom/fo-dicom#1941",
        trouble="a group length with VR UN stopped the parser",
        answer="ignores the group length",
        make=lambda: with_element(0x00080000, explicit(0x00080000, "UN", bytes(4))),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1660",
        trouble="`--` in place of a VR ended the data set",
        answer="takes the length of 16 bits, as DCMTK does, and reads on",
        make=lambda: with_element(0x001021B0, b"\x10\0\xb0\x21--\x54\0" + b"G" * 0x54),
    ),
    Report(
        thread="pydicom/pydicom#1067",
        trouble="VR `06 00`: what follows is a length, not a VR",
        answer="reads the element as implicit VR",
        make=lambda: without_vr(0x00081030, b"CHEST "),
    ),
    Report(
        thread="Enet4/dicom-rs#521",
        trouble="private elements without VR in an explicit file",
        answer="reads them as implicit VR",
        make=lambda: part10(
            chest(),
            (0x00110010, explicit(0x00110010, "LO", b"Test")),
            (0x00111001, implicit(0x00111001, b"12")),
        ),
    ),
    Report(
        thread="fo-dicom/fo-dicom#47",
        trouble="a private element without VR and of undefined length in an explicit file",
        answer="skips it to its delimiter",
        make=lambda: with_element(
            0x00291001, implicit(0x00291001, item(_ENTRY) + END, UNDEFINED)
        ),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1847",
        trouble="in implicit VR the length 200A was taken for a blank VR",
        answer="does not look for VRs in implicit VR",
        make=lambda: part10(
            chest(syntax=ImplicitVRLittleEndian),
            (0x00204000, implicit(0x00204000, b"c" * 0x200A)),
        ),
    ),
    Report(
        thread="dcm4che/dcm4che#159",
        trouble="a sequence in UN whose items are in explicit VR, not implicit",
        answer="reads on behind the sequence",
        make=lambda: with_element(
            0x00102202,
            explicit(0x00102202, "UN", item(_CODE + explicit(0x00080000, "UL", b"1234"))),
        ),
    ),
    Report(
        thread="pydicom/pydicom#1312",
        trouble="a private sequence in UN of undefined length, nested",
        answer="reads the items as implicit VR (PS3.5 6.2.2)",
        make=lambda: with_element(
            0x4453100C,
            explicit(
                0x4453100C, "UN",
                item(implicit(0x00081115, item(_ENTRY, defined=False) + END, UNDEFINED),
                     defined=False) + END,
                UNDEFINED,
            ),
        ),
    ),
    Report(
        thread="cornerstonejs/dicomParser#141",
        trouble="a standard sequence in UN of undefined length",
        answer="reads the items as implicit VR",
        make=lambda: with_element(
            0x00082112, explicit(0x00082112, "UN", item(_ENTRY, defined=False) + END, UNDEFINED)
        ),
    ),
    Report(
        thread="dcmjs-org/dcmjs#492",
        trouble="a sequence in UN of defined length was stored as nonsense",
        answer="reads the items as implicit VR, or leaves the sequence out",
        make=lambda: with_element(0x0018100A, explicit(0x0018100A, "UN", item(_ENTRY))),
    ),
    Report(
        thread="cornerstonejs/dicomParser#49",
        trouble="an unknown element of undefined length swallowed the Pixel Data behind it",
        answer="ends it at its Sequence Delimitation Item",
        make=lambda: with_element(
            0x05071001, explicit(0x05071001, "SQ", item(b"") + item(_CODE) + END, UNDEFINED)
        ),
    ),
    Report(
        thread="cornerstonejs/dicomParser#181",
        trouble="an item of defined length with an Item Delimitation Item all the same",
        answer="reads on",
        make=lambda: with_element(
            0x00231080,
            explicit(0x00231080, "SQ", item(_CODE) + implicit(0xFFFEE00D, b"") + END, UNDEFINED),
        ),
    ),
    Report(
        thread="ivmartel/dwv#180",
        trouble="a sequence of defined length that ends with another one",
        answer="reads it",
        make=lambda: with_element(
            0x00400275,
            explicit(0x00400275, "SQ", item(_CODE + explicit(0x00400008, "SQ", item(_CODE)))),
        ),
    ),
    Report(
        thread="cornerstonejs/dicomParser#34",
        trouble="an element where an item should be, within a sequence of undefined length",
        answer="refuses the file: where it goes on is not certain",
        make=lambda: with_element(
            0x00081032, explicit(0x00081032, "SQ", explicit(0x0008103E, "LO", b"CHEST "), UNDEFINED)
        ),
        expected="file",
        scanned=False,
    ),
    Report(
        thread="fo-dicom/fo-dicom#944",
        trouble="a name in Other Patient IDs Sequence",
        answer="leaves the element out",
        make=lambda: with_element(
            0x00101002, explicit(0x00101002, "SQ", b"Phantom,Maria\0")
        ),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1982",
        trouble="six characters in Person Names to Use Sequence",
        answer="leaves the element out",
        make=lambda: with_element(0x00100011, explicit(0x00100011, "SQ", b"ABCDEF")),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1057",
        trouble="Related Series Sequence in UN with bytes that are no items",
        answer="leaves the element out",
        make=lambda: with_element(0x00081250, explicit(0x00081250, "UN", b"\1\2\3\4\5\6")),
    ),
    Report(
        thread="fo-dicom/fo-dicom#133",
        trouble="compressed Pixel Data within an item",
        answer="keeps the icon's pixels and the film's apart",
        make=lambda: with_element(
            0x00880200, icon(encapsulate([b"\xff\xd8\xff\xd9"]) + END, UNDEFINED)
        ),
    ),
    Report(
        thread="suyashkumar/dicom#77",
        trouble="the Pixel Data of an icon were read with the rows of the film",
        answer="keeps the icon's pixels and the film's apart",
        make=lambda: with_element(0x00880200, icon(bytes(16))),
    ),
    Report(
        thread="ImagingDataCommons/libdicom#48",
        trouble="the curves (group 5000) and group lengths of old files were invalid tags",
        answer="ignores them",
        make=lambda: part10(
            chest(),
            (0x00080000, explicit(0x00080000, "UL", b"\x10\0\0\0")),
            (0x50000005, explicit(0x50000005, "US", b"\1\0")),
            (0x50003000, explicit(0x50003000, "OW", bytes(8))),
        ),
    ),
)  # fmt: skip
