"""The PACS of the soak: it misbehaves on command, and records results instead of keeping files."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.dataset import Dataset
from support.commitment_pacs import CommittingPeer, Style

if TYPE_CHECKING:
    from pynetdicom.events import Event

_COMING_BACK = 8  # complete objects kept, to be sent back to the node


@dataclass(slots=True)
class Account:
    """One study: what the node answered Success for, and the results that arrived."""

    answered: dict[str, float] = field(
        default_factory=dict
    )  # film's UID -> time of the first Success
    reported: list[float] = field(default_factory=list)  # time at which each report arrived
    objects: dict[str, str] = field(default_factory=dict)  # result's UID -> SHA-256
    roles: Counter[str] = field(
        default_factory=Counter
    )  # kind of each object, counted once per UID
    changed: int = 0  # objects that arrived again with other bytes


class Ledger:
    """Films that the node accepted and results that the PACS accepted, by study.

    A film that was answered Success is owed one report, be it of a refusal. The same object sent
    again under its UID is no second one: a PACS keeps it once. Studies that hostile callers made up
    are not in the books.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.accounts: dict[str, Account] = {}
        self.again = 0  # objects that arrived again with the same bytes

    def answered(self, study: str, film: str, at: float) -> None:
        """Record that the node answered Success for a film."""
        with self._lock:
            account = self.accounts.setdefault(study, Account())
            account.answered.setdefault(film, at)

    def stored(self, ds: Dataset, digest: str, at: float) -> None:
        """Record that the PACS answered Success for a result."""
        with self._lock:
            account = self.accounts.setdefault(str(ds.StudyInstanceUID), Account())
            uid = str(ds.SOPInstanceUID)
            if uid in account.objects:
                self.again += 1
                account.changed += account.objects[uid] != digest
                return
            account.objects[uid] = digest
            account.roles[role(ds)] += 1
            if ds.Modality == "SR":
                account.reported.append(at)

    def outstanding(self) -> int:
        """Number of reports that are due and have not arrived."""
        with self._lock:
            return sum(_owing(account) for account in self.accounts.values())

    def lost(self) -> list[str]:
        """Studies with an accepted film and no report."""
        with self._lock:
            return [study for study, each in self.accounts.items() if _owing(each)]

    def twice(self) -> list[str]:
        """Studies with more results of a kind than films, or with changed results."""
        with self._lock:
            return [study for study, each in self.accounts.items() if _doubled(each)]

    def waits(self) -> list[float]:
        """Seconds from Success for a film to its report, for studies of one film."""
        with self._lock:
            return [
                each.reported[0] - next(iter(each.answered.values()))
                for each in self.accounts.values()
                if len(each.answered) == 1 and each.reported
            ]

    def counts(self) -> dict[str, int]:
        """The counts at the head of the summary."""
        with self._lock:
            accounts = self.accounts.values()
            return {
                "films answered Success": sum(len(each.answered) for each in accounts),
                "reports at the PACS": sum(len(each.reported) for each in accounts),
                "objects at the PACS": sum(len(each.objects) for each in accounts),
                "objects sent again, same UID and bytes": self.again,
            }


def role(ds: Dataset) -> str:
    """The kind of a result; a film has one result of each."""
    return f"{ds.Modality} {ds.SOPClassUID} {ds.get('InstanceNumber')}"


def _owing(account: Account) -> int:
    return max(0, len(account.answered) - len(account.reported))


def _doubled(account: Account) -> bool:
    if not account.answered:
        return False
    return max(account.roles.values(), default=0) > len(account.answered) or account.changed > 0


class LedgerPacs(CommittingPeer):
    """A `CommittingPeer` that records what it accepts instead of storing it."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        super().__init__(folder, Style.SAME)
        self.ledger = ledger
        self.latest: list[Dataset] = []
        self.breaks_off = False  # store the object, then A-ABORT instead of answering
        self.answer = 0x0000

    def __enter__(self) -> LedgerPacs:
        super().__enter__()
        return self

    def store(self, event: Event) -> int:
        """Answer as configured; record what is accepted."""
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        if self.answer:
            return self.answer
        content = event.encoded_dataset()
        ds = dcmread(BytesIO(content))
        self.ledger.stored(
            ds, hashlib.sha256(event.encoded_dataset(False)).hexdigest(), time.monotonic()
        )
        self.latest = [*self.latest, ds][-_COMING_BACK:]
        if self.breaks_off:
            event.assoc.abort()
        return 0x0000
