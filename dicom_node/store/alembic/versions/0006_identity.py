"""What results say of the patient, and the study they name."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add results.identity and results.sent_study_instance_uid."""
    identity = sa.Column("identity", sa.String(16), server_default="full", nullable=False)
    op.add_column("results", identity)
    op.add_column("results", sa.Column("sent_study_instance_uid", sa.String(64)))
