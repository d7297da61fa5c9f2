"""A film comes by STOW-RS from dicomweb-client and leaves as messages, by HL7 and FHIR."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dicomweb_client import DICOMwebClient
from interop.install import HL7APY
from interop.verdicts import Verdict, verdict
from support.fhir import Fhir
from support.film import film, phantom
from support.mllp import Mllp
from support.peer import free_port, wait_until
from support.running import COMMAND, RunningNode, running_node

from dicom_node.config import Destination, FhirDestination, Hl7Destination

NAME = "messages"
_PATIENCE = 180.0  # seconds


def check(out: Path, missing: Mapping[str, str]) -> Iterator[Verdict]:
    """Run a node with both kinds of destination; its first messages are refused or not answered."""
    (out / "node").mkdir(parents=True)
    with Mllp([None]) as mllp, Fhir([500]) as server, _hl7apy(out / "hl7apy") as other:
        destinations: list[Destination] = [
            Hl7Destination(name="ris", kind="hl7", host="127.0.0.1", port=mllp.port),
            FhirDestination(name="ehr", kind="fhir", url=server.url),
        ]
        if not (why := missing.get("hl7apy")):
            destinations.append(
                Hl7Destination(name="other", kind="hl7", host="127.0.0.1", port=other)
            )
        http = {"port": free_port(), "dicomweb": True}
        delivery = {"timeout_seconds": 10.0}
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
            if why:
                yield Verdict("hl7apy", NAME, "SKIP", (why,))
            else:
                yield verdict("hl7apy", NAME, _not_valid(out / "hl7apy", node))
            yield verdict("fhir.resources", NAME, _not_linked(server))
            yield verdict("dicom-node", NAME, _not_answered(node))


@contextmanager
def _hl7apy(folder: Path) -> Iterator[int]:
    """Run hl7apy's receiver in a process of its own; yield its port."""
    folder.mkdir()
    port = free_port()
    script = Path(__file__).with_name("hl7apy_receiver.py")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, script, str(port), folder], stdout=log, stderr=log,
            env={**os.environ, "PYTHONPATH": str(HL7APY)},
        )  # fmt: skip
    try:
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _not_valid(folder: Path, node: RunningNode) -> Iterator[str]:
    """It acknowledged the message; its findings are warnings at most: codes of sites, and HD.

    HL7's table 0125 lists no HD, which the mapping of DICOM's reports to HL7 has for study UIDs.
    """

    def sent() -> object:
        return node.cli("status", "--json")["deliveries"].get("other", {}).get("accepted")

    wait_until(sent, _PATIENCE)
    reports = [each.read_text() for each in folder.glob("*.txt")]
    if len(reports) != 1:
        yield f"{len(reports)} messages came"
    for line in "\n".join(reports).splitlines():
        if line and not line.startswith("Warning: Value "):
            yield line


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
