"""STOW-RS requests, in pieces of any size."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from support.receiving import SECRET, MemoryStore, now, small_film

from dicom_node.config import Config, QuotasConfig, SpoolConfig
from dicom_node.domain.audit import AuditKind
from dicom_node.receive.associations import Link
from dicom_node.receive.keeping import Keeping
from dicom_node.receive.stow import BadRequest, StowRequest

TYPE = 'multipart/related; type="application/dicom"; boundary="b"'
END = b"\r\n--b--\r\n"


def part10(ds: Dataset, *, preamble: bool = True) -> bytes:
    """The object as a file."""
    with BytesIO() as out:
        dcmwrite(out, ds, enforce_file_format=preamble)
        return out.getvalue()


def body(*objects: bytes) -> bytes:
    """The body of a request with these objects."""
    head = b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + each for each in objects) + END


class Node:
    """A receiver's rooms without its listeners."""

    def __init__(self, folder: Path, **sections: object) -> None:
        node = Config().node.model_copy(update={"data_dir": folder})
        sections = {"spool": SpoolConfig(min_free_mb=0), **sections}
        self.config = Config().model_copy(update={"node": node, **sections})
        self.store = MemoryStore()
        self.keeping = Keeping.of(self.config, self.store, self.store, now, SECRET)
        self.keeping.spool.prepare()

    def post(
        self, pieces: Sequence[bytes] | Iterator[bytes], study: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Post a body; HTTP status and DICOM JSON of the answer."""
        link = Link(address="10.0.0.1", calling="web", called="AINODE", service="STOW-RS")
        try:
            request = StowRequest(self.keeping, link, TYPE, study)
            try:
                for piece in pieces:
                    request.write(piece)
                return request.answer()
            finally:
                request.discard()
        except BadRequest as error:
            return error.status, {}

    @property
    def left(self) -> list[Path]:
        """Files of objects that did not arrive whole."""
        return list(self.keeping.spool.incoming.iterdir())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def listed(said: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    """SOP Instance UID and Failure Reason of each item of a sequence."""
    return [
        {
            tag: item[tag]["Value"][0]
            for tag in ("00081155", "00081197")
            if "Value" in item.get(tag, ())
        }
        for item in said.get(tag, {}).get("Value", [])
    ]


def test_an_object_is_kept_as_by_c_store(node: Node) -> None:
    """Row, bytes, and the audit lines of a film; the answer names it."""
    film = small_film()
    status, said = node.post([body(part10(film))])
    assert status == 200
    assert listed(said, "00081199") == [{"00081155": film.SOPInstanceUID}]
    row = node.store.rows[film.SOPInstanceUID]
    assert row.calling_ae_title == "web"
    kept = (node.config.node.data_dir / row.path).read_bytes()
    assert kept[-len(film.PixelData) :] == film.PixelData
    assert node.store.kinds() == [AuditKind.ASSOCIATION_ACCEPTED, AuditKind.INSTANCE_RECEIVED]
    assert node.store.events[1].detail["service"] == "STOW-RS"
    assert node.left == []


def test_a_client_that_leaves_out_the_preamble_is_understood(node: Node) -> None:
    """As dicomweb-client does for objects that it did not read from a file."""
    assert node.post([body(part10(small_film(), preamble=False))])[0] == 200


FILMS = [small_film(seed) for seed in range(2)]
BODY = body(*map(part10, FILMS), b"no DICOM file")


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(0, len(BODY)), max_size=20))
def test_pieces_of_any_size_say_the_same(cuts: list[int]) -> None:
    """Wherever the network cuts the body."""
    edges = [0, *sorted(cuts), len(BODY)]
    with TemporaryDirectory() as folder:
        node = Node(Path(folder))
        status, said = node.post(BODY[start:end] for start, end in pairwise(edges))
        assert status == 202
        assert [each["00081155"] for each in listed(said, "00081199")] == [
            ds.SOPInstanceUID for ds in FILMS
        ]
        assert listed(said, "00081198") == [{"00081197": 0xC000}]
        assert node.left == []


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=400), st.integers(0, len(BODY)))
def test_no_bytes_do_harm(noise: bytes, at: int) -> None:
    """A damaged body is answered and leaves nothing behind; what is said to be stored is."""
    with TemporaryDirectory() as folder:
        node = Node(Path(folder))
        status, said = node.post([BODY[:at] + noise + BODY[at + len(noise) :]])
        assert status in (200, 202, 400, 409, 413)
        assert node.left == []
        stored = {each["00081155"] for each in listed(said, "00081199")}
        assert stored <= node.store.rows.keys()


def test_a_body_that_ends_early_is_no_success(node: Node) -> None:
    """The client sends again; what was whole is kept, and is a duplicate then."""
    whole = body(*map(part10, FILMS))
    status, _ = node.post([whole[: -len(END)]])
    assert status == 400
    assert node.left == []
    status, said = node.post([whole])
    assert status == 200
    assert len(listed(said, "00081199")) == 2
    assert AuditKind.INSTANCE_DUPLICATE in node.store.kinds()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, 0x0122),  # CT Image Storage
        ({"StudyInstanceUID": ""}, 0xA900),
        ({"PixelData": b"\0\0"}, 0xC000),
    ],
)
def test_a_refusal_has_its_reason_and_its_line(
    node: Node, change: dict[str, Any], reason: int
) -> None:
    """The codes of C-STORE, and the same line in the audit log."""
    film = small_film(**change)
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
    status, said = node.post([body(part10(film))])
    assert status == 409
    assert [each["00081197"] for each in listed(said, "00081198")] == [reason]
    assert AuditKind.INSTANCE_REFUSED in node.store.kinds()
    assert node.store.rows == {}
    assert node.left == []


def test_a_study_in_the_address_is_that_of_its_objects(node: Node) -> None:
    """Another one is refused (PS3.18 10.5.1)."""
    film = small_film()
    assert node.post([body(part10(film))], study="1.2.3")[0] == 409
    assert node.post([body(part10(film))], study=film.StudyInstanceUID)[0] == 200


def test_a_full_disk_and_a_quota_mean_later(tmp_path: Path) -> None:
    """503, and each object has the reason A700."""
    full = Node(tmp_path / "full", spool=SpoolConfig(min_free_mb=10**9))
    few = Node(tmp_path / "few", quotas=QuotasConfig(peer_objects=1))
    for node, film in ((full, FILMS[0]), (few, FILMS[1])):
        few.post([body(part10(FILMS[0]))])
        status, said = node.post([body(part10(film))])
        assert status == 503
        assert [each["00081197"] for each in listed(said, "00081198")] == [0xA700]


def test_a_large_object_needs_little_memory_and_a_too_large_one_is_refused(tmp_path: Path) -> None:
    """Only a piece of the body is in memory; `spool.max_object_mb` holds."""
    film = small_film(Rows=4096, Columns=4096, PixelData=b"\0" * (2 * 4096 * 4096))
    whole = body(part10(film))
    pieces = [whole[start : start + 65536] for start in range(0, len(whole), 65536)]
    node, small = Node(tmp_path / "a"), Node(tmp_path / "b", spool=SpoolConfig(max_object_mb=16))
    tracemalloc.start()
    try:
        assert node.post(iter(pieces))[0] == 200
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()
    assert small.post(iter(pieces))[0] == 413
    assert small.left == []


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/dicom", 415),
        ("multipart/form-data; boundary=b", 415),
        ('multipart/related; type="application/dicom+json"; boundary=b', 415),
        ('multipart/related; type="application/dicom"', 400),
        (f"multipart/related; boundary={'b' * 100}", 400),
        ("", 415),
    ],
)
def test_another_media_type_is_refused(node: Node, media_type: str, status: int) -> None:
    """Before any byte of the body is looked at."""
    with pytest.raises(BadRequest) as refused:
        StowRequest(node.keeping, Link(address="10.0.0.1"), media_type, None)
    assert refused.value.status == status


def test_parts_that_are_no_objects_fill_no_log_and_get_round_no_quota(tmp_path: Path) -> None:
    """A thousand of them cost their sender its quota, and are two audit lines."""
    node = Node(tmp_path, quotas=QuotasConfig(peer_objects=600))
    status, said = node.post([body(*[b"no film" * 30] * 1000)])
    assert status == 409
    assert len(listed(said, "00081198")) == 1000
    node.keeping.floods.flush(everything=True)
    kinds = node.store.kinds()
    assert kinds.count(AuditKind.INSTANCE_REFUSED) == 2
    assert kinds.count(AuditKind.QUOTA_EXCEEDED) == 2
    assert node.post([body(part10(small_film()))])[0] == 503
