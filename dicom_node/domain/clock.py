"""The wall clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The clock that every process of the node uses: aware UTC now."""
    return datetime.now(UTC)
