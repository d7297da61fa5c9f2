"""Storage commitment: what was asked of others, what others asked of us; circuit breakers."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Tell accepted from committed; add commitments, pledges and breakers."""
    op.execute("ALTER TABLE deliveries RENAME COLUMN delivered_at TO accepted_at")
    op.execute("UPDATE deliveries SET status = 'accepted' WHERE status = 'delivered'")
    for column in (
        sa.Column("confirm_at", sa.String(length=32), nullable=True),
        sa.Column("transaction_uid", sa.String(length=64), nullable=True),
        sa.Column("asked", sa.Integer(), server_default="0", nullable=False),
        sa.Column("missed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("committed_at", sa.String(length=32), nullable=True),
        sa.Column("committed_by", sa.String(length=16), nullable=True),
    ):
        op.add_column("deliveries", column)
    op.create_index(
        op.f("ix_deliveries_status_confirm_at"),
        "deliveries",
        ["status", "confirm_at"],
        unique=False,
    )
    op.create_table(
        "commitments",
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("study_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("transaction_uid", name=op.f("pk_commitments")),
    )
    op.create_table(
        "pledges",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_uid", sa.String(length=64), nullable=False),
        sa.Column("ae_title", sa.String(length=16), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.String(length=32), nullable=False),
        sa.Column("due_at", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("lease", sa.String(length=36), nullable=True),
        sa.Column("lease_until", sa.String(length=32), nullable=True),
        sa.Column("last_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pledges")),
        sa.UniqueConstraint(
            "transaction_uid", "ae_title", name=op.f("uq_pledges_transaction_uid_ae_title")
        ),
    )
    op.create_index(op.f("ix_pledges_status_due_at"), "pledges", ["status", "due_at"], unique=False)
    op.create_table(
        "breakers",
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.String(length=32), nullable=True),
        sa.Column("probe_at", sa.String(length=32), nullable=True),
        sa.Column("last_reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_breakers")),
    )
    op.create_index(op.f("ix_breakers_probe_at"), "breakers", ["probe_at"], unique=False)
