"""`erase`: remove a study, or all studies of a patient, from this node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line, printable
from dicom_node.cli.studies import person, store_of
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.dicom.blobs import Blobs
    from dicom_node.store.store import Store


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(erase)


def erase(
    study_uid: Annotated[str | None, typer.Argument(help="Study Instance UID.")] = None,
    patient: Annotated[
        str | None, typer.Option(help="Patient ID: every study with a film of this patient.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Erase a study, or all studies of a patient: films, results and rows. This cannot be undone.

    Audit lines stay; they hold no identity. Destinations keep what was delivered to them: erase
    it there as well.
    """
    if (study_uid is None) == (patient is None):
        raise NodeError("give either a Study Instance UID or --patient")
    settings = load(config)
    store = store_of(settings)
    known = store.queries.films()
    found = _of_patient(store.blobs, known, patient) if patient else [str(study_uid)]
    if not set(found) & set(known):
        raise NodeError("no such study" if study_uid else "no study of this patient")
    if not yes:
        for study in found:
            typer.echo(printable(study), err=True)
        question = f"erase {len(found)} studies? This cannot be undone"
        if not typer.confirm(question, err=True):
            raise NodeError("nothing was erased")
    erased = _erase(store, found)
    if as_json:
        print_json(erased)
        return
    for study, counted in erased.items():
        print_line(f"erased {study}: {counted['films']} films, {counted['results']} results")
    print_line("Destinations were not informed: what was delivered to them is still there.")


def _erase(store: Store, studies: list[str]) -> dict[str, dict[str, int]]:
    user = person()
    return {
        study: counted
        for study in studies
        if (counted := store.retention.erase(study, user)) is not None
    }


def _of_patient(blobs: Blobs, known: dict[str, list[Path]], patient: str) -> list[str]:
    """Studies of which at least one film carries this Patient ID."""
    from dicom_node.audit.messages.patient import patient_number

    return [
        study
        for study, films in known.items()
        if any(patient_number(blobs, film) == patient.strip() for film in films)
    ]
