"""Stages of versions, approvals, and the rules of registries about them."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _of_registry(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["registry_id"], ["registries.id"], name=op.f(f"fk_{table}_registry_id"), ondelete="CASCADE"
    )


def upgrade() -> None:
    op.create_table(
        "promotion_rules",
        *_texts("registry_id"),
        sa.Column("rules", sa.JSON(), nullable=False),
        _of_registry("promotion_rules"),
        sa.PrimaryKeyConstraint("registry_id", name=op.f("pk_promotion_rules")),
    )
    op.create_table(
        "stage_changes",
        *_texts("id", "registry_id", "model_id", "version_id", "from_stage", "to_stage", "status", "comment", "user"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        _of_registry("stage_changes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_changes")),
    )
    for column in ("registry_id", "model_id", "version_id"):
        op.create_index(op.f(f"ix_stage_changes_{column}"), "stage_changes", [column])
    op.create_table(
        "approvals",
        *_texts("id", "registry_id", "model_id", "model_name", "version_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        *_texts("purpose", "state", "asked_by", "asked_by_crn"),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        *_texts("question"),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        *_texts("answer"),
        _of_registry("approvals"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    for column in ("registry_id", "model_id", "version_id", "state"):
        op.create_index(op.f(f"ix_approvals_{column}"), "approvals", [column])
