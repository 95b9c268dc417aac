"""The rules of deployments' request logs."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deployments", sa.Column("request_log", sa.JSON(), nullable=False, server_default="{}"))
