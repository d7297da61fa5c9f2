"""Second objects under one SOP Instance UID, and the patient of a study as a digest."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table, the column, and an index for alarms."""
    op.create_table(
        "conflicts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("kept_study_instance_uid", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("calling_ae_title", sa.String(16), nullable=False),
        sa.Column("received_at", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflicts")),
    )
    for column in ("sop_instance_uid", "study_instance_uid", "kept_study_instance_uid"):
        op.create_index(op.f(f"ix_conflicts_{column}"), "conflicts", [column])
    op.add_column("studies", sa.Column("patient_key", sa.String(64), nullable=True))
    op.create_index(op.f("ix_audit_kind_at"), "audit", ["kind", "at"])
