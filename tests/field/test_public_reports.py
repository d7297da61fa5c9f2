"""Public reports about other programs: the node does with each film what docs/FIELD.md says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from support.film import write
from support.receiving import MemoryStore, receiver

from dicom_node import gate, pixels, select_images
from dicom_node.config import Config
from dicom_node.domain.values import Image
from dicom_node.errors import Refused
from dicom_node.pipeline import Pipeline
from dicom_node.pixels.bounds import file_meta
from dicom_node.receive.header_scan import read_header
from field.page import PAGE, reports_table
from field.reports import REPORTS, headers, network
from field.reports.report import SAME, Report, chest, shown
from field.test_field import Scripted

# No pictures are drawn: these tests are about what comes in.
CONFIG = Config.model_validate(
    {
        "select": {"min_side": 64, "max_aspect": 9},
        "results": {"summary": False, "heatmaps": "none"},
    }
)

ALL = (*REPORTS, *network.REPORTS)


def by_thread(report: Report | network.NetworkReport) -> str:
    return report.thread


def seen(path: Path) -> Image | str:
    """What the networks would see, or the code of the refusal."""
    try:
        ds = pixels.read_dataset(path)
        refusal = select_images.select(ds, CONFIG.select) or gate.examine_header(ds, CONFIG.gate)
        return refusal.code.value if refusal else pixels.to_image(ds)
    except Refused as error:
        return error.code


@pytest.mark.parametrize("report", [r for r in REPORTS if r not in headers.REPORTS], ids=by_thread)
@pytest.mark.filterwarnings("ignore")
def test_the_film_of_a_report_is_seen_as_it_should_be(report: Report, tmp_path: Path) -> None:
    """The picture is the one that the film shows, or the refusal has the right code."""
    path = tmp_path / "film.dcm"
    path.write_bytes(report.make())
    image = seen(path)
    if report.expected != SAME or isinstance(image, str):
        assert image == report.expected
        return
    expected = report.picture() if report.picture else shown()
    assert image.pixels.shape == expected.shape
    assert np.abs(image.pixels - expected).mean() <= report.within


@pytest.mark.parametrize("report", headers.REPORTS, ids=by_thread)
@pytest.mark.filterwarnings("ignore")
def test_the_header_of_a_report_costs_no_result(report: Report, tmp_path: Path) -> None:
    """The film is read, or refused with the right code; its objects may leave."""
    path = tmp_path / "film.dcm"
    path.write_bytes(report.make())
    pipeline = Pipeline(
        config=CONFIG, reader=Scripted(), clock=lambda: datetime(2026, 1, 2, tzinfo=UTC)
    )
    outcome = pipeline.read(path, tmp_path / "out")
    assert (outcome.refusal.code.value if outcome.refusal else SAME) == report.expected
    assert not outcome.faults
    assert outcome.results or outcome.refusal


@pytest.mark.parametrize("report", [r for r in REPORTS if r.scanned], ids=by_thread)
@pytest.mark.filterwarnings("ignore")
def test_the_receiver_finds_its_way_through_the_file_of_a_report(
    report: Report, tmp_path: Path
) -> None:
    """The pixels are found behind whatever lies before them, so that the object can be kept."""
    path = tmp_path / "film.dcm"
    path.write_bytes(report.make())
    with path.open("rb") as file:
        syntax, start = file_meta(file.read(4096))
    assert read_header(path, start, syntax).pixel_bytes


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a receiver."""
    with receiver(tmp_path_factory.mktemp("node"), MemoryStore()) as node:
        yield node.ports[0]


@pytest.mark.parametrize("report", network.REPORTS, ids=by_thread)
@pytest.mark.filterwarnings("ignore")
def test_the_peer_of_a_report_is_answered_as_it_should_be(
    report: network.NetworkReport, port: int
) -> None:
    """Success, or the end of the association, at once."""
    assert report.ask(port) == report.expected


def test_the_page_lists_every_report() -> None:
    """``python -m field --reports`` writes the table."""
    assert reports_table(ALL) in PAGE.read_text(encoding="utf-8")


def test_no_report_is_there_twice() -> None:
    """A thread is tried once; the film that all are made of is read."""
    threads = [report.thread for report in ALL]
    assert len(set(threads)) == len(threads) >= 50


def test_the_film_that_all_are_made_of_is_seen(tmp_path: Path) -> None:
    """So a failure is due to what its report changes."""
    image = seen(write(chest(), tmp_path / "film.dcm"))
    assert isinstance(image, Image)
    np.testing.assert_allclose(image.pixels, shown(), atol=1e-3)
