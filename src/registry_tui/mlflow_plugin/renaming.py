"""Renames registered models: in one transaction, and with a clear error when the name is taken."""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, RESOURCE_CONFLICT
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel
from mlflow.utils.time import get_current_time_millis
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from registry_tui.mlflow_plugin import leftovers, numbers, prompt_projects
from registry_tui.mlflow_plugin.prompts import is_prompt


def rename(session: Session, model: SqlRegisteredModel, new_name: str, model_id: str | None) -> None:
    """Renames a model with its versions. `model_id` is None for a prompt, whose numbers are not kept.

    Raises MlflowException when the name is taken, or belonged to another model.
    """
    workspace, name, now = model.workspace, model.name, get_current_time_millis()
    if new_name != name:
        leftovers.clear(session, workspace, new_name)
        _check_free(session, workspace, new_name)
        if model_id is not None:
            _check_never_issued(session, workspace, new_name, model_id)
            numbers.retire_name(session, workspace, name, model_id)
        else:
            prompt_projects.rename(session, workspace, name, new_name)
    leftovers.keep(session, workspace, name)
    session.expire(model)
    model.name, model.last_updated_time = new_name, now
    for version in model.model_versions:
        version.name, version.last_updated_time = new_name, now
    try:
        session.flush()
    except IntegrityError as error:  # somebody made a model of this name meanwhile
        raise _taken("Registered Model", new_name) from error


def _check_free(session: Session, workspace: str, name: str) -> None:
    taken = session.get(SqlRegisteredModel, (workspace, name))
    if taken is not None:
        kind = (
            "Prompt" if is_prompt({tag.key: tag.value for tag in taken.registered_model_tags}) else "Registered Model"
        )
        raise _taken(kind, name)


def _taken(kind: str, name: str) -> MlflowException:
    return MlflowException(
        f"{kind} (name={name}) already exists. Choose another name.", error_code=RESOURCE_ALREADY_EXISTS
    )


def _check_never_issued(session: Session, workspace: str, name: str, model_id: str) -> None:
    """Versions keep their numbers under the new name, so it must not be one under which others were issued."""
    before = numbers.retired_by(session, workspace, name)
    if before not in (None, model_id):
        raise MlflowException(
            f"The name '{name}' belonged to another model (ID {before}), whose version numbers are not issued again. "
            "Choose another name.",
            error_code=RESOURCE_CONFLICT,
        )
