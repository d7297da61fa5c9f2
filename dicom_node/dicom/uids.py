"""What a UID looks like, and the UIDs of the objects that the node makes.

The same film, networks, configuration and kind of object give the same UID, so that a retry never
puts a second copy into the archive. UIDs are 2.25 with a name-based UUID (PS3.5 B.2). They depend
on inputs and never on pixels, because floating point differs between machines. See ADR 0004.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass

# Never changes: another value gives every object another UID.
_NAMESPACE = uuid.UUID("6d0f3c1e-2b57-5f0a-9a43-6f6b8f1f7c25")

# PS3.5 9.1, except that a component may have leading zeros: forbidden, but common in the field
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_LENGTH = 64

#: SOP Classes of instances whose pixels may be read: CR, DX (for presentation, for processing), SC
FILM_CLASSES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{suffix}" for suffix in ("1", "1.1", "1.1.1", "7")
)


def is_uid(text: str) -> bool:
    """Whether the text is a UID. Anything else must reach neither a path nor a log."""
    return len(text) <= _UID_LENGTH and _UID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """What the UIDs of one film's objects are derived from.

    ``revision`` starts at 1; a later one means a new set of objects for the same film.
    """

    source_sop_instance_uid: str
    model_digest: str
    config_digest: str
    software_version: str
    force_stage3: bool = False
    revision: int = 1

    def uid(self, kind: str) -> str:
        """The UID of this root's object, series or tracked finding called ``kind``."""
        return _named(
            self.source_sop_instance_uid,
            self.model_digest,
            self.config_digest,
            self.software_version,
            "force-stage3" if self.force_stage3 else "",
            kind,
            str(self.revision),
        )


def device(manufacturer: str, station_serial_number: str, model_digest: str) -> str:
    """The device UID of a node with these networks: another model is another device."""
    return _named("device", manufacturer, station_serial_number, model_digest)


def _named(*parts: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, json.dumps(parts)).int}"
