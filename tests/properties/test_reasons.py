"""The reason of a refusal never quotes free text of a header."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dicom_node import gate, select_images
from dicom_node.config import Config
from dicom_node.domain.values import Refusal

#: What selection and gate look at and a person or a machine may have filled with anything.
FREE = (
    "BodyPartExamined", "ViewPosition", "PatientOrientation", "Modality", "ImageType",
    "SeriesDescription", "StudyDescription", "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PresentationIntentType", "PhotometricInterpretation", "PatientAge", "PatientBirthDate",
    "SOPClassUID", "Laterality", "PatientComments",
)  # fmt: skip

hostile = st.text(
    st.sampled_from("[]/<>&\x1b\u202eabcXYZ 019") | st.characters(exclude_categories=["Cs"]),
    max_size=10,
)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(keyword=st.sampled_from(FREE), text=hostile)
def test_no_reason_holds_what_a_header_says(keyword: str, text: str) -> None:
    """Neither for selection nor for the gate, whatever the text and wherever it is."""
    word = f"Qx{text}xQ"
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    ds.Modality, ds.BodyPartExamined, ds.ViewPosition = "CR", "CHEST", "PA"
    ds.Rows = ds.Columns = 512
    ds.PhotometricInterpretation = "MONOCHROME2"
    setattr(ds, keyword, word)
    config = Config()
    today = date(2026, 1, 2)
    for found in (
        select_images.select(ds, config.select),
        gate.examine_header(ds, config.gate, today),
    ):
        if isinstance(found, Refusal):
            assert "Qx" not in found.reason, found.reason
            assert "qx" not in found.reason.casefold(), found.reason
            assert all(each.isprintable() for each in found.reason)
            assert not set("<>[]&") & set(found.reason)
