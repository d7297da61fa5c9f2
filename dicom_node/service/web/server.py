"""The web process: `/healthz`, `/readyz`, `/metrics` and a read-only page, on this machine only."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from prometheus_client import CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from dicom_node import __version__
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.pixels.picture import as_picture
from dicom_node.service.pidfile import processes
from dicom_node.service.web.access import Access
from dicom_node.service.web.connection import PromptConnection, PromptSettings
from dicom_node.service.web.history import History
from dicom_node.service.web.metrics import Look, NodeMetrics
from dicom_node.service.web.stow import stow_routes
from dicom_node.service.work_alarms import every_alarm
from dicom_node.store.status import read_status
from dicom_node.tls.context import server_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    # Starlette calls a page in a thread if it is not a coroutine.
    from starlette.requests import Request

    from dicom_node.config import Config
    from dicom_node.ports import Clock
    from dicom_node.store.store import Store

_STUDIES = 50  # on the page
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage
_TEXT = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text format
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
#: Names by which a browser on this machine or a proxy calls; another one may be DNS rebinding.
_HOSTS = ["127.0.0.1", "localhost"]
#: Alarms with which the node does not do its work.
_NOT_READY = frozenset({"stopped", "process", "disk"})


@dataclass(frozen=True, slots=True)
class Pages:
    """The answers to requests."""

    config: Config
    store: Store
    clock: Clock
    registry: CollectorRegistry
    templates: Environment

    def look(self) -> Look:
        """Return current counts, process ids by name, and alarms."""
        data_dir = self.config.node.data_dir
        counted = read_status(data_dir, self.config.store.url)
        alive = processes(self.config.run_dir)
        return counted, alive, every_alarm(self.config, None, counted, alive, self.clock())

    def health(self, _request: Request) -> Response:
        """Answer that this process runs."""
        return PlainTextResponse("ok\n")

    def ready(self, _request: Request) -> Response:
        """Answer 200 if films are received, read and sent, else 503 with the reasons."""
        _, _, alarms = self.look()
        reasons = [each.sentence for each in alarms if each.code in _NOT_READY]
        text = "\n".join(reasons or ["ok"]) + "\n"
        return PlainTextResponse(text, status_code=503 if reasons else 200)

    def metrics(self, _request: Request) -> Response:
        """Metrics for Prometheus."""
        return Response(generate_latest(self.registry), headers={"Content-Type": _TEXT})

    def overview(self, _request: Request) -> Response:
        """Show alarms with their remedies, waiting work and the latest studies."""
        counted, alive, alarms = self.look()
        studies = self.store.queries.studies(_STUDIES)
        return self._page("overview.html", counted=counted, alive=alive, alarms=alarms,
                          studies=studies)  # fmt: skip

    def study(self, request: Request) -> Response:
        """Show everything about one study, after recording the access in the audit log."""
        uid = request.path_params["uid"]
        study = self.store.queries.study_detail(uid)
        if study is None:
            return self._page("missing.html", status=404)
        self._record(request, "web study", uid)
        return self._page("study.html", study=study, pictures=_pictures(study))

    def picture(self, request: Request) -> Response:
        """Show a picture of a study, after recording the access in the audit log."""
        uid, wanted = request.path_params["uid"], request.path_params["picture"]
        study = self.store.queries.study_detail(uid)
        for result in _pictures(study) if study else []:
            if result["sop_instance_uid"] == wanted:
                self._record(request, "web picture", uid)
                try:
                    with self.store.blobs.local(Path(result["path"])) as path:
                        content, kind = as_picture(path)
                except OSError:  # retention removed it, or the bucket is away
                    break
                return Response(content, media_type=kind, headers=_HEADERS)
        return self._page("missing.html", status=404)

    def _record(self, request: Request, command: str, uid: str) -> None:
        looked: dict[str, object] = {"command": command, "user": request.state.user}
        self.store.audit.append(
            AuditEvent(kind=AuditKind.AUDIT_READ, study_instance_uid=uid, detail=looked)
        )

    def style(self, _request: Request) -> Response:
        """The style sheet."""
        text = (files(__package__) / "templates" / "style.css").read_text(encoding="utf-8")
        return Response(text, media_type="text/css", headers=_HEADERS)

    def _page(self, name: str, *, status: int = 200, **values: Any) -> Response:
        now = f"{self.clock():%Y-%m-%d %H:%M:%S}"
        text = self.templates.get_template(name).render(
            now=now, version=__version__, node=self.config.node, **values
        )
        return HTMLResponse(text, status_code=status, headers=_HEADERS)


def _pictures(study: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The study's pictures, of one edition if there are several."""
    captures = [each for each in study["results"] if each["sop_class_uid"] == _CAPTURE]
    return [each for each in captures if captures[0]["editions"][0] in each["editions"]]


def application(config: Config, store: Store, clock: Clock) -> Starlette:
    """The web application over a node's store; it changes nothing but the audit log."""
    registry = CollectorRegistry()
    templates = Environment(
        loader=PackageLoader("dicom_node.service.web"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
    )
    pages = Pages(config, store, clock, registry, templates)
    history = History(lines=store.audit, folder=config.run_dir)
    registry.register(NodeMetrics(config=config, history=history, look=pages.look, clock=clock))
    hosts = _HOSTS if config.http.is_local else ["*"]  # a page elsewhere has no passcode
    access = Access.of(config.http)
    guarded = access.guarded
    return Starlette(
        routes=[
            Route("/", guarded(pages.overview)),
            Route("/studies/{uid}", guarded(pages.study)),
            Route("/studies/{uid}/{picture}", guarded(pages.picture)),
            Route("/style.css", pages.style),
            Route("/healthz", pages.health),
            Route("/readyz", pages.ready),
            Route("/metrics", pages.metrics),
            *(stow_routes(config, access) if config.http.dicomweb else ()),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
    )


def serve(
    config: Config, store: Store, clock: Clock, stop: threading.Event,
    connection: type[PromptConnection] = PromptConnection,
) -> None:  # fmt: skip
    """Answer requests until ``stop`` is set."""
    assert config.http.port is not None  # noqa: S101 - the supervisor starts this role only then
    settings = PromptSettings(
        application(config, store, clock),
        host=config.http.host,
        port=config.http.port,
        http=connection,
        ws="none",
        log_config=None,
        log_level="error",  # a line for each malformed request would fill the log
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
    )
    settings.load()
    if not config.http.is_local:
        settings.ssl = server_context(config.tls.model_copy(update={"mutual": False}))
    server = _Server(settings)
    thread = threading.Thread(target=server.run, name="http", daemon=True)
    thread.start()
    while thread.is_alive() and not stop.wait(0.2):
        pass
    server.should_exit = True
    thread.join(5)


class _Server(uvicorn.Server):
    """A server in a thread: the process's own handlers of signals stay."""

    def install_signal_handlers(self) -> None:
        """Install no handlers: the process has its own."""
