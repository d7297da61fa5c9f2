"""A NUL in what a peer sends is a matter of that peer: the store takes it, on each database."""

from __future__ import annotations

from support.fakes import StoreHarness

from dicom_node.domain.audit import AuditEvent, AuditKind

NUL_UID = "1.2\0.3"


def test_a_uid_with_a_nul_is_looked_up_and_not_found(node: StoreHarness) -> None:
    """As any UID that is not known."""
    assert node.store.inbox.find(NUL_UID) is None
    assert node.store.queries.study_detail(NUL_UID) is None


def test_a_refusal_that_names_such_a_uid_is_recorded(node: StoreHarness) -> None:
    """The line's hash covers what is stored."""
    detail: dict[str, object] = {"reason": "no UID: 1.2\0.3"}
    kind = AuditKind.INSTANCE_REFUSED
    node.store.audit.append(AuditEvent(kind=kind, sop_instance_uid=NUL_UID, detail=detail))
    [line] = node.store.audit.tail(1)
    assert line.event.sop_instance_uid == "1.2\ufffd.3"
    assert line.event.detail == detail
    assert node.store.audit.verify() == []


def test_a_reason_with_a_nul_is_kept(node: StoreHarness) -> None:
    """A peer's comment goes into the row of the work that it is about."""
    job = node.work()
    node.store.jobs.fail(job, "a peer said\0this", node.clock.after(1))
    [row] = node.rows("jobs")
    assert row["last_reason"].startswith("a peer said")
