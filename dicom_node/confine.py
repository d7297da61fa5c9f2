"""Linux's means to take a process's rights away, by ctypes; what the kernel lacks is reported.

`confine` is for a process that only computes on what its open pipes carry: the decoder. After it
the process can read and write the descriptors it holds, use memory, and end. `hide_memory` is for
every process of the node. Nothing here can be undone.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# include/uapi/linux/prctl.h
_SET_DUMPABLE, _SET_SECCOMP, _SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER = 2
# include/uapi/linux/seccomp.h, audit.h, filter.h
_ALLOW, _KILL, _DENY = 0x7FFF0000, 0x80000000, 0x00050000 | 1  # EPERM
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_NUMBER, _ARCH, _FIRST_ARG, _THIRD_ARG = 0, 4, 16, 32  # offsets in struct seccomp_data
_PROT_EXEC = 4

# System calls of a process that computes: machine -> (audit architecture, name -> number).
_NUMBERS: dict[str, tuple[int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        {
            **{
                "read": 0,
                "write": 1,
                "close": 3,
                "fstat": 5,
                "lseek": 8,
                "mmap": 9,
                "mprotect": 10,
            },
            **{"munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14},
            **{"rt_sigreturn": 15, "readv": 19, "writev": 20, "sched_yield": 24, "mremap": 25},
            **{"madvise": 28, "nanosleep": 35, "setitimer": 38, "alarm": 37, "getpid": 39},
            **{"exit": 60, "gettimeofday": 96, "getrusage": 98, "sigaltstack": 131, "gettid": 186},
            **{"time": 201, "futex": 202, "restart_syscall": 219, "clock_gettime": 228},
            **{"clock_nanosleep": 230, "exit_group": 231, "tgkill": 234, "set_robust_list": 273},
            **{"getrandom": 318, "membarrier": 324, "rseq": 334},
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            **{"close": 57, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66},
            **{"fstat": 80, "exit": 93, "exit_group": 94, "futex": 98, "set_robust_list": 99},
            **{"nanosleep": 101, "setitimer": 103, "clock_gettime": 113, "clock_nanosleep": 115},
            **{"sched_yield": 124, "restart_syscall": 128, "tgkill": 131, "sigaltstack": 132},
            **{"rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "getrusage": 165},
            **{"gettimeofday": 169, "getpid": 172, "gettid": 178, "brk": 214, "munmap": 215},
            **{"mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278},
            **{"membarrier": 283, "rseq": 293},
        },
    ),
}
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same on both machines
# Landlock ABI -> rights on files that it can take away (all bits up to this one)
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_OTHER_USER = 65534  # owns no files and runs no other process


def hide_memory() -> bool:
    """Forbid core dumps and other processes' looks at this one's memory; False if that fails."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return _prctl(_SET_DUMPABLE, 0)


def confine(keep: Iterable[int], *, memory: int, cpu_seconds: int) -> list[str]:
    """Take every right from this process except to compute and to use its descriptors.

    Parameters
    ----------
    keep
        Descriptors to keep, beside 0 to 2; all others are closed.
    memory
        Bytes of address space.
    cpu_seconds
        Processor time after which the kernel ends the process.

    Returns
    -------
    list of str
        What this kernel does not support; empty if the process is fully confined.
    """
    missing = []
    if len(list(Path("/proc/self/task").iterdir())) > 1:  # the others would keep their rights
        missing.append("a single thread")
    kept = sorted({0, 1, 2, *keep})
    for low, high in zip(kept, [*kept[1:], 1 << 16], strict=True):
        os.closerange(low + 1, high)
    if os.geteuid() == 0 and not _change_user():
        missing.append("unprivileged user")
    if not hide_memory():
        missing.append("no core dumps")
    _limit(memory, cpu_seconds)
    if not _prctl(_SET_NO_NEW_PRIVS, 1):
        missing.append("no_new_privs")
    if not _landlock():
        missing.append("Landlock")
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # descriptors that are open stay open
    if not _seccomp():
        missing.append("seccomp")
    return missing


def _change_user() -> bool:
    try:
        os.setgroups([])
        os.setresgid(_OTHER_USER, _OTHER_USER, _OTHER_USER)
        os.setresuid(_OTHER_USER, _OTHER_USER, _OTHER_USER)
    except OSError:  # in a container without CAP_SETUID
        return False
    return True


def _limit(memory: int, cpu_seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_MEMLOCK):
        with suppress(ValueError, OSError):  # the hard limit is lower still
            resource.setrlimit(limit, (0, 0))


def _prctl(option: int, value: int, pointer: object = 0) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0) == 0)


def _landlock() -> bool:
    """Forbid every access to files, TCP ports, abstract sockets and other processes' signals."""
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        return False
    files = (1 << _FILE_RIGHTS.get(abi, 16)) - 1
    # struct landlock_ruleset_attr: files, ports (ABI 4), scopes (ABI 6)
    fields = [files] + ([3] if abi >= 4 else []) + ([3] if abi >= 6 else [])
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    size = ctypes.c_size_t(len(attributes))
    rules = libc.syscall(_LANDLOCK_CREATE, attributes, size, 0)
    if rules < 0:
        return False
    held = bool(libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0)
    os.close(rules)
    return held


def _seccomp() -> bool:
    """Allow the system calls of a computing process; every other one fails with EPERM.

    Memory cannot become executable, and signals reach this process only.
    """
    if platform.machine() not in _NUMBERS or struct.calcsize("P") != 8:
        return False
    arch, numbers = _NUMBERS[platform.machine()]
    program = [
        (_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]  # fmt: skip
    for name, number in numbers.items():
        rule = [
            (code, yes, no, os.getpid() if value is None else value)
            for code, yes, no, value in _RULES.get(name, [])
        ]
        allowed = [*rule, (_RETURN, 0, 0, _ALLOW)]
        program += [(_EQUAL, 0, len(allowed), number), *allowed]
    program.append((_RETURN, 0, 0, _DENY))
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("=H6xQ", len(program), ctypes.addressof(buffer))  # struct sock_fprog
    return _prctl(_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(head))


_NOT_EXECUTABLE: list[tuple[int, int, int, int | None]] = [
    (_LOAD, 0, 0, _THIRD_ARG), (_AND, 0, 0, _PROT_EXEC), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _DENY),
]  # fmt: skip
# System call -> what its arguments must be; None stands for this process's id.
_RULES: dict[str, list[tuple[int, int, int, int | None]]] = {
    "mmap": _NOT_EXECUTABLE,
    "mprotect": _NOT_EXECUTABLE,
    "tgkill": [(_LOAD, 0, 0, _FIRST_ARG), (_EQUAL, 1, 0, None), (_RETURN, 0, 0, _DENY)],
}
