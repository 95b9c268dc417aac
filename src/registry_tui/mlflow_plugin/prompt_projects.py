"""The projects that made prompts: their contributors change them.

One table of ours besides MLflow's own: a tag of the prompt would be visible to stock clients. Its rows are written and
deleted in the transactions of MLflow's own rows, so that a prompt is never without its project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel, SqlRegisteredModelTag
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    and_,
    delete,
    event,
    exists,
    insert,
    literal,
    select,
)
from sqlalchemy.orm import Mapper, Session

from registry_tui.mlflow_plugin.prompts import PROMPT, is_prompt

#: In place of a project's ID: every contributor may change the prompt. It was made before projects were noted.
EVERYBODY = ""

_metadata = MetaData()

prompt_projects = Table(
    "registry_tui_prompt_projects",
    _metadata,
    #: Both empty in the row that marks older prompts as migrated.
    Column("workspace", String(63), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("project_id", String(63), nullable=False),
)

#: The ID of the project for which models and prompts are made now; None outside a project.
_making: ContextVar[str | None] = ContextVar("project_that_makes_models", default=None)


def create_table(engine: Engine) -> None:
    """Makes the table when it is missing, marks prompts from before, and follows new ones. Raises SQLAlchemyError."""
    _metadata.create_all(engine)
    with engine.begin() as connection:
        if connection.execute(select(prompt_projects).where(_is("", ""))).first() is None:
            _mark_older(connection)
    for name, listener in (("after_insert", _inserted), ("after_delete", _deleted)):
        if not event.contains(SqlRegisteredModel, name, listener):
            event.listen(SqlRegisteredModel, name, listener)


@contextmanager
def made_by(project_id: str | None) -> Iterator[None]:
    """Prompts that are made inside are noted as this project's."""
    token = _making.set(project_id)
    try:
        yield
    finally:
        _making.reset(token)


def project_of(session: Session, workspace: str, name: str) -> str | None:
    """The ID of the project that made a prompt, or EVERYBODY; None for one that was made outside any project."""
    return session.scalar(select(prompt_projects.c.project_id).where(_is(workspace, name)))


def rename(session: Session, workspace: str, name: str, new_name: str) -> None:
    """Renames a prompt in our table too."""
    project_id = project_of(session, workspace, name)
    session.execute(delete(prompt_projects).where(_is(workspace, name)))
    _note(session.connection(), workspace, new_name, project_id)


def _mark_older(connection: Connection) -> None:
    tag, row = SqlRegisteredModelTag, prompt_projects.c
    noted = exists().where(row.workspace == tag.workspace, row.name == tag.name)
    older = select(tag.workspace, tag.name, literal(EVERYBODY)).where(tag.key == PROMPT, tag.value == "true", ~noted)
    connection.execute(insert(prompt_projects).from_select(["workspace", "name", "project_id"], older))
    connection.execute(insert(prompt_projects).values(workspace="", name="", project_id=EVERYBODY))


def _inserted(_: Mapper[SqlRegisteredModel], connection: Connection, model: SqlRegisteredModel) -> None:
    if is_prompt({tag.key: tag.value for tag in model.registered_model_tags}):
        _note(connection, model.workspace, model.name, _making.get())


def _deleted(_: Mapper[SqlRegisteredModel], connection: Connection, model: SqlRegisteredModel) -> None:
    connection.execute(delete(prompt_projects).where(_is(model.workspace, model.name)))


def _note(connection: Connection, workspace: str, name: str, project_id: str | None) -> None:
    """Replaces the note about an earlier prompt of that name."""
    connection.execute(delete(prompt_projects).where(_is(workspace, name)))
    if project_id is not None:
        connection.execute(insert(prompt_projects).values(workspace=workspace, name=name, project_id=project_id))


def _is(workspace: str, name: str) -> ColumnElement[bool]:
    return and_(prompt_projects.c.workspace == workspace, prompt_projects.c.name == name)
