"""What persons found in the studies, and the studies of an accession number."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add verdicts and studies.accession_key."""
    op.add_column("studies", sa.Column("accession_key", sa.String(20)))
    op.create_index("ix_studies_accession_key", "studies", ["accession_key"])
    op.create_table(
        "verdicts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("finding", sa.String(16), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("given_at", sa.String(32), nullable=False),
        sa.Column("given_by", sa.String(64), nullable=False),
        sa.Column("stored_at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["study_instance_uid"],
            ["studies.study_instance_uid"],
            name="fk_verdicts_study_instance_uid_studies",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_verdicts"),
    )
    op.create_index(
        "ix_verdicts_study_instance_uid_given_at", "verdicts", ["study_instance_uid", "given_at"]
    )
    op.create_index("ix_verdicts_given_at", "verdicts", ["given_at"])
