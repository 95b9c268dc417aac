"""Version numbers that were once issued under a name, kept when the name's model is gone.

One table of ours besides MLflow's own; MLflow's migrations and checks ignore it.
"""

from __future__ import annotations

from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_ALREADY_EXISTS
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModelTag
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, and_, delete, exists, func, insert, select
from sqlalchemy.orm import Session

from registry_tui.schemas import mlflow_tags as tags_

_metadata = MetaData()

retired_names = Table(
    "registry_tui_retired_names",
    _metadata,
    Column("workspace", String(63), primary_key=True),
    Column("name", String(256), primary_key=True),
    #: The model that last had the name; it alone may be renamed back.
    Column("model_id", String(19), nullable=False),
    Column("last_version", Integer, nullable=False),
)


def create_table(engine: Engine) -> None:
    """Makes the table when it is missing. Raises SQLAlchemyError."""
    _metadata.create_all(engine)


def highest_version(session: Session, workspace: str, name: str) -> int:
    """The highest number ever issued under a name; 0 when none was."""
    live = session.scalar(
        select(func.max(SqlModelVersion.version)).where(
            SqlModelVersion.workspace == workspace, SqlModelVersion.name == name
        )
    )
    retired = session.scalar(
        select(retired_names.c.last_version).where(retired_names.c.workspace == workspace, retired_names.c.name == name)
    )
    return max(live or 0, retired or 0)


def free_number(session: Session, workspace: str, name: str, wanted: int) -> int:
    """The number that an imported version brings. Raises MlflowException when it was issued here before."""
    if not 1 <= wanted <= tags_.MOST_NUMBER:
        raise MlflowException(
            f"Version {wanted} of '{name}' cannot be imported: numbers go from 1 to {tags_.MOST_NUMBER}.",
            error_code=INVALID_PARAMETER_VALUE,
        )
    taken = session.get(SqlModelVersion, (workspace, name, wanted))
    if taken is None and wanted > last_of_earlier_model(session, workspace, name):
        return wanted
    here = taken is not None and taken.current_stage != STAGE_DELETED_INTERNAL
    raise MlflowException(
        f"Version {wanted} of '{name}' {'is another one' if here else 'was deleted'} here; a number is issued once.",
        error_code=RESOURCE_ALREADY_EXISTS,
    )


def require_free_name(session: Session, workspace: str, name: str, highest: int) -> None:
    """Raises MlflowException when no version of an imported model could come: all up to its highest were issued here.

    The model was deleted or renamed here then.
    """
    if (last := highest_version(session, workspace, name)) and highest <= last:
        raise MlflowException(
            f"Model '{name}' was deleted or renamed here, with its versions up to {last}; a number is issued once.",
            error_code=RESOURCE_ALREADY_EXISTS,
        )


def retired_by(session: Session, workspace: str, name: str) -> str | None:
    """The ID of the model whose versions were once known under a name that it gave up, or None."""
    return session.scalar(
        select(retired_names.c.model_id).where(retired_names.c.workspace == workspace, retired_names.c.name == name)
    )


def last_of_earlier_model(session: Session, workspace: str, name: str) -> int:
    """The highest number that earlier models of a name were issued; 0 when the present model is the first."""
    own = and_(
        SqlRegisteredModelTag.workspace == workspace,
        SqlRegisteredModelTag.name == name,
        SqlRegisteredModelTag.key == tags_.MODEL_ID,
        SqlRegisteredModelTag.value != retired_names.c.model_id,
    )
    return (
        session.scalar(
            select(retired_names.c.last_version).where(
                retired_names.c.workspace == workspace, retired_names.c.name == name, exists().where(own)
            )
        )
        or 0
    )


def retire_name(session: Session, workspace: str, name: str, model_id: str) -> None:
    """Keeps a name's highest number before its model is deleted or renamed. Nothing to keep when none was issued."""
    highest = highest_version(session, workspace, name)
    if not highest:
        return
    session.execute(delete(retired_names).where(retired_names.c.workspace == workspace, retired_names.c.name == name))
    session.execute(
        insert(retired_names).values(workspace=workspace, name=name, model_id=model_id, last_version=highest)
    )
