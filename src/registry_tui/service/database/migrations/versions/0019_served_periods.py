"""The version that each deployment served in each period, kept when deployments and people are deleted."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes the table, filled from the existing revisions: their times, and the revisions that replaced them."""
    made = op.create_table(
        "served_periods",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("deployment_name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("project_name", sa.Text(), nullable=False),
        sa.Column("registry_id", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=True),
        sa.Column("let_by", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("began_at", _TIME, nullable=True),
        sa.Column("ended_at", _TIME, nullable=True),
        sa.Column("end", sa.Text(), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=False),
        sa.Column("deleted_at", _TIME, nullable=True),
        sa.Column("deleted_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_served_periods")),
    )
    with op.batch_alter_table("served_periods", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_served_periods_deployment_id_asked_at"), ["deployment_id", "asked_at"])
        batch_op.create_index(batch_op.f("ix_served_periods_deployment_name"), ["deployment_name"])
    _from_revisions(made)


def _from_revisions(made: sa.Table) -> None:
    connection = op.get_bind()
    columns = (
        "r.number, r.version, r.alias, r.comment, r.creator, r.created_at, r.state, r.error, d.id, d.name, "
        "d.project_id, d.registry_id, d.model_name, d.state AS deployment_state, d.updated_at, p.name AS project_name"
    )
    query = sa.text(
        f"SELECT {columns} FROM revisions r JOIN deployments d ON r.deployment_id = d.id "
        "JOIN projects p ON d.project_id = p.id ORDER BY d.id, r.number DESC"
    ).columns(created_at=_TIME, updated_at=_TIME)
    following: dict[str, object] = {}
    rows = []
    for row in connection.execute(query):
        served = row.state in ("active", "replaced")
        stopped = row.state == "active" and row.deployment_state in ("stopped", "failed")
        ended = following.get(row.id) if row.state == "replaced" else None
        if not served:
            ended = row.created_at
        elif stopped:
            ended = row.updated_at
        rows.append(
            {
                "id": str(uuid.uuid4()),
                "deployment_id": row.id,
                "deployment_name": row.name,
                "project_id": row.project_id,
                "project_name": row.project_name,
                "registry_id": row.registry_id,
                "model_name": row.model_name,
                "version": row.version,
                "revision": row.number,
                "alias": row.alias,
                "let_by": row.creator,
                "comment": row.comment,
                "asked_at": row.created_at,
                "began_at": row.created_at if served else None,
                "ended_at": ended,
                "end": "replaced" if row.state == "replaced" else row.deployment_state if stopped else row.error,
                "ended_by": "",
                "deleted_at": None,
                "deleted_by": "",
            }
        )
        if served:
            following[row.id] = row.created_at
    if rows:
        connection.execute(sa.insert(made), rows)
