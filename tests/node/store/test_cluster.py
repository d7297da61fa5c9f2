"""Several machines over one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.fakes import FakeClock, StoreHarness
from support.postgres import Postgres

from dicom_node.config import Config
from dicom_node.errors import NodeError
from dicom_node.store.database import claiming
from dicom_node.store.plain import SQLITE
from dicom_node.store.status import read_status
from dicom_node.store.store import Store, open_store


@pytest.fixture
def machines(server: Postgres, migrated: str, tmp_path: Path) -> Iterator[list[Store]]:
    """The stores of three machines."""
    name = server.create(migrated)
    with ExitStack() as opened:
        opened.callback(server.drop, name)
        stores = [open_store(tmp_path, FakeClock(), server.url(name)) for _ in range(3)]
        for store in stores:
            opened.callback(store.close)
        yield stores


def test_one_machine_leads_and_another_follows_it(machines: list[Store]) -> None:
    """What is done once in the cluster is done by one; when it has gone, by another."""
    first, second, third = machines
    assert [store.leads() for store in machines] == [True, False, False]
    assert first.leads()
    first.close()
    assert second.leads()
    assert not third.leads()


def test_a_machine_with_its_own_database_always_leads(tmp_path: Path) -> None:
    """There is no other that could."""
    store = open_store(tmp_path, FakeClock())
    assert store.leads()
    store.close()


def test_workers_that_claim_together_get_different_studies(machines: list[Store]) -> None:
    """Each study is claimed once, and no claim goes away empty while a study waits."""
    node = StoreHarness(machines[0], FakeClock())
    for study in range(12):
        node.receive(f"1.{study}")
    node.open_ready()
    with ThreadPoolExecutor(6) as pool:
        jobs = [
            pool.submit(machines[number % 3].jobs.claim, f"w{number}", node.clock.after(60))
            for number in range(12)
        ]
        claimed = [job.result() for job in jobs]
    assert len({job.study_instance_uid for job in claimed if job}) == 12


def test_a_claim_does_not_wait_for_another_one(machines: list[Store]) -> None:
    """The job that a worker is claiming at this moment is skipped."""
    node = StoreHarness(machines[0], FakeClock())
    node.receive("1.2")
    node.open_ready()
    node.clock.tick()
    node.receive("1.3")
    node.open_ready()
    with claiming(machines[1]._engine) as connection:
        connection.exec_driver_sql("SELECT 1 FROM jobs WHERE study_instance_uid = '1.2' FOR UPDATE")
        assert node.claim().study_instance_uid == "1.3"


def test_a_server_that_is_away_is_an_error_of_ours(tmp_path: Path) -> None:
    """One sentence that names the setting, for the node and for `status`."""
    url = f"postgresql+psycopg://postgres@/none?host={tmp_path}"
    with pytest.raises(NodeError, match="cannot be read"):
        open_store(tmp_path, FakeClock(), url)
    with pytest.raises(NodeError, match="cannot be reached"):
        read_status(tmp_path, url)


def test_processes_of_machines_have_names_and_folders_of_their_own(tmp_path: Path) -> None:
    """Alone, a machine uses the data folder itself."""
    node = {"data_dir": tmp_path, "member": "west"}
    shared = {"url": "postgresql+psycopg://node@db/node"}
    assert Config.model_validate({"node": node}).run_dir == tmp_path
    assert Config.model_validate({"node": node, "store": {"url": SQLITE}}).member is None
    config = Config.model_validate({"node": node, "store": shared})
    assert (config.member, config.run_dir) == ("west", tmp_path / "members" / "west")


@pytest.mark.parametrize("secret", ["node:secret@db/node", "node@db/node?password=secret"])
def test_the_url_holds_no_password(secret: str) -> None:
    """It is printed, so the password belongs into PGPASSFILE."""
    with pytest.raises(ValueError, match="PGPASSFILE"):
        Config.model_validate({"store": {"url": f"postgresql+psycopg://{secret}"}})
