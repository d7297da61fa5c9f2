"""The reference of drift, its alarms, and thresholds of a site."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add drift_references, drift_alarms and site_thresholds."""
    op.create_table(
        "drift_references",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("frozen_at", sa.String(32), nullable=False),
        sa.Column("frozen_by", sa.String(64), nullable=False),
        sa.Column("received_from", sa.String(32), nullable=False),
        sa.Column("received_to", sa.String(32), nullable=False),
        sa.Column("networks", sa.JSON(), nullable=False),
        sa.Column("senders", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_references"),
    )
    op.create_table(
        "drift_alarms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(16), nullable=False),
        sa.Column("measure", sa.String(16), nullable=False),
        sa.Column("stability_index", sa.Float(), nullable=False),
        sa.Column("begun_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drift_alarms"),
        sa.UniqueConstraint("sender", "measure", name="uq_drift_alarms_sender_measure"),
    )
    op.create_table(
        "site_thresholds",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("networks", sa.JSON(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("proposed_at", sa.String(32), nullable=False),
        sa.Column("proposed_by", sa.String(64), nullable=False),
        sa.Column("adopted_at", sa.String(32)),
        sa.Column("adopted_by", sa.String(64)),
        sa.Column("ended_at", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_site_thresholds"),
        sa.UniqueConstraint("digest", name="uq_site_thresholds_digest"),
    )
