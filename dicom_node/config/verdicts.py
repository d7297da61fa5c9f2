"""Section `verdicts`: the rule file, a watched folder and a listener for HL7 messages."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from dicom_node.config.sections import LOOPBACK, Port, Section, Word


class MllpConfig(Section):
    """A listener for HL7 messages by MLLP, or by TLS with the files of `tls`; who may send."""

    host: Word = "127.0.0.1"
    port: Port
    allowed: tuple[Word, ...] = ()  # addresses and networks; empty: this machine
    tls: bool = False
    max_message_kb: Annotated[int, Field(ge=1, le=65536)] = 1024  # KiB
    max_connections: Annotated[int, Field(ge=1, le=256)] = 16
    silent_seconds: Annotated[float, Field(gt=0)] = 300.0

    @field_validator("allowed")
    @classmethod
    def _are_networks(cls, allowed: tuple[str, ...]) -> tuple[str, ...]:
        for each in allowed:
            ipaddress.ip_network(each)
        return allowed

    @model_validator(mode="after")
    def _check_access(self) -> Self:
        if self.host not in LOOPBACK and not self.allowed:
            raise ValueError("host other than 127.0.0.1 needs allowed: which addresses may send")
        return self

    def admits(self, address: str) -> bool:
        """Whether this address may send messages."""
        known = ipaddress.ip_address(address)
        if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is not None:
            known = known.ipv4_mapped
        if not self.allowed:
            return known.is_loopback
        return any(known in ipaddress.ip_network(each) for each in self.allowed)


class VerdictsConfig(Section):
    """Where verdicts come from by themselves, and how reports are read."""

    rules: Path | None = None  # None: those that come with the node
    folder: Path | None = None  # of HL7 messages; taken ones are deleted
    mllp: MllpConfig | None = None
