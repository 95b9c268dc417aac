"""Decides who sees which registered model, for all APIs.

A public model is visible to everybody who may read the registry. A private model is visible to its owner, to
administrators and to the collaborators of the projects that its versions were registered from; while it has no version,
of the project that created it, so that a team may begin a model together. For everybody else it does not exist: `seen`
is part of every query for models, versions and aliases, as MLflow's own clause for workspaces is, so that MLflow
answers with its usual text for a missing one. The service uses the same queries, on behalf of the acting person
(`mlflow_tags.ACTING_USER`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.entities.model_registry import RegisteredModel
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.exceptions import MlflowException
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
    SqlRegisteredModelTag,
)
from sqlalchemy import Engine, and_, exists, insert, or_, select
from sqlalchemy.orm import aliased

from registry_tui.contracts.mlflow_routes import Routes
from registry_tui.mlflow_plugin.identity import acting_user, adds_version, is_service
from registry_tui.mlflow_plugin.mlflow_private import RegistryStore
from registry_tui.schemas import mlflow_tags as tags_

#: Tables whose rows belong to one registered model, by `workspace` and `name`.
_TABLES = (SqlRegisteredModel, SqlModelVersion, SqlRegisteredModelAlias)

#: Roles that may add versions.
MAY_ADD = ("contributor", "admin")


@dataclass(frozen=True)
class Sight:
    """The part of a registry that a request may see."""

    user: str | None
    #: Administrators, and the service for itself.
    everything: bool
    #: The person's role by project ID.
    projects: Mapping[str, str]


def sight_of_request(routes: Routes) -> Sight:
    """The sight of the person behind this request. Outside a request: that of everybody."""
    user = acting_user()
    everything = user is not None and (is_service(user) or user in routes.administrators)
    return Sight(user, everything, {} if user is None else routes.roles_of(user))


def seen(sight: Sight, table: Any) -> Any:
    """The condition on a row of `table` (with `workspace` and `name`) that its model is seen. Prompts always are."""

    def has_tag(key: str, value: str) -> Any:
        tag = aliased(SqlRegisteredModelTag)
        return exists().where(
            tag.workspace == table.workspace, tag.key == key, tag.name == table.name, tag.value == value
        )

    ways = [has_tag(tags_.VISIBILITY, "public"), has_tag(IS_PROMPT_TAG_KEY, "true")]
    if sight.user is not None:
        ways.append(has_tag(tags_.OWNER, sight.user))
    if sight.projects:
        projects = sorted(sight.projects)
        came, version, tag = aliased(SqlModelVersionTag), aliased(SqlModelVersion), aliased(SqlRegisteredModelTag)
        has_version = exists().where(
            version.workspace == table.workspace,
            version.name == table.name,
            version.current_stage != STAGE_DELETED_INTERNAL,
        )
        created = exists().where(
            tag.workspace == table.workspace,
            tag.key == tags_.PROJECT,
            tag.name == table.name,
            tag.value.in_(projects),
        )
        came_from = exists().where(
            came.workspace == table.workspace,
            came.key == tags_.PROJECT,
            came.name == table.name,
            came.value.in_(projects),
            _is_live(came, version),
        )
        ways += [came_from, and_(created, ~has_version)]
    return or_(*ways)


def _is_live(tag: Any, version: Any) -> Any:
    """Joins a version's tag with its version, unless that was deleted: MLflow keeps the rows of deleted versions."""
    return and_(
        version.workspace == tag.workspace,
        version.name == tag.name,
        version.version == tag.version,
        version.current_stage != STAGE_DELETED_INTERNAL,
    )


def note_projects(engine: Engine) -> None:
    """Gives versions without `mlflow_tags.PROJECT` the project of their origin. Raises SQLAlchemyError."""
    origin, present = aliased(SqlModelVersionTag), aliased(SqlModelVersionTag)
    columns = ("workspace", "name", "version")
    missing = select(*(getattr(origin, each) for each in (*columns, "value"))).where(
        origin.key == tags_.ORIGIN,
        ~exists().where(
            present.key == tags_.PROJECT, *(getattr(present, each) == getattr(origin, each) for each in columns)
        ),
    )
    with engine.begin() as connection:
        rows = [
            {"workspace": workspace, "name": name, "version": version, "key": tags_.PROJECT, "value": project}
            for workspace, name, version, value in connection.execute(missing).all()
            if (project := _project_of(value)) is not None
        ]
        if rows:
            connection.execute(insert(SqlModelVersionTag), rows)


def _project_of(origin: str) -> str | None:
    """The project's ID in the origin of a version; None where somebody's own tag holds something else."""
    try:
        found = json.loads(origin)["project_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, str) else None


class SeenStore(RegistryStore):
    """MLflow's store without the models that a request may not see. Methods raise MlflowException."""

    def _routes(self) -> Routes:
        raise NotImplementedError

    def _service_socket(self) -> Path:
        raise NotImplementedError

    def row_conditions(self, table: Any) -> list[Any]:
        if table not in _TABLES:
            return []
        sight = sight_of_request(self._routes())
        return [] if sight.everything else [seen(sight, table)]

    def get_registered_model(self, name: str) -> RegisteredModel:
        try:
            return super().get_registered_model(name)
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST) and adds_version():
                # Clients create the model before its version, and hide from people that the name was taken.
                raise MlflowException(
                    f"{error.message}. If creating it says that it exists, it is a private model of somebody else: "
                    "choose another name.",
                    error_code=RESOURCE_DOES_NOT_EXIST,
                ) from error
            raise

    def sees_archives(self, registry: str, model_id: str) -> bool:
        """Whether the request may read the archives below a model's ID in a registry's MLflow workspace."""
        sight = sight_of_request(self._routes())
        if sight.everything:
            return True
        tag = SqlRegisteredModelTag
        query = select(tag.name).where(
            tag.workspace == registry, tag.key == tags_.MODEL_ID, tag.value == model_id, seen(sight, tag)
        )
        with self.ManagedSessionMaker() as session:
            return session.execute(query).first() is not None

    def require_may_add(self, registry: str, name: str, tags: Mapping[str, str]) -> None:
        """Raises MlflowException unless the request may add versions to a model that it sees, which has these tags.

        Contributors of any project may add versions to a public model, those of the projects that its versions came
        from to a private one.
        """
        sight = sight_of_request(self._routes())
        if sight.everything or tags.get(tags_.VISIBILITY) == "public" or sight.user == tags.get(tags_.OWNER):
            return
        came, version = SqlModelVersionTag, SqlModelVersion
        query = select(came.value).where(
            came.workspace == registry, came.key == tags_.PROJECT, came.name == name, _is_live(came, version)
        )
        with self.ManagedSessionMaker() as session:
            came_from = set(session.scalars(query)) or {tags.get(tags_.PROJECT, "")}
        if not any(sight.projects.get(project) in MAY_ADD for project in came_from):
            raise MlflowException(
                f"'{name}' is private: only its owner and contributors of the projects that its versions came from "
                "may add versions.",
                error_code=PERMISSION_DENIED,
            )
