"""The processes of a running node, by role and name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.config import Config

Role: TypeAlias = Literal["receiver", "worker", "deliverer", "scheduler", "verdicts", "web"]
ROLES: tuple[Role, ...] = get_args(Role)


def processes_of(config: Config) -> dict[str, Role]:
    """The processes of a running node by name, such as ``worker-1``."""
    here = config.node.roles
    counts: dict[Role, int] = {
        "receiver": 1 if "receiver" in here else 0,
        "worker": config.workers.count if "worker" in here else 0,
        "deliverer": 1 if "deliverer" in here else 0,
        # A deliverer of the same machine does its work.
        "scheduler": 1 if "scheduler" in here and "deliverer" not in here else 0,
        "verdicts": 1 if config.verdicts.mllp or config.verdicts.folder else 0,
        "web": 0 if config.http.port is None else 1,
    }
    return {f"{role}-{number}": role for role in ROLES for number in range(1, counts[role] + 1)}


def roles_in(process: Role, config: Config) -> tuple[Role, ...]:
    """The roles that a process of this role has: a deliverer may schedule, too."""
    both = process == "deliverer" and "scheduler" in config.node.roles
    return ("deliverer", "scheduler") if both else (process,)


def role_named(name: str) -> Role:
    """The role of this name; raises NodeError if there is none."""
    for role in ROLES:
        if role == name:
            return role
    raise NodeError(f"no such role: {name} (there are {', '.join(ROLES)})")
