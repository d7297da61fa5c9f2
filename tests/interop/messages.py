"""A film comes by STOW-RS from dicomweb-client and leaves as messages, by HL7 and FHIR."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from dicomweb_client import DICOMwebClient
from interop.verdicts import Verdict, verdict
from support.fhir import Fhir
from support.film import film, phantom
from support.mllp import Mllp
from support.peer import free_port, wait_until
from support.running import COMMAND, RunningNode, running_node

from dicom_node.config import Destination, FhirDestination, Hl7Destination

NAME = "messages"
_PATIENCE = 180.0  # seconds


def check(out: Path) -> Iterator[Verdict]:
    """Run a node with both kinds of destination; its first messages are refused or not answered."""
    (out / "node").mkdir(parents=True)
    with Mllp([None]) as mllp, Fhir([500]) as server:
        destinations: list[Destination] = [
            Hl7Destination(name="ris", kind="hl7", host="127.0.0.1", port=mllp.port),
            FhirDestination(name="ehr", kind="fhir", url=server.url),
        ]
        http = {"port": free_port(), "dicomweb": True}
        delivery = {"timeout_seconds": 2.0}
        workers = {"threads": 1}
        gate = {"enabled": False}  # it may recognise that a phantom is not a patient
        with running_node(
            out / "node", destinations, http=http, delivery=delivery, gate=gate, workers=workers
        ) as node:
            source = film(phantom(640, 560), AccessionNumber="A77")
            said = DICOMwebClient(f"http://127.0.0.1:{http['port']}").store_instances([source])
            yield verdict("dicomweb-client", NAME, _not_stored(said.get("FailedSOPSequence")))
            wait_until(lambda: len(mllp.messages) > 1 and server.of("DiagnosticReport"), _PATIENCE)
            yield verdict("python-hl7", NAME, _not_repeated(mllp))
            yield verdict("fhir.resources", NAME, _not_linked(server))
            yield verdict("dicom-node", NAME, _not_answered(node))


def _not_stored(failed: object) -> Iterator[str]:
    if failed:
        yield f"failed: {failed}"


def _not_repeated(mllp: Mllp) -> Iterator[str]:
    """The first message was not answered; its repeat is the same one."""
    first, second = mllp.messages[:2]
    if str(first) != str(second):
        yield "the repeat is another message"
    if mllp.fields("OBR")[0][18] != "A77":
        yield "no accession number"


def _not_linked(server: Fhir) -> Iterator[str]:
    """The server validates each resource; here it is only counted."""
    if len(server.headers) != 2:
        yield f"{len(server.headers)} transactions: one fails, one repeats it"
    if not server.of("Observation"):
        yield "no Observation"


def _not_answered(node: RunningNode) -> Iterator[str]:
    for name in ("ris", "ehr"):
        command = [str(COMMAND), "doctor", "destination", name, "--test-study"]
        done = subprocess.run(
            [*command, "--config", str(node.config)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            yield f"{name}: {done.stdout[-400:]}{done.stderr[-400:]}"
