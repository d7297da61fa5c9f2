"""What is left when the last process has died and the node has drained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crash.pacs import CountingPacs

from dicom_node.receive.reception import LOCKS
from dicom_node.store.plain import SQLITE, plain_reading

_OPEN = (
    "SELECT count(*) FROM instances WHERE decision = 'undecided'",
    "SELECT count(*) FROM jobs WHERE status != 'done'",
    "SELECT count(*) FROM deliveries WHERE status != 'committed'",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The counts; `good` is what the matrix asks for."""

    studies: int
    lost: int  # studies without a result at the PACS
    incomplete: int  # studies with another set of objects than the first one's
    doubled: int  # studies with two objects of one kind under different UIDs
    changed: int  # objects that came twice with different bytes
    resent: int  # objects that came twice, byte for byte: the answer died with the deliverer
    deliverers_killed: int  # each may resend one object
    orphans: tuple[str, ...]  # files without a row, rows without a file
    audit_verified: bool

    @property
    def good(self) -> bool:
        faults = self.lost + self.incomplete + self.doubled + self.changed + len(self.orphans)
        return not faults and self.audit_verified and self.resent <= self.deliverers_killed


def waiting(data_dir: Path, url: str = SQLITE) -> int:
    """How much the node still has to do."""
    with plain_reading(data_dir, url) as database:
        return sum(int(database.execute(query)[0][0]) for query in _OPEN)


def examine(
    sent: Sequence[str],
    pacs: CountingPacs,
    data_dir: Path,
    killed: int,
    *,
    verified: bool,
    url: str = SQLITE,
) -> Verdict:
    """Hold what was sent against what came back."""
    kinds = [Counter(pacs.studies[study].values()) for study in sent]
    usual = Counter(map(frozenset, kinds)).most_common(1)[0][0] if kinds else frozenset()
    return Verdict(
        studies=len(sent),
        lost=sum(not each for each in kinds),
        incomplete=sum(bool(each) and frozenset(each) != usual for each in kinds),
        doubled=sum(any(count > 1 for count in each.values()) for each in kinds),
        changed=sum(len(contents) > 1 for contents in pacs.bytes.values()),
        resent=sum(times - 1 for times in pacs.times.values()),
        deliverers_killed=killed,
        orphans=_orphans(data_dir, url),
        audit_verified=verified,
    )


def _orphans(data_dir: Path, url: str) -> tuple[str, ...]:
    with plain_reading(data_dir, url) as database:
        rows = database.execute("SELECT path FROM instances UNION SELECT path FROM results")
        known = {path for (path,) in rows}
    found = {
        str(path.relative_to(data_dir))
        for folder in ("spool", "results")
        for path in (data_dir / folder).rglob("*")
        if path.is_file() and path.parent != data_dir / LOCKS
    }
    return tuple(sorted(found ^ known))
