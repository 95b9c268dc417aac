"""The private names of MLflow that the plugin uses: all of them, here only.

`tests/support/private_names/` lists them with the reasons, and `tests/unit/test_private_names.py` compares the list
with the installed MLflow. Without one of these names the server would answer wrongly, so a newer MLflow that lacks one
needs changes here first: its own name next to the old one, chosen by which of them exists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, MutableMapping
from typing import Any

from mlflow import exceptions
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository
from mlflow.store.artifact.utils import models
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModel
from mlflow.store.model_registry.sqlalchemy_workspace_store import WorkspaceAwareSqlAlchemyStore
from mlflow.store.tracking import sqlalchemy_store as tracking_queries
from mlflow.store.tracking.dbmodels.models import SqlRun
from mlflow.utils import validation
from mlflow.utils.search_utils import SearchUtils
from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.platform.s3 import s3_client as make_client
from registry_tui.platform.secrets import AccessKey

#: Reads a `models:/` URI. Raises MlflowException.
read_model_uri: Callable[..., Any] = models._parse_model_uri


# -- the registry's store ----------------------------------------------------------------------------


class RegistryStore(WorkspaceAwareSqlAlchemyStore):  # type: ignore[misc]
    """MLflow's registry store with public methods in place of the private ones that a store of ours changes."""

    def registry_workspace(self) -> str:
        """The MLflow workspace whose models this request is about. Raises MlflowException."""
        raise NotImplementedError

    def row_conditions(self, table: Any) -> list[Any]:
        """Conditions on the rows of a table, for every query of models, versions and aliases."""
        raise NotImplementedError

    def model_search(self, parsed_filters: Any) -> tuple[Any, list[Any]]:
        """The filters of a search of models that MLflow understands, and conditions in place of the others."""
        raise NotImplementedError

    def version_search(self, parsed_filters: Any) -> tuple[Any, list[Any]]:
        """The filters of a search of versions that MLflow understands, and conditions in place of the others."""
        raise NotImplementedError

    def explained(self, error: MlflowException, session: Session, name: str, version: int) -> MlflowException:
        """The error to raise for a version that MLflow does not find: `error`, or a more detailed one."""
        raise NotImplementedError

    def asking_workspace(self) -> str:
        """The MLflow workspace of the request."""
        return str(super()._get_active_workspace())

    def model_row(self, session: Session, name: str) -> SqlRegisteredModel:
        """A model of this request's registry. Raises MlflowException when it is missing."""
        return self._get_registered_model(session, name)

    def version_row(self, session: Session, name: str, version: str) -> SqlModelVersion:
        """A version of this request's registry. Raises MlflowException when it is missing."""
        return self._get_sql_model_version(session, name, version)

    def _get_active_workspace(self) -> str:
        return self.registry_workspace()

    # MLflow's store calls these two for the rows of the current workspace, in every query.

    def _get_query(self, session: Session, model: Any) -> Any:
        return super()._get_query(session, model).filter(*self.row_conditions(model))

    def _get_workspace_clauses(self, model: Any) -> list[Any]:
        return [*super()._get_workspace_clauses(model), *self.row_conditions(model)]

    # MLflow loads tags and aliases with a second query that repeats the first one's filter. A change between the two,
    # for which SQLite's driver begins no transaction, leaves entities without any tag. By primary keys none is lost.

    @staticmethod
    def _get_eager_registered_model_query_options() -> list[Any]:
        return [
            selectinload(SqlRegisteredModel.registered_model_tags),
            selectinload(SqlRegisteredModel.registered_model_aliases),
        ]

    @staticmethod
    def _get_eager_model_version_query_options() -> list[Any]:
        return [selectinload(SqlModelVersion.model_version_tags)]

    def _get_latest_versions_for_models(
        self, session: Session, model_names: list[str]
    ) -> dict[str, list[SqlModelVersion]]:
        """The newest version in each stage. MLflow numbers whole rows of all versions by a window function for it."""
        version = SqlModelVersion
        mine = self._get_workspace_clauses(version)
        newest = (
            select(version.workspace, version.name, func.max(version.version).label("version"))
            .where(*mine, version.name.in_(model_names), version.current_stage != STAGE_DELETED_INTERNAL)
            .group_by(version.workspace, version.name, version.current_stage)
            .subquery()
        )
        same = (getattr(version, each) == newest.c[each] for each in ("workspace", "name", "version"))
        query = select(version).join(newest, and_(*same)).where(*mine)
        query = query.options(*self._get_eager_model_version_query_options())
        found: dict[str, list[SqlModelVersion]] = {name: [] for name in model_names}
        for each in session.scalars(query):
            found[each.name].append(each)
        return found

    def _get_search_registered_model_filter_query(self, session: Session, parsed_filters: Any, dialect: str) -> Any:
        filters, conditions = self.model_search(parsed_filters)
        return super()._get_search_registered_model_filter_query(session, filters, dialect).where(*conditions)

    def _get_search_model_versions_filter_clauses(self, parsed_filters: Any, dialect: str) -> Any:
        filters, conditions = self.version_search(parsed_filters)
        return super()._get_search_model_versions_filter_clauses(filters, dialect).where(*conditions)

    def _get_model_version_from_db(
        self, session: Session, name: str, version: int, conditions: Any, query_options: Any = None
    ) -> Any:
        try:
            return super()._get_model_version_from_db(session, name, version, conditions, query_options)
        except MlflowException as error:
            if (explained := self.explained(error, session, name, version)) is error:
                raise
            raise explained from error


