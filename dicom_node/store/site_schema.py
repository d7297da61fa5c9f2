"""Tables of what a site sets by command: the reference of drift, and thresholds of its own.

``metadata`` taken from here has every table, these and those of `schema`.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, Integer, String, Table, UniqueConstraint

from dicom_node.store.schema import UtcTime, metadata

__all__ = ["drift_alarms", "drift_references", "metadata", "site_thresholds"]

# What films were like in some time; the newest row counts.
drift_references = Table(
    "drift_references",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("frozen_at", UtcTime, nullable=False),
    Column("frozen_by", String(64), nullable=False),  # login name
    Column("received_from", UtcTime, nullable=False),
    Column("received_to", UtcTime, nullable=False),
    Column("networks", JSON, nullable=False),  # version, and network -> SHA-256
    Column("senders", JSON, nullable=False),  # AE title -> measure -> `Parts`
)

# What differs from the reference at present; `status` reads it.
drift_alarms = Table(
    "drift_alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sender", String(16), nullable=False),
    Column("measure", String(16), nullable=False),
    Column("stability_index", Float, nullable=False),  # when it was last compared
    Column("begun_at", UtcTime, nullable=False),
    UniqueConstraint("sender", "measure"),
)

# Thresholds that were proposed; of a stage and its networks, the newest adopted open row is in use.
site_thresholds = Table(
    "site_thresholds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("stage", String(16), nullable=False),
    Column("threshold", Float, nullable=False),
    Column("networks", JSON, nullable=False),  # version, network -> SHA-256, prevalence
    Column("wanted", JSON, nullable=False),  # what was asked for
    Column("evidence", JSON, nullable=False),  # `Comparison.as_json`, without the studies
    Column("proposed_at", UtcTime, nullable=False),
    Column("proposed_by", String(64), nullable=False),  # login name
    Column("adopted_at", UtcTime),
    Column("adopted_by", String(64)),
    Column("ended_at", UtcTime),  # reverted
)
