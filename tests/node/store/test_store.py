"""Opening the database: made, migrated, refused."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from support.fakes import FakeClock, StoreHarness, store_harness

from dicom_node.errors import NodeError, StoreWriteError
from dicom_node.store import migrations
from dicom_node.store.database import writing
from dicom_node.store.plain import SQLITE
from dicom_node.store.site_schema import metadata
from dicom_node.store.status import read_status
from dicom_node.store.store import open_store


def test_the_migrations_make_exactly_the_tables_the_code_speaks_of(node: StoreHarness) -> None:
    """The schema in Python and the migrated database do not differ."""
    with node.store._engine.connect() as connection:
        # On PostgreSQL every text has one type (`dicom_node.store.postgresql`).
        types = connection.dialect.name == SQLITE
        context = MigrationContext.configure(connection, opts={"compare_type": types})
        assert compare_metadata(context, metadata) == []


def test_the_newest_migration_is_the_one_the_code_asks_for() -> None:
    """A new migration file and a forgotten HEAD do not pass."""
    config = Config()
    config.set_main_option("script_location", str(migrations.SCRIPTS))
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_a_database_of_an_older_node_keeps_its_deliveries(tmp_path: Path) -> None:
    """What was delivered before there was commitment stays accepted; no commitment is requested."""
    with store_harness(tmp_path) as made:
        engine = made.store._engine
        made.finish(made.work(), "pacs")
        with writing(engine) as connection:
            for table in ("commitments", "pledges", "breakers", "trail_positions", "conflicts",
                          "verdicts", "shadow_readings", "promotions", "drift_references",
                          "drift_alarms", "site_thresholds", "members"):  # fmt: skip
                connection.exec_driver_sql(f"DROP TABLE {table}")
            connection.exec_driver_sql("DROP INDEX ix_deliveries_status_confirm_at")
            for index in ("ix_audit_kind_at", "ix_deliveries_destination_status"):
                connection.exec_driver_sql(f"DROP INDEX {index}")
            for column in ("patient_key", "accession_key"):
                connection.exec_driver_sql(f"DROP INDEX ix_studies_{column}")
                connection.exec_driver_sql(f"ALTER TABLE studies DROP COLUMN {column}")
            for column in ("film_date", "modality", "view", "decade"):
                connection.exec_driver_sql(f"ALTER TABLE readings DROP COLUMN {column}")
            connection.exec_driver_sql("ALTER TABLE instances DROP COLUMN priority")
            for column in ("editions", "sent_study_instance_uid"):
                connection.exec_driver_sql(f"ALTER TABLE results DROP COLUMN {column}")
            for column in ("confirm_at", "transaction_uid", "asked", "missed", "committed_at",
                           "committed_by"):  # fmt: skip
                connection.exec_driver_sql(f"ALTER TABLE deliveries DROP COLUMN {column}")
            connection.exec_driver_sql(
                "ALTER TABLE deliveries RENAME COLUMN accepted_at TO delivered_at"
            )
            connection.exec_driver_sql("UPDATE deliveries SET status = 'delivered'")
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert read_status(tmp_path)["breakers"] == {}  # before anybody has migrated it
    with store_harness(tmp_path) as made:
        assert {row["status"] for row in made.rows("deliveries")} == {"accepted"}
        assert made.store.commitments.claim("deliverer-1", made.clock.after(60)) is None
        assert made.store.audit.verify() == []


def test_processes_that_start_together_migrate_once(tmp_path: Path, empty_database: str) -> None:
    """The first process makes the tables; the others wait and find them."""
    with ThreadPoolExecutor(6) as pool:
        stores = list(
            pool.map(lambda _: open_store(tmp_path, FakeClock(), empty_database), range(6))
        )
    for store in stores:
        assert store.queries.studies(1) == []
        store.close()


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """Write-ahead log, full synchronisation, foreign keys, on every connection."""
    store = open_store(tmp_path, FakeClock())
    with store._engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert pragmas == ["wal", 2, 1, 30_000]
    store.close()


def test_opening_again_keeps_everything_and_asks_alembic_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An up-to-date database is opened without a migration run."""
    with store_harness(tmp_path) as first:
        first.receive()
    monkeypatch.setattr("alembic.command.upgrade", None)
    with store_harness(tmp_path) as second:
        assert second.store.inbox.find("1.2.1") is not None


def test_a_database_of_a_newer_node_is_refused(node: StoreHarness, tmp_path: Path) -> None:
    """The error names both schemas; nothing is written."""
    node.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NodeError, match="newer version of the node"):
        open_store(tmp_path, FakeClock(), node.url)


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    """A damaged file is one sentence with its path, not a traceback."""
    (tmp_path / "node.db").write_bytes(b"not a database, " * 300)
    for look in (lambda: open_store(tmp_path, FakeClock()), lambda: read_status(tmp_path)):
        with pytest.raises(NodeError, match=r"node\.db"):
            look()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    """Status of a folder no node has run over is an error, and leaves the folder as it was."""
    with pytest.raises(NodeError, match="no node has run"):
        read_status(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_went_away_is_an_error_of_ours(tmp_path: Path) -> None:
    """Reading raises NodeError, writing StoreWriteError: callers need no SQL exceptions."""
    with store_harness(tmp_path) as broken:
        broken.sql("DROP TABLE deliveries")
        broken.sql("DROP TABLE audit")
        with pytest.raises(NodeError, match="cannot be read"):
            broken.store.audit.verify()
        with pytest.raises(StoreWriteError, match="cannot be written"):
            broken.receive()
        assert broken.store.inbox.find("1.2.1") is None


def test_status_starts_without_sqlalchemy() -> None:
    """The import that costs a third of a second is left to the commands that need it."""
    code = (
        "import sys; from dicom_node.store.status import read_status;"
        "sys.exit('sqlalchemy' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=False).returncode == 0


def test_polling_never_walks_a_whole_table(tmp_path: Path) -> None:
    """What is asked several times a second finds its rows by an index, for years."""
    with store_harness(tmp_path) as idle:
        asked = _statements(idle)
        assert len(asked) >= 5
        for statement, values in asked:
            with idle.store._engine.connect() as connection:
                explained = f"EXPLAIN QUERY PLAN {statement}"
                plan = [row[3] for row in connection.exec_driver_sql(explained, values)]
            tables = [
                step for step in plan if not step.startswith(("SCAN (subquery", "SCAN anon_"))
            ]
            assert not [step for step in tables if step.startswith("SCAN")], (statement, plan)


def _statements(idle: StoreHarness) -> list[tuple[str, tuple[object, ...]]]:
    """What the idle node says to its database, again and again."""
    from sqlalchemy import event

    heard: list[tuple[str, tuple[object, ...]]] = []

    def hear(_c: object, _cursor: object, statement: str, values: object, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            heard.append((statement, tuple(values)))  # type: ignore[arg-type]

    event.listen(idle.store._engine, "before_cursor_execute", hear)
    idle.open_ready()
    store = idle.store
    for queue in (store.jobs, store.outbox, store.commitments, store.commitment_requests):
        queue.claim("worker-1", idle.clock.after(1))
        queue.release()
    store.breakers.due(())
    store.breakers.answered("pacs")
    idle.store.inbox.find("1.2")
    event.remove(idle.store._engine, "before_cursor_execute", hear)
    return heard
