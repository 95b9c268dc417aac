"""The place of a project's artifacts, and whether new projects keep theirs in the environment's own store."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns; existing projects and environments stay with the embedded store."""
    with op.batch_alter_table("projects", schema=None) as batch_op:
        batch_op.add_column(sa.Column("artifacts_folder", sa.Text(), nullable=False, server_default=""))
    with op.batch_alter_table("environment_stores", schema=None) as batch_op:
        batch_op.add_column(sa.Column("artifacts", sa.Boolean(), nullable=False, server_default=sa.false()))
