"""Files of a node are those that docs/DEPLOYMENT.md lists, and patients are only where it says."""

from __future__ import annotations

import re
import stat
from fnmatch import fnmatch
from pathlib import Path

from support.film import film, write
from support.peer import Peer, destination
from support.running import STAND_IN, running_node

PAGE = (Path(__file__).parents[2] / "docs" / "DEPLOYMENT.md").read_text()
_NAME, _NUMBER, _BIRTH = "Restingplace^Quaxo", "QX-4711-0815", "19510203"


def _table() -> dict[str, tuple[bool, str]]:
    """Path below the data folder -> whether it identifies patients, and the mode of its files."""
    table = PAGE.split("<!-- data: begin -->")[1].split("<!-- data: end -->")[0]
    rows = re.findall(r"^\| (`.+?`) \| [^|]+ \| ([^|]+) \| [^|]+ \| [^|]*(\d{4}) \|$", table, re.M)
    return {
        path: (answer.strip() == "yes", mode)
        for paths, answer, mode in rows
        for path in re.findall(r"`([^`]+)`", paths)
    }


def test_every_file_is_listed_and_patients_are_only_where_the_page_says(tmp_path: Path) -> None:
    """A hand film is refused with a report; then every file is searched for its patient."""
    (tmp_path / "node").mkdir()
    source = film(
        BodyPartExamined="HAND", PatientName=_NAME, PatientID=_NUMBER, PatientBirthDate=_BIRTH
    )
    with (
        Peer(tmp_path / "pacs") as pacs,
        running_node(tmp_path / "node", [destination(pacs.port)], environment=STAND_IN) as node,
    ):
        assert node.send([write(source, tmp_path / "film.dcm")]) == [0x0000]
        node.wait_until(pacs.instances, seconds=300)
        found = {
            path.relative_to(node.data_dir).as_posix(): path.read_bytes()
            for path in node.data_dir.rglob("*")
            if path.is_file()
        }
        modes = {
            path.relative_to(node.data_dir).as_posix(): stat.S_IMODE(path.lstat().st_mode)
            for path in (node.data_dir, *node.data_dir.rglob("*"))
        }
        examined = node.run("doctor", "files")
        log = node.log()
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}, "folders too"
    assert examined.returncode == 0, examined.stdout
    table = _table()
    for name, content in found.items():
        [row] = [path for path in table if fnmatch(name, f"{path}*" if path[-1] == "/" else path)]
        identifies, mode = table[row]
        assert f"{modes[name]:04o}" == mode, name
        if not identifies:
            for secret in (_NAME, _NAME.partition("^")[0], _NUMBER):
                assert secret.encode() not in content, name
    assert any(_NUMBER.encode() in content for content in found.values()), "the search finds it"
    assert _NUMBER not in log
    assert _NAME.partition("^")[0] not in log
