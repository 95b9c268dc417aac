"""Limits of API keys, and the person who set them."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("limits", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("api_keys", sa.Column("limits_by", sa.Text(), nullable=False, server_default=""))
