"""FHIR transactions against a server on loopback that validates and stores them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.answers import NO_ANSWER, NOT_ACCEPTED, NOT_SENT, UNAVAILABLE, UNREADABLE, said
from support.every_object import whole_set
from support.fhir import Act, Fhir
from support.messages import reports
from support.objects import small_film
from support.peer import dripping, free_port

from dicom_node import compose
from dicom_node.config import FhirDestination
from dicom_node.deliver.messages.fhir import FhirSender

CREATED, THERE = (0x0000, "created"), (0x0000, "there already")


def sender(url: str, seconds: float = 5.0, **keys: object) -> FhirSender:
    known = {"kind": "fhir", "name": "ehr", "url": url}
    return FhirSender([FhirDestination.model_validate(known | keys)], seconds)


def test_a_report_is_stored_with_its_observations(tmp_path: Path) -> None:
    """Patient, order, study, finding in words, score, cut-off, model; it is preliminary."""
    paths = reports(tmp_path, AccessionNumber="A77", PatientName="Doe^Jane")
    with Fhir() as server:
        assert said(sender(server.url).send("ehr", paths)) == [CREATED]
        [report], observations = server.of("DiagnosticReport"), server.of("Observation")
        assert report["status"] == "preliminary"
        assert report["subject"]["identifier"]["value"] == "PHANTOM-1"
        assert report["subject"]["display"] == "Jane Doe"
        assert report["basedOn"][0]["identifier"]["value"] == "A77"
        assert report["imagingStudy"][0]["identifier"]["value"].startswith("urn:oid:1.")
        assert report["conclusion"].startswith("Research only, not for diagnostic use. Pneumonia")
        assert report["performer"] == [{"display": "dicom-node, networks 0.1.0"}]
        assert len(report["result"]) == len(observations) == 2
        pneumonia = observations[0]
        assert pneumonia["code"]["coding"][0]["system"] == "http://snomed.info/sct"
        assert pneumonia["valueString"] == "above cut-off"
        assert [each["valueQuantity"]["value"] for each in pneumonia["component"]] == [87, 50]
        assert pneumonia["contained"][0]["version"] == [{"value": "0.1.0"}]


def test_a_repeat_makes_no_second_report(tmp_path: Path) -> None:
    """The identifiers are those of the first attempt, and the server has them already."""
    paths = reports(tmp_path)
    with Fhir() as server:
        assert said(sender(server.url).send("ehr", paths)) == [CREATED]
        before = dict(server.stored)
        assert said(sender(server.url).send("ehr", paths)) == [THERE]
        assert server.stored == before


def test_each_film_has_its_transaction_and_its_answer(tmp_path: Path) -> None:
    """One that is refused holds none of the others up."""
    with Fhir([422]) as server:
        answers = said(sender(server.url).send("ehr", reports(tmp_path, films=3)))
        assert [what for what, _ in answers] == [NOT_ACCEPTED, 0x0000, 0x0000]
        assert len(server.of("DiagnosticReport")) == 2


@pytest.mark.parametrize(
    ("act", "outcome", "reason"),
    [
        (400, NOT_ACCEPTED, "HTTP 400 the service refuses the request"),
        (412, NOT_ACCEPTED, "HTTP 412 the service refuses the request"),
        (409, UNAVAILABLE, "HTTP 409 the service refuses the request"),
        (500, UNAVAILABLE, "HTTP 500 the service failed"),
        (401, UNAVAILABLE, "HTTP 401 the token is not accepted"),
        (302, NOT_ACCEPTED, "HTTP 302 the service is elsewhere; configure its own address"),
        ([], UNAVAILABLE, "the answer is no transaction response"),
        ({"type": "transaction-response", "entry": [1]}, UNAVAILABLE,
         "the transaction response does not say that all is stored"),
        ({"type": "transaction-response", "entry": [{"response": {"status": "201"}}]}, UNAVAILABLE,
         "the transaction response does not say that all is stored"),
    ],
)  # fmt: skip
def test_an_answer_decides(act: Act, outcome: object, reason: str, tmp_path: Path) -> None:
    """What another attempt cannot change is held; what is unclear is tried again."""
    with Fhir([act]) as server:
        assert said(sender(server.url).send("ehr", reports(tmp_path))) == [(outcome, reason)]


def test_a_secret_is_a_token_or_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment: a bearer token, with a user the password of basic authentication."""
    monkeypatch.setenv("EHR_TOKEN", "s3cret")
    paths = reports(tmp_path)
    with Fhir() as server:
        said(sender(server.url, token_env="EHR_TOKEN").send("ehr", paths))  # noqa: S106
        said(sender(server.url, token_env="EHR_TOKEN", user="node").send("ehr", paths))  # noqa: S106
        sent = [each["authorization"] for each in server.headers]
        assert sent == ["Bearer s3cret", "Basic bm9kZTpzM2NyZXQ="]


def test_a_refusal_has_no_observation(tmp_path: Path) -> None:
    """The report says why the film was not read, as a code and in words."""
    path = tmp_path / "refusal.dcm"
    compose.write(whole_set(small_film())["refusal"], path)
    with Fhir() as server:
        assert said(sender(server.url).send("ehr", [path])) == [CREATED]
        [report] = server.stored.values()
        assert report["conclusionCode"][0]["text"]
        assert "result" not in report


def test_a_site_states_its_codes(tmp_path: Path) -> None:
    """A coding system of the site is a URI."""
    codes = {"pneumonia": "PNEU^Pneumonia AI^http://hospital.example/codes"}
    with Fhir() as server:
        said(sender(server.url, codes=codes).send("ehr", reports(tmp_path)))
        [coding] = server.of("Observation")[0]["code"]["coding"]
        assert coding["system"] == "http://hospital.example/codes"


def test_no_report_is_no_transaction(tmp_path: Path) -> None:
    """A file that is no coded report is held."""
    text = tmp_path / "text.dcm"
    text.write_bytes(b"no report")
    with Fhir() as server:
        [(outcome, _)] = said(sender(server.url).send("ehr", [text]))
        assert outcome == UNREADABLE


def test_a_server_that_is_away_or_drips_is_asked_again(tmp_path: Path) -> None:
    """The whole exchange has an end, and what stood behind is not sent."""
    paths = reports(tmp_path, films=2)
    away = said(sender(f"http://127.0.0.1:{free_port()}/fhir").send("ehr", paths))
    assert [what for what, _ in away] == [UNAVAILABLE] * 2
    with dripping(b"HTTP/1.1 200 OK\r\nX: ") as port:
        slow = said(sender(f"http://127.0.0.1:{port}/fhir", 0.2).send("ehr", paths))
        assert [what for what, _ in slow] == [NO_ANSWER, NOT_SENT]


def test_echo_asks_what_the_server_speaks() -> None:
    """A CapabilityStatement of R4."""
    with Fhir() as server:
        assert sender(server.url).echo("ehr").ok
        server.version = "3.0.2"
        assert sender(server.url).echo("ehr").reason.endswith("does not speak FHIR R4")
        assert sender(f"{server.url}/no").echo("ehr").reason == "HTTP 404 no such service"
    assert not sender(f"http://127.0.0.1:{free_port()}/fhir").echo("ehr").ok
