"""The members of a cluster on this machine: one data folder, one database, ports of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from crash.matrix import MortalNode, settings

LEASE_SECONDS = 20
_SECTIONS: dict[str, Any] = {
    "workers": {"lease_seconds": LEASE_SECONDS},
    "delivery": {"lease_seconds": LEASE_SECONDS},
}

#: The roles of each member.
MEMBERS = {
    "one": ("receiver", "worker", "deliverer", "scheduler"),
    "two": ("receiver", "worker", "deliverer", "scheduler"),
    "three": ("worker",),
}


@dataclass(slots=True)
class Member(MortalNode):
    """A machine of the cluster; its folder has its name."""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def data_dir(self) -> Path:
        return self.folder.parent / "data"

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "members" / self.name

    def start_with(self, pacs_port: int, url: str, **sections: Any) -> None:
        """Write its configuration, and start it."""
        values = settings(self, pacs_port)
        values["node"] |= {"member": self.name, "roles": list(MEMBERS[self.name])}
        values["store"] = {"url": url}
        for section, keys in (*_SECTIONS.items(), *sections.items()):
            values[section] = {**values.get(section, {}), **keys}
        for folder in ("in", "orders"):
            (self.folder / folder).mkdir(parents=True)
        self.config.write_text(yaml.safe_dump(values))
        self.start()
