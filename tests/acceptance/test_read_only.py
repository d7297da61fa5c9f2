"""A node as its container runs it: no root, no right, nothing to write to but its data and /tmp."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.film import film, phantom, write
from support.peer import Peer, destination
from support.running import running_node

_USER = 10001
_PACKAGE = Path(__file__).parents[2] / "dicom_node"

# In a mount name space of its own: all is read-only but the data and an empty /tmp, as in
# docker/compose.yaml.
# The one capability left reads what others cannot, for the interpreter may lie in a home folder;
# it writes nothing.
_CONFINE = f"""
set -e
mount --make-rprivate /
mount --bind "$0" "$0"
findmnt -rno TARGET | while read -r place; do
    [ "$place" = "$0" ] || mount -o remount,bind,ro "$place" 2>/dev/null || true
done
mount -t tmpfs -o size=64m,noexec,nosuid,nodev tmpfs /tmp
export HOME="$0" LOGNAME=node
exec setpriv --reuid {_USER} --regid {_USER} --clear-groups --no-new-privs \
    --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search \
    --bounding-set=-all,+dac_read_search "$@"
"""

_WRITE = """
import errno, sys
from pathlib import Path
for folder in sys.argv[1:]:
    try:
        path = Path(folder, "written")
        path.touch()
        path.unlink()
        print(0)
    except OSError as error:
        print(error.errno)
"""


@pytest.fixture
def data() -> Iterator[Path]:
    """A folder of the user's, below one that every user may read, unlike pytest's own."""
    if os.geteuid() != 0:
        pytest.skip("only root can make file systems read-only for a process")
    if missing := [name for name in ("unshare", "setpriv", "findmnt") if not shutil.which(name)]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    with tempfile.TemporaryDirectory(prefix="read-only-", dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        before = os.umask(0o022)  # a command run in this process may have set the node's 077
        (folder := Path(place) / "data").mkdir()
        os.chown(folder, _USER, _USER)
        if subprocess.run([*_confined(folder), "true"], check=False).returncode:
            pytest.skip("this machine does not let root make a mount name space")
        look = [
            sys.executable,
            "-c",
            "import os, sys; sys.exit(not os.access(sys.argv[1], os.R_OK))",
        ]
        if subprocess.run([*_confined(folder), *look, str(_PACKAGE)], check=False).returncode:
            pytest.skip("the checkout lies where only root may look")
        yield folder
        os.umask(before)


@pytest.mark.timeout(420)
def test_a_node_that_can_write_to_its_data_alone_reads_and_delivers(
    tmp_path: Path, data: Path
) -> None:
    """Received, decoded by the other process, read, composed, delivered and confirmed."""
    source = film(phantom(opacity=0.9), kind="dx", syntax="1.2.840.10008.1.2.5")
    path = write(source, tmp_path / "film.dcm")
    with (
        Peer(tmp_path / "pacs") as pacs,
        running_node(data.parent, [destination(pacs.port)], wrapper=_confined(data)) as node,
    ):
        assert node.process is not None
        assert Path("/proc", str(node.process.pid)).stat().st_uid == _USER
        assert node.send([path]) == [0x0000]
        node.wait_until(lambda: node.delivered(2), seconds=300)
        [study] = node.cli("studies", "--json")
        assert study["study_instance_uid"] == source.StudyInstanceUID
        assert len(pacs.instances()) > 1
    # joblib says once that it has no shared memory here; the node uses none of it.
    written = [line for line in node.log().splitlines() if "joblib" not in line]
    assert "Read-only file system" not in "\n".join(written)
    assert list((data / "checkpoints").iterdir())


def test_a_confined_process_is_refused_everywhere_else(data: Path) -> None:
    """The test above would pass as well if nothing were read-only."""
    places = [data, Path("/tmp"), data.parent, _PACKAGE, Path("/var"), Path("/dev/shm")]  # noqa: S108
    done = subprocess.run(
        [*_confined(data), sys.executable, "-c", _WRITE, *map(str, places)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [int(word) for word in done.stdout.split()] == [0, 0, *[errno.EROFS] * 4]


def _confined(data: Path) -> tuple[str, ...]:
    return ("unshare", "--mount", "sh", "-c", _CONFINE, str(data))
