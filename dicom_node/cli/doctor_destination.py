"""`doctor destination`: what a destination offers, and what it does to a test study."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.cli.destinations import named
from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line
from dicom_node.config import (
    DicomDestination,
    Hl7Destination,
    MessageRecipient,
    WebDestination,
    load,
)
from dicom_node.errors import NodeError, PeerRefused, PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydicom.dataset import Dataset

    from dicom_node.config import Config, Destination
    from dicom_node.deliver.examine.offers import Offers
    from dicom_node.deliver.examine.trial import Trial
    from dicom_node.deliver.status import EchoResult
    from dicom_node.tls.client import Handshake


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Everything that was found out about a destination."""

    destination: Destination
    at: str
    echo: EchoResult
    tls: Handshake | None
    offers: Offers | None
    trial: Trial | None
    faults: list[str]


def destination(
    name: Annotated[str, typer.Argument(help="The destination's name.")],
    test_study: Annotated[
        bool,
        typer.Option(
            "--test-study",
            help="Send a study of patient ZZZ^TEST, fetch it back and show what was changed.",
        ),
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a section for a conformance statement.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Examine a destination: connection, TLS, services, what it accepts; exit status 1 on a fault.

    Without --test-study nothing is stored there.
    """
    if markdown and as_json:
        raise NodeError("give --markdown or --json, not both")
    settings = load(config)
    found = examine(settings, named(settings, name), test_study=test_study)
    if as_json:
        print_json(_as_json(found))
    elif markdown:
        from dicom_node.cli.site_statement import section

        typer.echo(section(found), nl=False)
    else:
        for line in _lines(found):
            print_line(line)
    if found.faults:
        raise typer.Exit(1)


def examine(config: Config, peer: Destination, *, test_study: bool) -> Examination:
    """Ask the destination everything; send the test study only if its connection works."""
    from dicom_node.deliver.senders import Senders
    from dicom_node.domain.clock import utc_now

    senders = Senders(config.node.ae_title, [peer], config.delivery.timeout_seconds, config.tls)
    echo, faults = senders.echo(peer.name), []
    if not echo.ok:
        faults.append(f"it does not answer: {echo.reason}")
    handshake, offered = None, None
    if isinstance(peer, DicomDestination | Hl7Destination):
        handshake = _tried(faults, partial(_handshake, config, peer))
    if isinstance(peer, DicomDestination):
        offered = _tried(faults, partial(_offers, config, peer)) if echo.ok else None
        faults += _unfit(config, offered) if offered else []
    tried = _trial(config, peer, senders, offered) if test_study and echo.ok else None
    faults += _trouble(tried) if tried else []
    return Examination(
        destination=peer,
        at=f"{utc_now():%Y-%m-%d %H:%M} UTC",
        echo=echo,
        tls=handshake,
        offers=offered,
        trial=tried,
        faults=list(dict.fromkeys(faults)),
    )


def _tried(faults: list[str], ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except (PeerUnavailable, PeerRefused) as error:
        faults.append(str(error))
        return None


def _handshake(config: Config, peer: DicomDestination | Hl7Destination) -> Handshake | None:
    from dicom_node.tls.client import handshake

    return handshake(peer, config.tls, config.delivery.timeout_seconds)


def _offers(config: Config, peer: DicomDestination) -> Offers:
    from dicom_node.deliver.examine.offers import offers

    return offers(config.node.ae_title, peer, config.delivery.timeout_seconds, config.tls)


def _unfit(config: Config, offered: Offers) -> Iterator[str]:
    """Yield a fault for each SOP class that this configuration sends and the PACS refuses."""
    from dicom_node.deliver.examine.offers import sent_with

    for uid, remedy in sent_with(config.report, config.results).items():
        if not offered.storage[uid]:
            yield f"it does not accept {uid.name}: {remedy}"


def _trial(config: Config, peer: Destination, senders: Any, offered: Offers | None) -> Trial:
    """Compose the test study, send it and fetch it back."""
    from dicom_node.compose import write
    from dicom_node.conformance.trial_study import trial_study
    from dicom_node.deliver.examine.trial import trial
    from dicom_node.domain.clock import utc_now

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        objects = trial_study(_as_sent(config, peer), utc_now())
        if isinstance(peer, MessageRecipient):
            objects = [ds for ds in objects if ds.Modality == "SR"]
        for number, ds in enumerate(objects):
            paths.append(Path(folder) / f"{number}.dcm")
            write(ds, paths[-1])
        return trial(senders, peer.name, paths, dict(_ways(config, peer, offered)))


def _as_sent(config: Config, peer: Destination) -> Config:
    """The configuration with the class of report that the destination gets."""
    if peer.sr_class is None:
        return config
    report = config.report.model_copy(update={"sop_class": peer.sr_class})
    return config.model_copy(update={"report": report})


def _ways(
    config: Config, peer: Destination, offered: Offers | None
) -> Iterator[tuple[str, Callable[[str, list[str]], Mapping[str, Dataset]]]]:
    """Yield the ways to fetch a study from the destination, the easiest first."""
    from dicom_node.deliver.examine import fetch
    from dicom_node.deliver.examine.offers import GET, MOVE

    if isinstance(peer, WebDestination):
        yield "WADO-RS", partial(fetch.by_wado, peer, config.delivery.timeout_seconds)
    if not isinstance(peer, DicomDestination) or offered is None:
        return
    caller = fetch.Caller(config.node.ae_title, peer, config.delivery.timeout_seconds, config.tls)
    if offered.services[GET]:
        yield "C-GET", partial(fetch.by_get, caller)
    if offered.services[MOVE] and config.plain_is_open:
        listen = config.node.host, config.node.port
        yield "C-MOVE", partial(fetch.by_move, caller, listen)


def _trouble(tried: Trial) -> Iterator[str]:
    for each in tried.objects:
        if not each.accepted:
            yield f"it did not accept {each.sop_class}: {each.answer}"
        elif tried.fetched_by and not each.returned:
            yield f"it accepted {each.sop_class} and did not give it back"


def _as_json(found: Examination) -> dict[str, Any]:
    offered = found.offers
    return {
        "destination": found.destination.name,
        "kind": found.destination.kind,
        "at": found.at,
        "echo": asdict(found.echo),
        "tls": asdict(found.tls) if found.tls else None,
        "implementation_class_uid": offered and offered.implementation_class_uid,
        "implementation_version_name": offered and offered.implementation_version_name,
        "maximum_pdu": offered and offered.maximum_pdu,
        "services": {str(uid): yes for uid, yes in offered.services.items()} if offered else {},
        "query": offered and offered.query,
        "storage": {str(uid): list(map(str, each)) for uid, each in offered.storage.items()}
        if offered
        else {},
        "test_study": asdict(found.trial) if found.trial else None,
        "faults": found.faults,
    }


def _lines(found: Examination) -> Iterator[str]:
    yield f"echo       {found.echo.reason}, {found.echo.seconds:.2f} s"
    if found.tls:
        their = found.tls.certificate
        yield f"TLS        {found.tls.version}, {found.tls.cipher}"
        yield f"           {their.subject}, {their.key}, until {their.not_after:%Y-%m-%d}"
        yield f"           signed by {their.issuer}"
    elif isinstance(found.destination, DicomDestination | Hl7Destination):
        yield "TLS        none: everything travels in the clear"
    if found.offers:
        yield from _offered(found.offers)
    if found.trial:
        yield from _tried_lines(found.trial)
    for fault in found.faults:
        yield f"FAULT      {fault}"
    yield f"verdict    {'see the faults' if found.faults else 'no fault was found'}"


def _offered(offered: Offers) -> Iterator[str]:
    from dicom_node.deliver.examine.offers import SERVICES

    yield (
        f"itself     {offered.implementation_version_name or 'no version name'}, class "
        f"{offered.implementation_class_uid}, PDUs of {offered.maximum_pdu} bytes"
    )
    for uid, yes in offered.services.items():
        yield f"service    {'yes' if yes else 'no ':3} {SERVICES[uid]}"
    if offered.query:
        yield f"query      {offered.query}"
    for uid, syntaxes in offered.storage.items():
        yield f"accepts    {uid.name}: {', '.join(each.keyword for each in syntaxes) or 'nothing'}"


def _tried_lines(tried: Trial) -> Iterator[str]:
    yield f"test study {tried.study_instance_uid} of {tried.patient}"
    for each in tried.objects:
        back = "came back" if each.returned else "not fetched"
        yield f"object     {each.sop_class}: {each.answer}; {back}, {len(each.changes)} changed"
        for change in each.changes:
            yield f"  changed  {change.attribute}: {change.sent!r} -> {change.returned!r}"
    for reason in tried.not_fetched:
        yield f"fetch      {reason}"
    yield f"fetch      {'by ' + tried.fetched_by if tried.fetched_by else 'by no way'}"
    yield "remove     delete this study at the destination: no service is defined for it"
