"""When the versions of a registry that are older than bills of materials got theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("registries", sa.Column("described_at", sa.DateTime(timezone=True), nullable=True))
