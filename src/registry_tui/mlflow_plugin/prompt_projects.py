"""Which project made a prompt: its contributors change it.

One table of ours beside MLflow's own: a tag of the prompt would appear in what stock code reads of it.
"""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, Engine, MetaData, String, Table, and_, delete, insert, select
from sqlalchemy.orm import Session

_metadata = MetaData()

prompt_projects = Table(
    "registry_tui_prompt_projects",
    _metadata,
    Column("workspace", String(63), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("project_id", String(63), nullable=False),
)


def create_table(engine: Engine) -> None:
    """Makes the table when it is missing. Raises SQLAlchemyError."""
    _metadata.create_all(engine)


def project_of(session: Session, workspace: str, name: str) -> str | None:
    """The ID of the project that made a prompt; None for one that was made before projects were noted."""
    return session.scalar(select(prompt_projects.c.project_id).where(_is(workspace, name)))


def note(session: Session, workspace: str, name: str, project_id: str | None) -> None:
    """Notes the project of a prompt that was just made, also in place of an earlier prompt's of that name."""
    session.execute(delete(prompt_projects).where(_is(workspace, name)))
    if project_id is not None:
        session.execute(insert(prompt_projects).values(workspace=workspace, name=name, project_id=project_id))


def rename(session: Session, workspace: str, name: str, new_name: str) -> None:
    """Lets a prompt's project follow its new name."""
    note(session, workspace, new_name, project_of(session, workspace, name))
    session.execute(delete(prompt_projects).where(_is(workspace, name)))


def _is(workspace: str, name: str) -> ColumnElement[bool]:
    return and_(prompt_projects.c.workspace == workspace, prompt_projects.c.name == name)
