"""Adds three modes of batching, and strict JSON responses, to revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Batching that was allowed before becomes `auto`; disabled batching stays off."""
    with op.batch_alter_table("revisions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("strict_json", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.alter_column("batching", existing_type=sa.Boolean(), type_=sa.Text(), existing_nullable=False)
    op.execute("UPDATE revisions SET batching = CASE WHEN batching IN ('1', 'true') THEN 'auto' ELSE 'off' END")