# -- the server's stores -----------------------------------------------------------------------------


def tracking_store() -> Any:
    """The tracking store of MLflow's server."""
    # MLflow's handlers import the stores, and ours imports this module.
    from mlflow.server.handlers import _get_tracking_store

    return _get_tracking_store()


def registry_store() -> Any:
    """The registry store of MLflow's server."""
    # MLflow's handlers import the stores, and ours imports this module.
    from mlflow.server.handlers import _get_model_registry_store

    return _get_model_registry_store()


def workspace_store() -> Any:
    """The store of workspaces of MLflow's server."""
    # MLflow reads its environment while it is imported.
    from mlflow.server.workspace_helpers import _get_workspace_store

    return _get_workspace_store()


def deleted_runs(tracking: Any, older_than: int) -> list[str]:
    """IDs of the runs of the request's workspace that were deleted at least `older_than` milliseconds ago."""
    return sorted(tracking._get_deleted_runs(older_than=older_than))


def remove_run(tracking: Any, run_id: str) -> None:
    """Removes the rows of a deleted run."""
    tracking._hard_delete_run(run_id)


def remove_logged_model(tracking: Any, model_id: str) -> None:
    """Removes the rows of a logged model."""
    tracking._hard_delete_logged_model(model_id)


def make_default_experiment(tracking: Any, session: Session, workspace: str) -> None:
    """Inserts the experiment *Default* of a workspace. Raises MlflowException."""
    tracking._create_default_experiment(session, workspace_override=workspace)


def found_runs(
    tracking: Any,
    session: Session,
    experiment_ids: list[str],
    filter_: str,
    stages: Collection[str],
    max_results: int,
    order_by: list[str],
) -> Select[Any]:
    """The IDs of the runs that MLflow's `_search_runs` finds, in its order, in experiments of the request's workspace.

    MLflow selects all columns of runs, DISTINCT. Only filters by datasets can find a run twice. Raises MlflowException.
    """
    tracking._validate_max_results_param(max_results, allow_null=True)
    parsed = SearchUtils.parse_search_filter(filter_)
    selected, order, sorted_by = tracking_queries._get_orderby_clauses(order_by, session)
    own, others, datasets = tracking_queries._get_sqlalchemy_filter_clauses(parsed, session, tracking._get_dialect())
    query = select(SqlRun.run_uuid, SqlRun.start_time, *selected).select_from(SqlRun)
    for each in others:
        query = query.join(each)
    for each in datasets:
        query = query.join(each, SqlRun.run_uuid == each.c.destination_id).distinct()
    for each in sorted_by:
        query = query.outerjoin(each)
    if sorted_by and order[-1] is SqlRun.run_uuid and not datasets:
        # To order equal ones, SQLite would read all runs by their index of IDs, which takes twice the time.
        order = [*order[:-1], func.coalesce(SqlRun.run_uuid, "")]
    within = tracking._filter_experiment_ids(session, tracking_queries._parse_experiment_ids(experiment_ids))
    return query.where(SqlRun.experiment_id.in_(within), SqlRun.lifecycle_stage.in_(stages), *own).order_by(*order)


# -- MLflow's auth app (the module `mlflow.server.auth`) -----------------------------------------------


def role_permission(auth: Any, user_id: int, resource: str, workspace: str) -> Any:
    """The permission of a user's roles on all resources of a kind in a workspace, or None."""
    return auth._role_grant_for_resource(user_id, resource, "*", workspace)


def replace_workspace_memory(auth: Any, memory: MutableMapping[str, str | None]) -> None:
    """Has the auth app remember in `memory` which workspace a resource is in."""
    auth._RESOURCE_WORKSPACE_CACHE = memory


