"""Several machines over one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from support.commands import Commands
from support.fakes import FakeClock, StoreHarness
from support.postgres import Postgres

from dicom_node.config import Config
from dicom_node.errors import NodeError
from dicom_node.service.member_alarms import cluster
from dicom_node.service.processes import processes_of, roles_in
from dicom_node.store.database import claiming, writing
from dicom_node.store.members import MemberTable, Process, older_members
from dicom_node.store.plain import SQLITE
from dicom_node.store.status import SILENT_SECONDS, Member, read_status
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


def test_every_machine_sees_who_is_alive(machines: list[Store], tmp_path: Path) -> None:
    """Processes, host and last heartbeat; a machine that ended in order is not listed."""
    worker = Process(process="worker-1", roles="worker", pid=7)
    machines[0].members.beat("east", "pacs-1", "0.2.0", [worker])
    machines[1].members.beat("west", "pacs-2", "0.2.0", [worker])
    machines[1].members.beat("west", "pacs-2", "0.2.0", [])
    url = machines[2]._engine.url.render_as_string()
    [seen] = read_status(tmp_path, url)["members"]
    assert (seen["member"], seen["host"], seen["process"]) == ("east", "pacs-1", "worker-1")
    assert seen["seen_at"] == FakeClock()().isoformat(timespec="microseconds")


def test_a_machine_without_a_process_sees_the_whole_cluster(
    machines: list[Store], tmp_path: Path
) -> None:
    """Its commands read the shared database; that it runs nothing itself is no alarm."""
    node = StoreHarness(machines[0], FakeClock(datetime.now(UTC)))
    node.finish(node.work("1.2"), "pacs")
    all_roles = "receiver,worker,deliverer,scheduler"
    MemberTable(machines[0]._engine, node.clock).beat(
        "east", "pacs-1", "0.2.0", [Process(process="all", roles=all_roles, pid=7)]
    )
    url = machines[0]._engine.url.render_as_string()
    shared = {"store": {"url": url}, "node": {"data_dir": str(tmp_path), "member": "admin"}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(shared))
    commands = Commands(tmp_path)
    seen = commands.json("status")
    assert seen["members"][0]["age_seconds"] < SILENT_SECONDS
    assert not {"stopped", "process", "role-missing"} & {each["code"] for each in seen["alarms"]}
    assert "east       all on pacs-1, seen" in commands.run("status").stdout
    assert [each["study_instance_uid"] for each in commands.json("studies")] == ["1.2"]
    assert commands.json("show", "1.2")["study_instance_uid"] == "1.2"
    assert commands.json("audit", "verify")["ok"]


def test_a_new_version_waits_for_machines_of_an_older_one(
    machines: list[Store], tmp_path: Path
) -> None:
    """They work with the older schema until they end, or are silent for too long."""
    url, clock = machines[0]._engine.url.render_as_string(), FakeClock()
    machines[0].members.beat("east", "pacs-1", "0.2.0", [Process(process="w", roles="w", pid=7)])
    assert older_members(tmp_path, url, clock()) == []
    with writing(machines[0]._engine) as connection:
        connection.exec_driver_sql("UPDATE members SET schema = '0001'")
    assert older_members(tmp_path, url, clock()) == ["east"]
    assert older_members(tmp_path, url, clock.after(SILENT_SECONDS + 1)) == []


def test_silent_machines_and_missing_roles_are_alarms() -> None:
    """Each names the machine or the role; nothing is wrong while all have been heard."""
    now = FakeClock()()
    east = Member(
        member="east", process="receiver-1", roles="receiver", host="pacs-1", pid=1,
        version="0.2.0", seen_at=now.isoformat(),
    )  # fmt: skip
    west = east | Member(
        member="west", process="deliverer-1", roles="worker,deliverer,scheduler", host="pacs-2",
        pid=2, version="0.2.0", seen_at=now.isoformat(),
    )  # fmt: skip
    assert cluster([east, west], now) == []
    late = now + timedelta(seconds=SILENT_SECONDS + 5)
    alarms = cluster([east, west | {"seen_at": late.isoformat()}], late)
    assert [alarm.sentence for alarm in alarms] == [
        "no machine is a receiver",
        "east on pacs-1 was last seen 35 seconds ago: receiver-1",
    ]


def test_a_scheduler_alone_has_a_process_of_its_own() -> None:
    """A deliverer of the same machine does its work otherwise."""
    every = Config()
    alone = Config.model_validate({"node": {"roles": ["scheduler"]}})
    assert list(processes_of(alone)) == ["scheduler-1"]
    assert "scheduler-1" not in processes_of(every)
    assert roles_in("deliverer", every) == ("deliverer", "scheduler")
