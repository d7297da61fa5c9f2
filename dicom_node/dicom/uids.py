"""UIDs of what the node makes, derived from what it was made of.

Same film, same networks, same configuration, same kind of object: same UID. A retry therefore
never puts a second copy into the archive. UIDs are 2.25 with a name-based UUID (PS3.5 B.2); they
hang on inputs and never on pixels, for floating point wobbles between machines. See ADR 0004.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass

# Fixed for ever: another value is another universe of UIDs.
_NAMESPACE = uuid.UUID("6d0f3c1e-2b57-5f0a-9a43-6f6b8f1f7c25")

# PS3.5 9.1, but for leading zeros in a component: forbidden, and common in the field
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_LENGTH = 64


def is_uid(text: str) -> bool:
    """Whether this can be a UID; anything else must reach neither a path nor a log."""
    return len(text) <= _UID_LENGTH and _UID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """Everything one film's objects descend from.

    ``revision`` starts at 1; a later one is a new set of objects for the same film.
    """

    source_sop_instance_uid: str
    model_digest: str
    config_digest: str
    revision: int = 1

    def uid(self, kind: str) -> str:
        """The UID of this root's object, series or tracked finding called ``kind``."""
        return _named(
            self.source_sop_instance_uid,
            self.model_digest,
            self.config_digest,
            kind,
            str(self.revision),
        )


def device(manufacturer: str, station_serial_number: str, model_digest: str) -> str:
    """The UID of a node with these networks: another model is another device."""
    return _named("device", manufacturer, station_serial_number, model_digest)


def _named(*parts: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, json.dumps(parts)).int}"