def wrap_may_create(auth: Any, wrap: Callable[[Callable[[str], bool]], Callable[[str], bool]]) -> None:
    """Replaces the check whether a user (by name) may make experiments and models in the request's workspace."""
    auth._can_create_in_workspace = wrap(auth._can_create_in_workspace)


def wrap_authentication(auth: Any, wrap: Callable[[Callable[[str, str], Any]], Callable[[str, str], Any]]) -> None:
    """Replaces the function that turns a name and a password into a user or None."""
    auth._authenticate_cached = wrap(auth._authenticate_cached)


def wrap_stores(
    auth: Any,
    tracking: Callable[[Callable[[], Any]], Callable[[], Any]],
    registry: Callable[[Callable[[], Any]], Callable[[], Any]],
) -> None:
    """Replaces the functions with which the auth app gets the server's stores."""
    auth._get_tracking_store = tracking(auth._get_tracking_store)
    auth._get_model_registry_store = registry(auth._get_model_registry_store)


def replace_model_uri_reader(auth: Any, read: Callable[..., Any]) -> None:
    """Makes the auth app read `models:/` URIs with `read`, which has the parameters of `read_model_uri`."""
    auth._parse_model_uri = read


# -- artifacts ---------------------------------------------------------------------------------------


class OneFileRepository(ArtifactRepository):  # type: ignore[misc]
    """MLflow's artifact repository with a public method for the file that `download_artifacts` fetches."""

    def download_file(self, path: str, local_path: str) -> None:
        """Downloads one file to `local_path`. Raises MlflowException."""
        raise NotImplementedError

    def new_local_path(self, path: str, folder: str) -> str:
        """Where a file is downloaded to below a folder, after making the folders between."""
        return str(self._create_download_destination(src_artifact_path=path, dst_local_dir_path=folder))

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self.download_file(remote_file_path, local_path)


class KeyedRepository(S3ArtifactRepository):  # type: ignore[misc]
    """MLflow's own S3 repository with a client that gets its key for each request."""

    def __init__(self, uri: str, key: Callable[[], AccessKey]) -> None:
        super().__init__(uri)
        self._keyed_client = make_client("s3", os.environ["MLFLOW_S3_ENDPOINT_URL"], key, attempts=5)

    def _get_s3_client(self) -> Any:
        return self._keyed_client


def download_key(repository: S3ArtifactRepository, key: str, local_path: str) -> None:
    """Downloads the object with a key. Raises ClientError."""
    repository._download_file(key, local_path)


def s3_client(repository: S3ArtifactRepository) -> Any:
    """The S3 client that a repository works with."""
    return repository._get_s3_client()


def no_parts_upload() -> MlflowException:
    """The error at which clients send a file through the server instead of in parts to its store."""
    return exceptions._UnsupportedMultipartUploadException()


def no_parts_download() -> MlflowException:
    """The error at which clients read a file through the server instead of in parts from its store."""
    return exceptions._UnsupportedMultipartDownloadException()


# -- downloads ---------------------------------------------------------------------------------------


def scoped_path(path: str) -> str:
    """An artifact's path below the workspace of this request. Raises MlflowException."""
    # MLflow reads its environment while it is imported.
    from mlflow.server import handlers

    return str(handlers._get_workspace_scoped_repo_path_if_enabled(path))


def file_headers(path: str) -> dict[str, str]:
    """The headers with which MLflow sends a file, so that no browser shows it as a page of the server."""
    # MLflow reads its environment while it is imported.
    from mlflow.server import handlers

    return {
        "Content-Type": handlers._guess_mime_type(path),
        "Content-Disposition": handlers._content_disposition_attachment(path.rpartition("/")[2]),
        "X-Content-Type-Options": "nosniff",
    }


# -- rules and settings ------------------------------------------------------------------------------


def is_prompt(model: Any) -> bool:
    """Whether MLflow takes a registered model for a prompt."""
    return bool(model._is_prompt())


def check_alias_name(alias: str) -> None:
    """Raises MlflowException for an alias that MLflow refuses."""
    # MLflow 3.18 has one check for the aliases of all that it registers.
    if hasattr(validation, "_validate_alias_name"):
        validation._validate_alias_name(alias)
        validation._validate_alias_name_reserved(alias)
    else:
        validation._validate_model_alias_name(alias)
        validation._validate_model_alias_name_reserved(alias)


def check_version_tag(key: str, value: Any) -> None:
    """Raises MlflowException for a version's tag that MLflow refuses."""
    validation._validate_model_version_tag(key, value)


def uvicorn_log_config() -> str:
    """Path of the log settings with which `mlflow server` runs uvicorn."""
    # MLflow reads its environment while it is imported.
    import mlflow.server

    return str(mlflow.server._UVICORN_LOG_CONFIG)
