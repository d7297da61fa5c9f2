"""Older films from a DICOMweb service: searched page by page, kept as films that are sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydicom.dataset import Dataset
from support.receiving import SECRET, MemoryStore, now, small_film

from dicom_node.backfill.door import Door
from dicom_node.backfill.query import Series, Study, studies_by_web
from dicom_node.backfill.retrieve import ByWado, Sent
from dicom_node.config import Config, NodeConfig, SpoolConfig, WebDestination
from dicom_node.deliver.web_archive import WebArchive
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import BACKFILL
from dicom_node.errors import PeerUnavailable

DAY = date(2026, 1, 5)
_BOUNDARY = "a-boundary"
_KEYS = ("StudyInstanceUID", "ModalitiesInStudy", "SeriesInstanceUID", "Modality")


class Service:
    """QIDO-RS and WADO-RS over films in memory; `cut` ends each answer of WADO-RS too early."""

    def __init__(self) -> None:
        self.films: list[Dataset] = []
        self.cut = False
        self.kind = "multipart/related"
        self.url = ""

    def search(self, path: list[str], query: dict[str, list[str]]) -> list[dict[str, Any]]:
        of_day = query.get("StudyDate", [""])[0]
        of_study = path[1] if len(path) > 1 else ""
        found = {}
        for film in self.films:
            if of_day in ("", film.StudyDate) and of_study in ("", film.StudyInstanceUID):
                match = Dataset()
                film.ModalitiesInStudy = [film.Modality]
                for key in _KEYS:
                    setattr(match, key, film[key].value)
                match.NumberOfSeriesRelatedInstances = 1
                found[film.SeriesInstanceUID if of_study else film.StudyInstanceUID] = match
        first = int(query["offset"][0])
        page = [*found.values()][first : first + int(query["limit"][0])]
        return [each.to_json_dict() for each in page]

    def retrieve(self, series: str) -> bytes:
        parts = b""
        for film in self.films:
            if film.SeriesInstanceUID == series:
                file = BytesIO()
                film.save_as(file, enforce_file_format=True)
                head = f"\r\n--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n"
                parts += head.encode() + file.getvalue()
        end = f"\r\n--{_BOUNDARY}--\r\n".encode()
        return parts[:-10] if self.cut else parts + end


@contextmanager
def service() -> Iterator[Service]:
    made = Service()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name upstairs
            """Say nothing."""

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            path = asked.path.strip("/").split("/")
            if len(path) == 4:
                kind = f'{made.kind}; type="application/dicom"; boundary={_BOUNDARY}'
                content = made.retrieve(path[3])
            else:
                kind = "application/dicom+json"
                content = json.dumps(made.search(path, parse_qs(asked.query))).encode()
            self.send_response(200 if content else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def archive(of: Service) -> WebArchive:
    return WebArchive(WebDestination(name="web", kind="dicomweb", url=of.url), 10.0, 30.0)


def way(of: Service, folder: Path, store: MemoryStore) -> ByWado:
    config = Config(node=NodeConfig(data_dir=folder), spool=SpoolConfig(min_free_mb=0))
    own = archive(of)
    return ByWado(own, Door(config, own.service, store, store, now, SECRET))


def film(number: int, **elements: Any) -> Dataset:
    ids = {"StudyInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.3.{number}"}
    return small_film(number, **{"StudyDate": f"{DAY:%Y%m%d}", **ids, **elements})


def test_the_studies_of_a_day_with_the_wanted_modalities() -> None:
    """Other days and modalities are left out."""
    with service() as made:
        made.films = [film(1), film(2, Modality="CT"), film(3, StudyDate="20260106")]
        series = Series(series_instance_uid="1.3.1", modality=made.films[0].Modality, instances=1)
        wanted = [Study(study_instance_uid="1.2.1", series=(series,))]
        assert studies_by_web(archive(made), DAY, ["CR", "DX"]) == wanted


def test_a_day_with_many_studies_comes_page_by_page() -> None:
    """One answer holds 200; a service that has more than is asked for is left."""
    with service() as made:
        for number in range(201):
            each = Dataset()
            each.StudyDate, each.Modality = f"{DAY:%Y%m%d}", "DX"
            each.StudyInstanceUID, each.SeriesInstanceUID = f"1.2.{number}", f"1.3.{number}"
            made.films.append(each)
        assert len(archive(made).studies(DAY, most=201)) == 201
        with pytest.raises(PeerUnavailable, match="more than 200 matches"):
            archive(made).studies(DAY, most=200)


def test_a_series_is_kept_as_films_that_are_sent(tmp_path: Path) -> None:
    """All objects of one answer, with audit lines; a second time they are known."""
    with service() as made:
        made.films = [film(1), film(2, StudyInstanceUID="1.2.1", SeriesInstanceUID="1.3.1")]
        store = MemoryStore()
        store.asked_for.add("1.2.1")
        by_web = way(made, tmp_path, store)
        assert by_web.fetch("1.2.1", "1.3.1") == Sent(kept=2, failed=0)
        assert [row.priority for row in store.rows.values()] == [BACKFILL] * 2
        assert {row.calling_ae_title for row in store.rows.values()} == {"web"}
        assert [event.kind for event in store.events] == [
            AuditKind.ASSOCIATION_ACCEPTED,
            AuditKind.INSTANCE_RECEIVED,
            AuditKind.INSTANCE_RECEIVED,
            AuditKind.ASSOCIATION_ENDED,
        ]
        assert store.events[0].detail["service"] == "WADO-RS"
        assert by_web.fetch("1.2.1", "1.3.1") == Sent(kept=2, failed=0)
        assert len(store.rows) == 2


def test_what_belongs_to_another_study_is_not_kept(tmp_path: Path) -> None:
    """It was not asked for."""
    with service() as made:
        made.films = [film(1)]
        store = MemoryStore()
        assert way(made, tmp_path, store).fetch("1.2.9", "1.3.1") == Sent(kept=0, failed=1)
        assert not store.rows


@pytest.mark.parametrize("fault", ["cut", "kind", "missing"])
def test_an_answer_that_cannot_be_used_fails_the_study(fault: str, tmp_path: Path) -> None:
    """Cut off, of another media type, or 404; no part of it stays in the spool."""
    with service() as made:
        made.films = [] if fault == "missing" else [film(1)]
        made.cut = fault == "cut"
        made.kind = "text/html" if fault == "kind" else made.kind
        store = MemoryStore()
        with pytest.raises(PeerUnavailable):
            way(made, tmp_path, store).fetch("1.2.1", "1.3.1")
        assert not store.rows
        assert not [*(tmp_path / "spool" / "incoming").iterdir()]


def test_a_service_that_is_down_cannot_be_asked() -> None:
    """As a PACS that does not answer."""
    with service() as made:
        pass
    with pytest.raises(PeerUnavailable, match="cannot reach"):
        archive(made).studies(DAY, most=100)
