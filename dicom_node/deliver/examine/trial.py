"""Send a test study to a destination, fetch it back, and compare."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydicom import dcmread

from dicom_node.deliver.examine.changes import changes
from dicom_node.deliver.status import event_for
from dicom_node.domain.states import DeliveryEvent
from dicom_node.errors import PeerRefused, PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pydicom.dataset import Dataset

    from dicom_node.deliver.examine.changes import Change
    from dicom_node.deliver.senders import Senders


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One object of the test study."""

    sop_class: str
    sop_instance_uid: str
    accepted: bool
    answer: str
    returned: bool
    changes: list[Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What became of the test study.

    Parameters
    ----------
    fetched_by
        The way it came back; None: by none of them.
    not_fetched
        Why each of the other ways did not work.
    """

    study_instance_uid: str
    patient: str
    objects: list[Tried]
    fetched_by: str | None
    not_fetched: list[str] = field(default_factory=list)


def trial(
    senders: Senders,
    destination: str,
    paths: Sequence[Path],
    ways: Mapping[str, Callable[[str, list[str]], Mapping[str, Dataset]]],
) -> Trial:
    """Send the files of one study, and fetch them back by the first way that works.

    Parameters
    ----------
    ways
        Name -> function from the Study Instance UID and the SOP Instance UIDs to the instances
        that came back. It may raise PeerUnavailable or PeerRefused.
    """
    sent = [dcmread(path) for path in paths]
    answers = list(senders.send(destination, paths))
    study, uids = str(sent[0].StudyInstanceUID), [str(ds.SOPInstanceUID) for ds in sent]
    taken: str | None = None
    returned: Mapping[str, Dataset] = {}
    not_fetched: list[str] = []
    for name, fetch in ways.items():
        try:
            returned = fetch(study, uids)
        except (PeerUnavailable, PeerRefused) as error:
            not_fetched.append(f"{name}: {error}")
            continue
        if returned:
            taken = name
            break
        not_fetched.append(f"{name}: nothing came back")
    return Trial(
        study_instance_uid=study,
        patient=f"{sent[0].PatientName}, {sent[0].PatientID}",
        objects=[
            Tried(
                sop_class=ds.SOPClassUID.name,
                sop_instance_uid=uid,
                accepted=event_for(answer) is DeliveryEvent.ACCEPTED,
                answer=answer.reason,
                returned=uid in returned,
                changes=_compared(ds, returned[uid]) if uid in returned else [],
            )
            for ds, uid, answer in zip(sent, uids, answers, strict=True)
        ],
        fetched_by=taken,
        not_fetched=not_fetched,
    )


def _compared(sent: Dataset, returned: Dataset) -> list[Change]:
    """The differences; pixel data counts if it came back in the transfer syntax of the file."""
    syntax = getattr(returned, "file_meta", {}).get("TransferSyntaxUID")
    return changes(sent, returned, pixels=syntax == sent.file_meta.TransferSyntaxUID)
