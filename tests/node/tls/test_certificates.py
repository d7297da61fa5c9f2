"""What `doctor tls`, `status` and the audit log say of certificates."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from structlog.testing import capture_logs
from support.certificates import identity
from support.fakes import EmptyAuditLog
from support.receiving import MemoryStore
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.config import Config, SpoolConfig, TlsConfig, load
from dicom_node.domain.audit import AuditKind
from dicom_node.errors import ConfigError
from dicom_node.service.alarms import access, alarms, certificates, unbound
from dicom_node.service.first_lines import write_first_lines
from dicom_node.service.housekeeping import Housekeeping

NOW = datetime.now(UTC)


class NothingOld:
    """A store from which nothing may go."""

    def removable(
        self, before: datetime, limit: int, stuck_before: datetime | None = None
    ) -> list[str]:
        return []

    def remove(
        self, study_instance_uid: str, before: datetime, stuck_before: datetime | None = None
    ) -> bool:
        return False


def _configured(folder: Path, tls: TlsConfig, **node: object) -> Path:
    path = folder / "config.yaml"
    given = {"tls": json.loads(tls.model_dump_json()), "node": {"data_dir": str(folder), **node}}
    path.write_text(yaml.safe_dump(given))
    return path


def test_doctor_explains_certificate_names_chain_and_expiry(tmp_path: Path) -> None:
    """Subject, alternative names, issuer up to the authority, days left, the profile."""
    own = identity(tmp_path, "node").model_copy(update={"port": 2762})
    path = _configured(tmp_path, own, allowed_calling=[{"ae_title": "CR1"}])
    result = CliRunner().invoke(app, ["doctor", "tls", "--json", "--config", str(path)])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.output)
    assert "PS3.15 B.12" in shown["profile"]
    [certificate] = shown["certificates"]
    assert "CN=node" in certificate["subject"]
    assert certificate["names"] == ["localhost", "127.0.0.1"]
    assert certificate["days_left"] == 100
    assert [("CN=node" in shown["chain"][0]), ("Hospital CA" in shown["chain"][1])] == [True, True]
    assert shown["unbound_titles"] == ["CR1"]
    printed = CliRunner().invoke(app, ["doctor", "tls", "--config", str(path)])
    assert printed.exit_code == 0
    assert "WARNING    any certificate may use the AE title CR1" in printed.output


def test_doctor_names_every_fault_at_once(tmp_path: Path) -> None:
    """A key of another certificate and an authority's file without one: two faults, status 1."""
    own, other = identity(tmp_path, "node"), identity(tmp_path, "other")
    Path(str(own.ca_file)).write_text("nothing")
    path = _configured(tmp_path, own.model_copy(update={"key_file": other.key_file}))
    result = CliRunner().invoke(app, ["doctor", "tls", "--config", str(path)])
    assert result.exit_code == 1
    assert result.output.count("FAULT") >= 2
    assert "holds no certificate" in result.output


def test_an_authority_that_is_missing_is_seen_in_the_chain(tmp_path: Path) -> None:
    """If our files lack the issuer of our certificate, the chain names it."""
    from dicom_node.tls.certificates import chain_of

    own = identity(tmp_path, "node").model_copy(update={"ca_file": None})
    assert chain_of(own)[-1].startswith("(not in our files: ")


@pytest.mark.parametrize(
    ("days", "said"), [(100, None), (20, "expires in 20 days"), (-3, "expired on")]
)
def test_expiry_is_an_alarm_and_a_line_in_the_audit_log(
    tmp_path: Path, days: int, said: str | None
) -> None:
    """Sooner than `tls.warn_days`: `status` shows it, housekeeping writes it down."""
    config = Config().model_copy(update={"tls": identity(tmp_path, "node", days=days)})
    store = MemoryStore()
    soon = NOW + timedelta(minutes=1)
    house = Housekeeping(
        config=config,
        audit=store,
        chain=EmptyAuditLog(),
        retention=NothingOld(),
        clock=lambda: soon,
    )
    house.run()
    house.run()  # an hour later: nothing new
    lines = [e.detail["reason"] for e in store.events if e.kind is AuditKind.TLS_EXPIRING]
    assert lines == [each.sentence for each in certificates(config, soon)]
    assert (said is None and not lines) or (said is not None and said in str(lines[0]))


