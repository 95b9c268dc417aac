"""Autoscaling and GPUs of revisions, for deployments in clusters."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("revisions", sa.Column("autoscaling", sa.JSON(), nullable=True))
    op.add_column("revisions", sa.Column("gpus", sa.Integer(), nullable=False, server_default="0"))
