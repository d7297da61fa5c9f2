"""The small PACS of the demo stores what it acknowledges."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from support.peer import send_files

from dicom_node.demo.pacs import DemoPacs


@pytest.fixture
def films() -> list[Path]:
    """One file each of CT, RLE, JPEG 2000, big endian, deflated and SR."""
    names = (
        "CT_small.dcm",
        "MR_small_RLE.dcm",
        "JPEG2000.dcm",
        "MR_small_bigendian.dcm",
        "image_dfl.dcm",
        "test-SR.dcm",
    )
    return [Path(str(get_testdata_file(name, download=False))) for name in names]


def test_stores_what_it_receives(tmp_path: Path, films: list[Path]) -> None:
    """Any storage class in any usual transfer syntax is stored once, in its study's folder."""
    with DemoPacs(tmp_path / "pacs") as pacs:
        for _ in range(2):
            answers = send_files("127.0.0.1", pacs.port, films)
            assert {status for status, _ in answers} == {0x0000}
        instances, times = pacs.instances(), pacs.times_stored()
    assert len(instances) == len({path.stem for path in instances.values()}) == len(times)
    assert set(times.values()) >= {2}
    assert instances.keys() == times.keys()
    assert not list((tmp_path / "pacs").rglob("*.part"))


def test_a_restart_keeps_port_and_instances(tmp_path: Path, films: list[Path]) -> None:
    """After a restart it listens on the same port and still has its instances."""
    pacs = DemoPacs(tmp_path / "pacs").start()
    port = pacs.port
    send_files("127.0.0.1", port, films[:1])
    pacs.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with pacs.start():
        assert pacs.port == port
        assert len(pacs.instances()) == 1
        assert send_files("127.0.0.1", port, films[1:2])[0][0] == 0x0000
    assert len(pacs.instances()) == 2


def test_an_instance_without_a_study_is_refused(tmp_path: Path, films: list[Path]) -> None:
    """An instance without a Study Instance UID is refused."""
    ds = dcmread(films[0])
    ds.StudyInstanceUID = ""
    ds.save_as(tmp_path / "odd.dcm")
    with DemoPacs(tmp_path / "pacs") as pacs:
        [(status, _)] = send_files("127.0.0.1", pacs.port, [tmp_path / "odd.dcm"])
    assert status == 0xC000
    assert pacs.instances() == {}
