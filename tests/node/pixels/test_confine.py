"""Code that runs in the decoder process can do nothing but compute."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from support.film import Stored, film, phantom
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.pixels import decode
from dicom_node.pixels.sandbox import Sandbox

ROOT = str(Path(decode.__file__).parents[2])

# What stands for an exploit in a decoder: it runs where the decoder would run.
_PAYLOAD = r"""
import ctypes, json, mmap, os, resource, signal, socket, sqlite3, subprocess, sys, threading
from pathlib import Path
from dicom_node.pixels import decoder_process
folder, port, parent = sys.argv[2], int(sys.argv[3]), os.getppid()
missing = decoder_process._confine()
done = {}
def attempt(name, work):
    try:
        done[name] = f"DONE {work()}"
    except BaseException as error:
        done[name] = f"no: {type(error).__name__}"
def rewrite():
    with open(folder + "/film", "r+b") as file, mmap.mmap(file.fileno(), 0) as page:
        page[0:4] = b"EVIL"
def write(name, how="wb"):
    with open(folder + name, how, 0) as file:
        file.write(b"x")
def executable():
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    at = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_size_t(0))
    if at in (None, ctypes.c_void_p(-1).value):
        raise PermissionError
def tracer():
    if ctypes.CDLL(None, use_errno=True).ptrace(16, parent, 0, 0) < 0:
        raise PermissionError
for name, work in {
    "read another film": lambda: open(folder + "/film", "rb").read(),
    "read the database": lambda: sqlite3.connect(folder + "/node.db").execute("select 1"),
    "read a private key": lambda: open(folder + "/key.pem").read(),
    "read its parent's environment": lambda: open(f"/proc/{parent}/environ", "rb").read(),
    "read its own environment's file": lambda: open("/proc/self/environ", "rb").read(),
    "open its parent's memory": lambda: open(f"/proc/{parent}/mem", "rb+", 0),
    "trace its parent": tracer,
    "connect to a port": lambda: socket.create_connection(("127.0.0.1", port), 3),
    "listen on a port": lambda: socket.create_server(("127.0.0.1", 0)),
    "open a local socket": lambda: socket.socketpair(),
    "write a new file": lambda: write("/new"),
    "append to a file": lambda: write("/film", "ab"),
    "rewrite a file through mmap": rewrite,
    "empty a file": lambda: os.truncate(folder + "/film", 0),
    "remove a file": lambda: os.unlink(folder + "/film"),
    "rename a file": lambda: os.rename(folder + "/film", folder + "/gone"),
    "link a file": lambda: os.link(folder + "/film", folder + "/linked"),
    "change a file's mode": lambda: os.chmod(folder + "/film", 0o777),
    "list a folder": lambda: os.listdir(folder),
    "make a folder": lambda: os.mkdir(folder + "/made"),
    "fork": os.fork,
    "start a program": lambda: subprocess.run(["/bin/true"]),
    "start a thread": lambda: threading.Thread(target=print).start(),
    "signal its parent": lambda: os.kill(parent, 0),
    "end its parent": lambda: os.kill(parent, signal.SIGTERM),
    "become root": lambda: os.setuid(0),
    "raise a limit": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
    "make memory executable": executable,
    "duplicate a descriptor": lambda: os.dup(0),
    "hold a secret of its environment": lambda: [k for k in os.environ if "SECRET" in k][0],
    "hold other descriptors": lambda: [os.fstat(n) for n in range(3, 64)],
}.items():
    attempt(name, work)
print(json.dumps({"missing": missing, "done": done}))
"""

ATTEMPTS = [line.split('"')[1] for line in _PAYLOAD.splitlines() if line.startswith('    "')]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the payload could do, in a process started and confined as the decoder is."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "film").write_bytes(bytes(4096))
    (folder / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    with sqlite3.connect(folder / "node.db") as database:
        database.execute("create table audit (line text)")
    folder.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = f"import sys; sys.path.insert(0, sys.argv[1]); exec({_PAYLOAD!r})"
        port = str(listening.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-E", "-P", "-W", "ignore", "-c", code, ROOT, str(folder), port],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, env={}, cwd="/", timeout=120,
        )  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    if "seccomp" in found["missing"]:
        pytest.skip("this kernel has no seccomp")
    assert (folder / "film").read_bytes() == bytes(4096)
    return dict(found["done"])


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_confined_process_cannot(outcome: dict[str, str], attempt: str) -> None:
    """Each is refused by the kernel, or there is nothing to be had."""
    assert outcome[attempt].startswith("no: "), outcome[attempt]


@pytest.mark.parametrize(
    "syntax",
    [RLELossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless],
    ids=lambda uid: uid.keyword,
)
def test_every_decoder_works_without_any_right(syntax: UID) -> None:
    """All a decoder needs was imported before; each answers the same as in this process."""
    ds = film(phantom(64, 48, marker=None), stored=Stored(bits=8), syntax=syntax)
    for plugin in decode.plugins_of(syntax):
        sandbox = Sandbox()
        try:
            expected = decode.decode_with(ds, syntax, plugin)
            found = decode.decode_in_child(ds, syntax, plugin, sandbox)
            assert np.array_equal(found.values, expected)
        finally:
            sandbox.close()


def test_a_running_decoder_holds_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, no environment, no capability, no descriptor but its pipes."""
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    own = Sandbox()
    try:
        if own.missing():
            pytest.skip("this kernel cannot confine a process fully")
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{own.pid}/status").read_text().splitlines()
        )
        assert status["Threads"] == "1"
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert int(status["CapEff"], 16) == 0
        if os.geteuid() == 0:
            assert b"s3cret" not in Path(f"/proc/{own.pid}/environ").read_bytes()
            names = {link.name for link in Path(f"/proc/{own.pid}/fd").iterdir()}
            assert len(names) == 6  # two pipes, standard error to itself, /dev/null
    finally:
        own.close()


def test_what_the_kernel_lacks_is_reported() -> None:
    """On a machine whose system calls are not known the process works, and says so."""
    code = (
        "import platform, sys; sys.path.insert(0, sys.argv[1])\n"
        "platform.machine = lambda: 'riscv64'\n"
        "from dicom_node.confine import confine\n"
        "print(confine([], memory=2**32, cpu_seconds=60))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, ROOT], capture_output=True, text=True, check=True
    )
    assert "seccomp" in done.stdout


@pytest.mark.parametrize(
    ("missing", "status", "said"),
    [((), 0, "is confined"), (("Landlock", "seccomp"), 1, "Landlock")],
)
def test_doctor_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], status: int, said: str
) -> None:
    """`dicom-node doctor sandbox`: exit status 1 if the kernel cannot confine the decoder."""
    monkeypatch.setattr(Sandbox, "missing", lambda _self: missing)
    result = CliRunner().invoke(app, ["doctor", "sandbox"])
    assert result.exit_code == status
    assert said in result.output
