"""What goes when it is delivered and old, and what never does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.fakes import EmptyAuditLog, StoreHarness, full, read

from dicom_node.config import Config, RetentionConfig
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import CheckFailure, Settlement
from dicom_node.service.housekeeping import Housekeeping

DAY = 86_400.0


def settle(node: StoreHarness, event: DeliveryEvent, *, confirm: bool = False) -> None:
    shipment = node.store.outbox.claim("deliverer-1", node.clock.after(60))
    assert shipment is not None
    node.store.outbox.settle(
        shipment,
        [
            Settlement(
                delivery_id=each.id, event=event, status_code=0, reason="said", confirm=confirm
            )
            for each in shipment.deliveries
        ],
    )


def files(node: StoreHarness, tmp_path: Path) -> list[Path]:
    """Put a file where each row says there is one."""
    paths = [tmp_path / row["path"] for t in ("instances", "results") for row in node.rows(t)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"film")
    return paths


def keep_house(
    node: StoreHarness, days: float | None = 30.0, stuck_days: float | None = None
) -> None:
    retention = RetentionConfig(days=days, stuck_days=stuck_days)
    config = Config().model_copy(update={"retention": retention})
    Housekeeping(
        config=config,
        audit=node.store.audit,
        chain=EmptyAuditLog(),
        retention=node.store.retention,
        clock=node.clock,
    ).run()


def studies(node: StoreHarness) -> list[str]:
    return [row["study_instance_uid"] for row in node.rows("studies")]


def test_a_delivered_study_goes_when_it_is_old(node: StoreHarness, tmp_path: Path) -> None:
    """Films, what lay beside them, results and rows go; the audit log stays, with one line more."""
    node.finish(node.work(), "pacs")
    settle(node, DeliveryEvent.ACCEPTED)
    paths = files(node, tmp_path)
    (tmp_path / "spool/1.2.1.abcdef.dcm").write_bytes(b"other bytes under the same UID")
    (tmp_path / "spool/1.2.10.dcm").write_bytes(b"another film")
    node.clock.tick(29 * DAY)
    keep_house(node)
    assert studies(node) == ["1.2"]
    node.clock.tick(2 * DAY)
    lines = len(node.kinds())
    keep_house(node)
    assert studies(node) == []
    assert all(node.rows(table) == [] for table in ("instances", "jobs", "results", "deliveries"))
    assert not any(path.exists() for path in paths)
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["1.2.10.dcm"]
    assert node.kinds()[lines:] == [AuditKind.STUDY_REMOVED]
    assert node.store.audit.verify() == []


def test_nothing_goes_where_retention_is_off(node: StoreHarness) -> None:
    """`retention.days: null` keeps everything."""
    node.finish(node.work(), "pacs")
    settle(node, DeliveryEvent.ACCEPTED)
    node.clock.tick(1000 * DAY)
    keep_house(node, None)
    assert studies(node) == ["1.2"]


@pytest.mark.parametrize(
    "event", [None, DeliveryEvent.REFUSED, DeliveryEvent.UNAVAILABLE, DeliveryEvent.UNANSWERED]
)
def test_what_is_not_delivered_never_goes(
    node: StoreHarness, tmp_path: Path, event: DeliveryEvent | None
) -> None:
    """Pending, held, sent without an answer: kept, however old, with every file."""
    node.finish(node.work(), "pacs")
    if event is not None:
        settle(node, event)
    paths = files(node, tmp_path)
    node.clock.tick(1000 * DAY)
    keep_house(node)
    assert studies(node) == ["1.2"]
    assert all(path.exists() for path in paths)


def held(node: StoreHarness) -> None:
    node.finish(node.work(), "pacs")
    settle(node, DeliveryEvent.REFUSED)


def parked(node: StoreHarness) -> None:
    node.store.jobs.fail(node.work(), "no", None)


def withheld(node: StoreHarness) -> None:
    job = node.work()
    fault = CheckFailure(sop_instance_uid="2.25.1", rule="value", message="wrong")
    [film] = job.instances
    outcome = replace(read(film.sop_instance_uid), faults=(fault,))
    node.store.jobs.finish(job, [outcome], full("pacs"))


@pytest.mark.parametrize("gets_stuck", [held, parked, withheld])
def test_what_no_person_decides_on_goes_after_its_own_limit(
    node: StoreHarness, tmp_path: Path, gets_stuck: Callable[[StoreHarness], None]
) -> None:
    """Not before; with an audit line that counts what was never read or delivered."""
    gets_stuck(node)
    paths = files(node, tmp_path)
    node.clock.tick(179 * DAY)
    keep_house(node, stuck_days=180.0)
    assert studies(node) == ["1.2"]
    node.clock.tick(2 * DAY)
    keep_house(node, stuck_days=180.0)
    assert studies(node) == []
    assert not any(path.exists() for path in paths)
    [line] = [each for each in node.store.audit.all() if each.event.kind is AuditKind.STUDY_REMOVED]
    assert line.event.detail[gets_stuck.__name__] in (1, 2)


def test_what_waits_or_is_on_its_way_has_no_limit(node: StoreHarness) -> None:
    """A destination may be away for long: its deliveries stay pending."""
    node.finish(node.work("1.2"), "pacs")
    node.receive("1.3")
    node.clock.tick(1000 * DAY)
    keep_house(node, stuck_days=180.0)
    assert sorted(studies(node)) == ["1.2", "1.3"]


def test_a_retried_study_gets_the_whole_time_again(node: StoreHarness) -> None:
    """The limit counts from the last refusal."""
    held(node)
    node.clock.tick(170 * DAY)
    node.store.outbox.retry(None)
    settle(node, DeliveryEvent.REFUSED)
    node.clock.tick(20 * DAY)
    keep_house(node, stuck_days=180.0)
    assert studies(node) == ["1.2"]


def test_one_destination_of_two_is_not_enough(node: StoreHarness) -> None:
    """Each destination must have it."""
    node.finish(node.work(), "pacs", "research")
    settle(node, DeliveryEvent.ACCEPTED)
    node.clock.tick(1000 * DAY)
    keep_house(node)
    assert studies(node) == ["1.2"]


def test_what_waits_for_its_commitment_stays(node: StoreHarness) -> None:
    """Accepted, and the PACS is still to be asked whether it keeps it."""
    node.finish(node.work(), "pacs")
    settle(node, DeliveryEvent.ACCEPTED, confirm=True)
    node.clock.tick(1000 * DAY)
    keep_house(node)
    assert studies(node) == ["1.2"]


def test_what_is_not_read_yet_stays(node: StoreHarness) -> None:
    """An undecided film, a job that waits, a job that is parked."""
    node.store.jobs.fail(node.work("1.3"), "no", None)
    node.receive("1.2")
    node.clock.tick(1000 * DAY)
    keep_house(node)
    assert sorted(studies(node)) == ["1.2", "1.3"]


def test_a_study_that_became_busy_again_stays(node: StoreHarness) -> None:
    """Whether it may go is asked once more in the transaction that removes it."""
    node.finish(node.work(), "pacs")
    settle(node, DeliveryEvent.ACCEPTED)
    node.clock.tick(1000 * DAY)
    before = node.clock.now - timedelta(days=30)
    assert node.store.retention.removable(before, 9) == ["1.2"]
    node.store.jobs.reread("1.2")
    assert not node.store.retention.remove("1.2", before)
    assert studies(node) == ["1.2"]


def test_a_crash_between_files_and_rows_is_finished_later(
    node: StoreHarness, tmp_path: Path
) -> None:
    """Files that are gone already do no harm."""
    node.finish(node.work(), "pacs")
    settle(node, DeliveryEvent.ACCEPTED)
    for path in files(node, tmp_path)[:2]:
        path.unlink()
    node.clock.tick(31 * DAY)
    keep_house(node)
    assert studies(node) == []
    assert node.receive("1.2") is not None  # and the study may come again
