"""How deployments roll out the version that their followed alias moves to."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deployments", sa.Column("follow_rollout", sa.JSON(), nullable=True))
