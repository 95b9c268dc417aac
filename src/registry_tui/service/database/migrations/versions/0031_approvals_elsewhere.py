"""Approvals that are decided in the registry to which a version is promoted."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("approvals", sa.Column("target_id", sa.Text(), nullable=True))
