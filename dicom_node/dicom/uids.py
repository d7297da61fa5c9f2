"""What a UID looks like, and the UIDs of the objects that the node makes.

The same film, networks, configuration and kind of object give the same UID, so that a retry never
puts a second copy into the archive. UIDs are 2.25 with a name-based UUID (PS3.5 B.2). They depend
on inputs and never on pixels, because floating point differs between machines. See ADR 0004.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import uuid
from dataclasses import dataclass, field

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

    Parameters
    ----------
    revision
        Starts at 1; a later one means a new set of objects for the same film.
    edition
        What the objects say of the patient, and for documents what they list: another edition means
        other objects.
    earlier
        The patient's earlier results that the objects compare with.
    contested
        Whether the objects warn of another object under the film's UID.
    secret
        The node's; without one, as in `dicom-node read`, everyone can derive the UIDs.
    """

    source_sop_instance_uid: str
    model_digest: str
    config_digest: str
    software_version: str
    force_stage3: bool = False
    revision: int = 1
    edition: str = "full"
    earlier: tuple[str, ...] = ()
    contested: bool = False
    secret: bytes = field(default=b"", repr=False)

    def uid(self, kind: str) -> str:
        """The UID of this root's object, series or tracked finding called ``kind``."""
        parts: tuple[str, ...] = (
            self.source_sop_instance_uid,
            self.model_digest,
            self.config_digest,
            self.software_version,
            "force-stage3" if self.force_stage3 else "",
            kind,
            str(self.revision),
        )
        if self.edition != "full":
            parts = (*parts, self.edition)
        if self.earlier:
            parts = (*parts, "earlier", *self.earlier)
        if self.contested:
            parts = (*parts, "contested")
        return _signed(self.secret, *parts) if self.secret else _named(*parts)


def device(manufacturer: str, station_serial_number: str, model_digest: str) -> str:
    """The device UID of a node with these networks: another model is another device."""
    return _named("device", manufacturer, station_serial_number, model_digest)


def _named(*parts: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, json.dumps(parts)).int}"


def alias(sop_instance_uid: str, sha256: str) -> str:
    """The key of a second object under one SOP Instance UID, derived from its bytes."""
    return _named("alias", sop_instance_uid, sha256)


def pseudonym(uid: str, secret: bytes) -> str:
    """The UID that stands for a film's own UID where the patient must not be known.

    The same everywhere the node writes it. Only the secret leads from one to the other.
    """
    key = hmac.new(secret, b"pseudonym", hashlib.sha256).digest()  # so that `is_derived` is false
    return _signed(key, uid)


def is_derived(uid: str, secret: bytes) -> bool:
    """Whether a node with this secret derived the UID."""
    number = uid.removeprefix("2.25.")
    if number == uid or not number.isdecimal() or (value := int(number)) >= 1 << 128:
        return False
    name = _name_bits(value)
    return hmac.compare_digest(_uuid8(name, _tag(secret, name)).to_bytes(16), value.to_bytes(16))


# A UUID of version 8 (RFC 9562 5.8) has 122 bits of its own: here a name of 74 bits, derived from
# the inputs, and 48 bits that only the node's secret gives for this name.
_TAG_BITS = 48
_LOW_BITS = 62  # below the variant: 14 bits of the name, then the tag


def _signed(secret: bytes, *parts: str) -> str:
    digest = hmac.new(secret, json.dumps(parts).encode(), hashlib.sha256).digest()
    name = int.from_bytes(digest[:10]) >> 6
    return f"2.25.{_uuid8(name, _tag(secret, name))}"


def _tag(secret: bytes, name: int) -> int:
    return int.from_bytes(hmac.new(secret, b"uid" + name.to_bytes(10), hashlib.sha256).digest()[:6])


def _uuid8(name: int, tag: int) -> int:
    high, middle, low = name >> 26, name >> 14 & 0xFFF, name & 0x3FFF
    return high << 80 | 8 << 76 | middle << 64 | 2 << _LOW_BITS | low << _TAG_BITS | tag


def _name_bits(value: int) -> int:
    return value >> 80 << 26 | (value >> 64 & 0xFFF) << 14 | value >> _TAG_BITS & 0x3FFF
