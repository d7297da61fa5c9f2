"""Which rule read a report, and of which message."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add verdicts.rule and verdicts.message_key."""
    for name, length in (("rule", 32), ("message_key", 20)):
        column = sa.Column(name, sa.String(length), nullable=False, server_default="")
        op.add_column("verdicts", column)
