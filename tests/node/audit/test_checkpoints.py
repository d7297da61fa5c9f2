"""Every way to tamper with the audit log leaves something that verification finds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from support.fakes import START, StoreHarness

from dicom_node.audit import checkpoints
from dicom_node.config import AuditConfig, Config
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import ConfigError
from dicom_node.service import alarms
from dicom_node.service.housekeeping import Housekeeping


def config(tmp_path: Path, **audit: object) -> Config:
    section = AuditConfig.model_validate({"checkpoint_dir": tmp_path / "aside", **audit})
    return Config().model_copy(update={"audit": section})


def keys(tmp_path: Path, name: str = "node") -> dict[str, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / f"{name}.key", tmp_path / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return {"signing_key_file": private, "public_key_file": public}


def live(node: StoreHarness, lines: int) -> None:
    for number in range(lines):
        node.store.audit.append(AuditEvent(kind=AuditKind.STUDY_READY, detail={"n": number}))


def found(node: StoreHarness, settings: Config) -> list[str]:
    return [*node.store.audit.verify(), *checkpoints.problems(node.store.audit, settings)]


def rewrite(node: StoreHarness, start: int, lines: int) -> None:
    """Rewrite the audit log from a line on, with hashes that fit."""
    node.sql("DELETE FROM audit WHERE sequence >= :line", line=start)
    live(node, lines)


def test_an_untouched_audit_log_agrees(node: StoreHarness, tmp_path: Path) -> None:
    """However far it has grown; and where nothing is new there is no checkpoint more."""
    settings = config(tmp_path, **keys(tmp_path))
    for _ in range(3):
        live(node, 2)
        assert checkpoints.write(node.store.audit, settings, START) is not None
        assert checkpoints.write(node.store.audit, settings, START) is None
    live(node, 5)
    assert checkpoints.count(settings) == 3
    assert found(node, settings) == []


def test_a_shortened_or_rewritten_audit_log_is_found(node: StoreHarness, tmp_path: Path) -> None:
    """Its own chain is whole; the checkpoint has seen another."""
    settings = config(tmp_path)
    live(node, 6)
    checkpoints.write(node.store.audit, settings, START)
    node.sql("DELETE FROM audit WHERE sequence >= 5")
    assert node.store.audit.verify() == []
    assert found(node, settings) == ["line 6: missing, but checkpoint 1 recorded it"]
    node.clock.tick(1)
    rewrite(node, 4, 5)
    assert node.store.audit.verify() == []
    assert found(node, settings) == ["line 6: not the one that checkpoint 1 recorded"]


@pytest.mark.parametrize("seed", range(12))
def test_any_edit_is_found(node: StoreHarness, tmp_path: Path, seed: int) -> None:
    """A line is changed, removed or inserted, or the end is rewritten."""
    pick = random.Random(seed)
    settings = config(tmp_path)
    live(node, 20)
    checkpoints.write(node.store.audit, settings, START)
    node.clock.tick(1)
    line = pick.randint(1, 20)
    tamper: list[Callable[[], object]] = [
        lambda: node.sql("UPDATE audit SET detail = '{}' WHERE sequence = :line", line=line),
        lambda: node.sql("UPDATE audit SET at = '2020' WHERE sequence = :line", line=line),
        lambda: node.sql("DELETE FROM audit WHERE sequence = :line", line=line),
        lambda: node.sql(
            "INSERT INTO audit SELECT 21, at, kind, study_instance_uid, sop_instance_uid, detail, "
            "previous_hash, hash FROM audit WHERE sequence = :line",
            line=line,
        ),
        lambda: rewrite(node, line, 30),
    ]
    tamper[seed % len(tamper)]()
    assert found(node, settings)


def test_a_foreign_checkpoint_is_found(node: StoreHarness, tmp_path: Path) -> None:
    """Changed together with the audit log, unsigned, or signed with another key."""
    settings = config(tmp_path, **keys(tmp_path))
    live(node, 4)
    checkpoints.write(node.store.audit, settings, START)
    path = tmp_path / "aside" / checkpoints.FILE_NAME
    node.clock.tick(1)
    rewrite(node, 3, 2)
    made = json.loads(path.read_text())
    made["hash"] = node.store.audit.head()[1]
    path.write_text(json.dumps(made) + "\n")
    assert found(node, settings) == ["checkpoint 1: its signature is missing or wrong"]
    path.write_text(json.dumps({**made, "signature": None}) + "\nnonsense\n")
    assert found(node, settings) == [
        "checkpoint 1: its signature is missing or wrong",
        "checkpoint 2: cannot be read",
    ]
    path.unlink()
    other = config(tmp_path, signing_key_file=keys(tmp_path, "other")["signing_key_file"])
    checkpoints.write(node.store.audit, other, START)
    assert found(node, settings) == ["checkpoint 1: its signature is missing or wrong"]


def test_a_wrong_key_file_is_said(node: StoreHarness, tmp_path: Path) -> None:
    """Before anything is written."""
    wrong = tmp_path / "wrong.key"
    wrong.write_text("no key")
    live(node, 1)
    with pytest.raises(ConfigError, match=r"audit\.signing_key_file"):
        checkpoints.write(node.store.audit, config(tmp_path, signing_key_file=wrong), START)
    assert not (tmp_path / "aside").exists()


def house(node: StoreHarness, settings: Config, **more: Any) -> Housekeeping:
    log = node.store.audit
    return Housekeeping(
        config=settings, audit=log, chain=log, retention=node.store.retention,
        clock=node.clock, **more,
    )  # fmt: skip


def alerts(node: StoreHarness) -> list[str]:
    lines = node.store.audit.tail(100)
    return [str(x.event.detail["reason"]) for x in lines if x.event.kind is AuditKind.AUDIT_BROKEN]


def test_a_start_verifies_the_audit_log_and_raises_one_alert(
    node: StoreHarness, tmp_path: Path
) -> None:
    """The first round after a start walks all of it; the next ones say nothing twice."""
    settings = config(tmp_path)
    live(node, 6)
    node.sql("UPDATE audit SET detail = '{}' WHERE sequence = 2")
    node.sql("DELETE FROM audit WHERE sequence = 4")
    keeping = house(node, settings)
    for _ in range(3):
        keeping.run()
    [reason] = alerts(node)
    assert reason == "audit log: line 2: content does not match its hash (and 1 more)"
    last_valid_checkpoint = checkpoints.last_valid_checkpoint(node.store.audit, settings)
    assert last_valid_checkpoint is not None
    assert last_valid_checkpoint.sequence == 7  # the alert is under the checkpoint


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE audit SET detail = '{}' WHERE sequence = 8", "line 8: content does not match"),
        ("DELETE FROM audit WHERE sequence = 8", "line 8 to 8: missing"),
        ("DELETE FROM audit WHERE sequence >= 5", "line 6: missing"),
    ],
)
def test_each_round_looks_through_what_is_new(
    node: StoreHarness, tmp_path: Path, tampering: str, found: str
) -> None:
    """And notices that the end it knew is gone, with the checkpoints too."""
    settings = config(tmp_path)
    live(node, 6)
    keeping = house(node, settings)
    keeping.run()
    live(node, 4)
    (tmp_path / "aside" / checkpoints.FILE_NAME).unlink()
    node.sql(tampering)
    keeping.run()
    [reason] = alerts(node)
    assert reason.startswith(f"audit log: {found}")


def test_an_alert_that_cannot_be_written_comes_later(node: StoreHarness, tmp_path: Path) -> None:
    """A full disk does not stop the rest of the hour's work, which makes room."""
    live(node, 3)
    node.sql("DELETE FROM audit WHERE sequence = 2")
    keeping = house(node, config(tmp_path))
    node.sql("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
    keeping.run()
    node.sql("DROP TRIGGER full")
    assert alerts(node) == []
    keeping.run()
    assert alerts(node) == ["audit log: line 2 to 2: missing"]


def test_only_a_checkpoint_that_agrees_counts(node: StoreHarness, tmp_path: Path) -> None:
    """Up to its line. One of another audit log or without a signature does not count."""
    settings = config(tmp_path, **keys(tmp_path))
    log = node.store.audit
    assert checkpoints.last_valid_checkpoint(log, settings) is None
    for _ in range(2):
        live(node, 3)
        checkpoints.write(log, settings, START)
    last_valid_checkpoint = checkpoints.last_valid_checkpoint(log, settings)
    assert last_valid_checkpoint is not None
    assert (last_valid_checkpoint.sequence, last_valid_checkpoint.hash) == (6, log.hash_at(6))
    node.clock.tick(1)
    rewrite(node, 5, 4)
    last_valid_checkpoint = checkpoints.last_valid_checkpoint(log, settings)
    assert last_valid_checkpoint is not None
    assert last_valid_checkpoint.sequence == 3
    checkpoints.write(log, config(tmp_path), START)  # covers all, unsigned
    last_valid_checkpoint = checkpoints.last_valid_checkpoint(log, settings)
    assert last_valid_checkpoint is not None
    assert last_valid_checkpoint.sequence == 3
    live(node, 1)
    checkpoints.write(log, settings, START)  # of rewritten lines, with a valid signature
    last_valid_checkpoint = checkpoints.last_valid_checkpoint(log, settings)
    assert last_valid_checkpoint is not None
    assert last_valid_checkpoint.sequence == 3


def test_a_checkpoint_is_written_every_500_lines_or_5_minutes(
    node: StoreHarness, tmp_path: Path
) -> None:
    """So that little of the audit log can be cut off unseen."""
    settings = config(tmp_path)
    keeper = house(node, settings)
    live(node, 1)
    keeper.run()
    more = AuditEvent(kind=AuditKind.STUDY_READY)
    node.store.audit.append(*[more] * 499)
    keeper.checkpoint_if_due()
    assert checkpoints.count(settings) == 1
    live(node, 1)
    keeper.checkpoint_if_due()
    assert checkpoints.count(settings) == 2
    live(node, 1)
    node.clock.tick(299)
    keeper.checkpoint_if_due()
    assert checkpoints.count(settings) == 2
    node.clock.tick(1)
    keeper.checkpoint_if_due()
    assert checkpoints.count(settings) == 3
    node.clock.tick(3600)
    keeper.checkpoint_if_due()
    assert checkpoints.count(settings) == 3


def test_a_machine_that_begins_to_lead_writes_a_checkpoint_at_once(
    node: StoreHarness, tmp_path: Path
) -> None:
    """It does not wait for its next hourly round, which it had left to another machine."""
    settings = config(tmp_path)
    live(node, 1)
    house(node, settings).checkpoint_if_due()
    assert checkpoints.count(settings) == 1


def test_checkpoints_beside_the_database_raise_an_alarm(tmp_path: Path) -> None:
    """Who can rewrite the one can rewrite the other."""
    settings = config(tmp_path)
    aside = settings.audit.model_copy(update={"checkpoint_dir": tmp_path / "elsewhere"})
    own = settings.node.model_copy(update={"data_dir": tmp_path / "data"})
    beside = settings.audit.model_copy(update={"checkpoint_dir": tmp_path / "data" / "checkpoints"})
    apart = settings.model_copy(update={"audit": aside, "node": own})
    assert alarms.checkpoints(apart) == []
    assert len(alarms.checkpoints(apart.model_copy(update={"audit": beside}))) == 1
