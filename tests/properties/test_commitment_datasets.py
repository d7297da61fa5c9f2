"""The data sets of storage commitment: what is written is read again, and nothing else is read."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from dicom_node.commitment.datasets import (
    MAX_REFERENCES,
    event_type,
    read_report,
    read_request,
    report_data_set,
    request_data_set,
)
from dicom_node.domain.commitment import CommitmentReport, Failure, Reference

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, on bytes that are no data set

_UIDS = st.integers(min_value=0, max_value=2**128 - 1).map("2.25.{}".format)
_REFERENCES = st.builds(Reference, sop_class_uid=_UIDS, sop_instance_uid=_UIDS)
_REPORTS = st.builds(
    CommitmentReport,
    transaction_uid=_UIDS,
    kept=st.lists(_REFERENCES, max_size=4).map(tuple),
    missing=st.lists(
        st.builds(Failure, reference=_REFERENCES, code=st.integers(1, 0xFFFF)), max_size=4
    ).map(tuple),
)


def _travelled(ds: Dataset, implicit: bool) -> Dataset:
    encoded = encode(ds, implicit, True)
    assert encoded is not None
    return decode(BytesIO(encoded), implicit, True)


@given(report=_REPORTS, implicit=st.booleans())
def test_a_report_is_read_as_it_was_written(report: CommitmentReport, implicit: bool) -> None:
    """In both uncompressed syntaxes; its event type says whether anything is missing."""
    ds = _travelled(report_data_set(report), implicit)
    assert read_report(lambda: ds) == report
    assert event_type(report) == (2 if report.missing else 1)


@given(transaction=_UIDS, references=st.lists(_REFERENCES, min_size=1, max_size=4))
def test_a_request_is_read_as_it_was_written(transaction: str, references: list[Reference]) -> None:
    """With its instances in their order."""
    ds = _travelled(request_data_set(transaction, references), implicit=True)
    assert read_request(lambda: ds) == (transaction, tuple(references))


@given(noise=st.binary(max_size=200), at=st.integers(0, 199), implicit=st.booleans())
def test_whatever_comes_is_read_or_refused(noise: bytes, at: int, implicit: bool) -> None:
    """Any bytes, and a request with any bytes in its middle: a ValueError at most."""
    one = [Reference(sop_class_uid="1.2.3", sop_instance_uid="1.2.4")]
    whole = encode(request_data_set("1.2.5", one), implicit, True) or b""
    for content in (noise, whole[: at % len(whole)] + noise + whole[at % len(whole) :]):
        for read in (read_request, read_report):
            with suppress(ValueError):
                read(partial(decode, BytesIO(content), implicit, True))


def test_a_request_has_an_end() -> None:
    """More instances than any study has are refused."""
    many = [Reference(sop_class_uid="1.2.3", sop_instance_uid="1.2.4")] * (MAX_REFERENCES + 1)
    with pytest.raises(ValueError, match="not a storage commitment request"):
        read_request(lambda: request_data_set("1.2.5", many))