@pytest.mark.parametrize(
    ("node", "tls", "open_to_all"),
    [
        ({}, {}, True),
        ({"host": "127.0.0.1"}, {}, False),
        ({"allowed_calling": [{"ae_title": "CR1"}]}, {}, False),
        ({"users_file": "users"}, {}, False),
        ({"plain": False}, {"mutual": True}, False),
        ({"plain": False}, {"mutual": False}, True),
        ({"plain": True}, {"mutual": True}, True),
    ],
    ids=str,
)
def test_a_node_that_any_peer_may_call_says_so(
    node: dict[str, object], tls: dict[str, object], open_to_all: bool
) -> None:
    """On every start and in `status`; an unconfigured node is such a node."""
    files = {"port": 2762, "certificate_file": "a", "key_file": "b", "ca_file": "c"}
    config = Config.model_validate({"node": node, "tls": {**files, **tls} if tls else {}})
    assert bool(access(config)) is open_to_all


@pytest.mark.parametrize(
    ("tls", "certificates", "titles"),
    [
        ({"mutual": True}, [None, "ct", None], ("CR1", "CR3")),
        ({"mutual": True}, ["cr", "ct"], ()),
        ({"mutual": True}, [], ()),
        ({"mutual": False}, [None], ()),
        ({}, [None], ()),
    ],
    ids=str,
)
def test_a_title_that_any_certificate_may_use_is_an_alarm(
    tls: dict[str, object], certificates: list[str | None], titles: tuple[str, ...]
) -> None:
    """In `status` and in the first lines of the log, with the titles of the allow-list."""
    files = {"port": 2762, "certificate_file": "a", "key_file": "b", "ca_file": "c"}
    calling = [
        {"ae_title": f"CR{number}", "certificate": name}
        for number, name in enumerate(certificates, 1)
    ]
    config = Config.model_validate(
        {"node": {"allowed_calling": calling}, "tls": {**files, **tls} if tls else {}}
    )
    with capture_logs() as logs:
        write_first_lines(config, None)
    warned = [each["titles"] for each in logs if each["event"].startswith("any certificate")]
    assert warned == ([", ".join(titles)] if titles else [])
    sentences = [each.sentence for each in unbound(config)]
    assert len(sentences) == len(warned)
    assert all(title in sentences[0] for title in titles)


def test_a_full_disk_is_an_alarm(tmp_path: Path) -> None:
    """`status` says why films are rejected."""
    config = load(None, {"DICOM_NODE__NODE__DATA_DIR": str(tmp_path)})
    full = config.model_copy(update={"spool": SpoolConfig(min_free_mb=10**9)})
    assert "films are rejected" in alarms(full, NOW)[0].sentence


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        ({"port": 2762}, "needs certificate_file"),
        ({"certificate_file": "a"}, "given together"),
        ({"port": 2762, "certificate_file": "a", "key_file": "b"}, "needs ca_file"),
        ({"passphrase_file": "a", "passphrase_env": "B"}, "not both"),
        ({"profile": "ssl3"}, "bcp195"),
    ],
)
def test_half_a_configuration_of_tls_is_a_mistake(tls: dict[str, object], message: str) -> None:
    """What cannot work stops the start, with the key's name."""
    with pytest.raises(ConfigError, match=message):
        load(None, {"DICOM_NODE__TLS": yaml.safe_dump(tls)})


def test_a_node_that_no_peer_can_call_is_a_mistake() -> None:
    """No plain listener and no TLS port; a TLS destination without an authority."""
    with pytest.raises(ConfigError, match="no peer could call"):
        load(None, {"DICOM_NODE__NODE__PLAIN": "false"})
    pacs = [{"name": "p", "ae_title": "P", "host": "h", "port": 1, "tls": True}]
    with pytest.raises(ConfigError, match=r"needs tls\.ca_file"):
        load(None, {"DICOM_NODE__DESTINATIONS": yaml.safe_dump(pacs)})
