"""MLflow's registry store, answering for a project with its environment's Model Registry.

Every call comes in a project's MLflow workspace. Models and versions live in the registry's own MLflow workspace; the
service's account may also call there directly.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mlflow.entities.model_registry import ModelVersion, RegisteredModel, RegisteredModelTag
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    ErrorCode,
)
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelTag,
)
from mlflow.utils.time import get_current_time_millis
from sqlalchemy import and_, false, select, update
from sqlalchemy.orm import Session

from registry_tui.contracts.attached_sources import is_attached
from registry_tui.contracts.mlflow_routes import ProjectRoute, Routes, RoutesFile, archive_uri
from registry_tui.contracts.promoted_sources import is_promoted
from registry_tui.mlflow_plugin import leftovers, numbers, prompt_projects, prompts, renaming
from registry_tui.mlflow_plugin.addresses import ARTIFACTS_DESTINATION
from registry_tui.mlflow_plugin.artifacts import Buckets, EnvironmentArtifactRepository, load_routes
from registry_tui.mlflow_plugin.borders import asks_for_ours
from registry_tui.mlflow_plugin.dialects import take_turn
from registry_tui.mlflow_plugin.identity import current_user, is_administrator
from registry_tui.mlflow_plugin.mlflow_private import check_version_tag, is_prompt, tracking_store
from registry_tui.mlflow_plugin.model_uris import copied_version
from registry_tui.mlflow_plugin.names import check_model_name, new_id
from registry_tui.mlflow_plugin.ownership import OwnedStore
from registry_tui.mlflow_plugin.pending import FAILED, PENDING, READY, Waiting, refuse_unstored
from registry_tui.mlflow_plugin.searching import models_with, split_filters, versions_with
from registry_tui.mlflow_plugin.sources import Source, origin_of, resolve_source
from registry_tui.mlflow_plugin.uploads import Uploads
from registry_tui.mlflow_plugin.visibility import note_projects
from registry_tui.platform.paths import Home
from registry_tui.schemas import mlflow_tags as tags_
from registry_tui.schemas.stages import Stage, to_mlflow

#: Lengths of MLflow's columns (`dbmodels/models.py`), which SQLite does not check.
_MAX_SOURCE = 500
_MAX_STATUS_MESSAGE = 500


def open_store() -> EnvironmentRegistryStore:
    """The store of this server: MLflow's own database, and the routes of this home."""
    return EnvironmentRegistryStore(os.environ["_MLFLOW_SERVER_FILE_STORE"], Home.resolve())


class EnvironmentRegistryStore(OwnedStore):
    """Registered models of every environment's registry. Methods raise MlflowException with a text for people."""

    def __init__(self, db_uri: str, home: Home) -> None:
        super().__init__(db_uri)
        numbers.create_table(self.engine)
        prompt_projects.create_table(self.engine)
        note_projects(self.engine)
        self._home = home
        self._routes_file = RoutesFile(home.routes_file)
        self._artifacts = EnvironmentArtifactRepository(ARTIFACTS_DESTINATION)
        self.buckets = Buckets()
        self.uploads = Uploads()
        self._waiting = Waiting()

    # -- which registry -----------------------------------------------------------------------

    def registry_workspace(self) -> str:
        """The registry's MLflow workspace for the requesting project. Raises MlflowException."""
        asking, routes = self.asking_workspace(), self._routes()
        registry = routes.registry_of(asking)
        if registry is None:
            raise MlflowException(routes.refusal_of(asking), error_code=INVALID_PARAMETER_VALUE)
        return registry

    def _routes(self) -> Routes:
        return load_routes(self._routes_file)

    def _service_socket(self) -> Path:
        return self._home.service_socket

    def _asking_project(self) -> ProjectRoute:
        asking, routes = self.asking_workspace(), self._routes()
        if asking in routes.registries:
            raise MlflowException(
                "Models are registered from a project. Set MLFLOW_WORKSPACE to the project's workspace "
                "(`registry-tui env --project NAME`).",
                error_code=INVALID_PARAMETER_VALUE,
            )
        if routes.registry_of(asking) is None:
            raise MlflowException(routes.refusal_of(asking), error_code=INVALID_PARAMETER_VALUE)
        return routes.projects[asking]

    # -- registered models --------------------------------------------------------------------

    def create_registered_model(
        self, name: str, tags: Any = None, description: str | None = None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        registry = self.registry_workspace()
        self._check_new_name(registry, name)
        given = self._given_tags(tags)
        wanted = given.pop(tags_.NUMBER, None)
        prompts.check_given(given)
        project = self._routes().projects.get(self.asking_workspace())
        ours = {
            tags_.MODEL_ID: new_id(),
            tags_.OWNER: current_user() or "",
            tags_.VISIBILITY: "private",
            tags_.LOCATION: project.workspace_name if project else "",
            **({tags_.PROJECT: project.project_id} if project else {}),
        }
        with self.ManagedSessionMaker(read_only=False) as session:
            leftovers.clear(session, registry, name)
            if wanted is not None:
                numbers.require_free_name(session, registry, name, int(wanted))
        stored = given if prompts.is_prompt(given) else {**ours, **given}
        try:
            with prompt_projects.made_by(None if project is None else project.project_id):
                return super().create_registered_model(
                    name, [RegisteredModelTag(key, value) for key, value in stored.items()], description
                )
        except MlflowException as error:
            if error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
                # MLflow checks the model of that name; this request does not see it.
                raise _name_is_taken(name) from error
            raise

    def _check_new_name(self, registry: str, name: str) -> None:
        """Raises MlflowException for a name that no new model may have; MLflow refuses names that are taken."""
        with self.ManagedSessionMaker() as session:
            if session.get(SqlRegisteredModel, (registry, name)) is None:
                check_model_name(name)

    def mark_left_behind(self, name: str | None) -> None:
        """Marks a bare model that this user made moments ago (by name, else the newest) as a leftover."""
        registry, user = self.registry_workspace(), current_user()
        if user is not None and not is_administrator():
            with self.ManagedSessionMaker(read_only=False) as session:
                leftovers.mark(session, registry, user, name)

    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        self._refuse_reserved([tag.key])
        if tag.key == tags_.WITHDRAW:
            with self.ManagedSessionMaker(read_only=False) as session:
                leftovers.withdraw(session, self.registry_workspace(), name, tag.value)
            return
        super().set_registered_model_tag(name, tag)

    def model_search(self, parsed_filters: Any) -> tuple[Any, list[Any]]:
        """Understands `mlflow_tags.SEARCH` and `IDS`, and leaves out models that a refused registration left behind."""
        searches, filters = split_filters(parsed_filters, tags_.SEARCH, tags_.IDS)
        conditions = [models_with(each["key"], each["value"]) for each in searches]
        if asks_for_ours(parsed_filters):
            conditions.append(false())
        return filters, [*conditions, ~leftovers.is_left_behind()]

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        check_model_name(new_name)
        tags = self._require_owner(name, "rename it")
        model_id = None if prompts.is_prompt(tags) else tags.get(tags_.MODEL_ID, "")
        with self.ManagedSessionMaker(read_only=False) as session:
            take_turn(session, "names", self.registry_workspace())
            model = self.model_row(session, name)
            renaming.rename(session, model, new_name, model_id)
            renamed = model.to_mlflow_entity()
        if model_id is not None:
            self._tell(tags, "renamed", {"name": new_name, "before": name})
        return renamed

    def delete_registered_model(self, name: str) -> None:
        tags = self._require_owner(name, "delete it")
        if prompts.is_prompt(tags):
            super().delete_registered_model(name)
            return
        self._check_protected(name)
        model_id = tags.get(tags_.MODEL_ID, "")
        with self.ManagedSessionMaker(read_only=False) as session:
            take_turn(session, "names", self.registry_workspace())
            model = self.model_row(session, name)
            numbers.retire_name(session, model.workspace, name, model_id)
            session.delete(model)
        self._tell_deleted(tags)
        self._report_pending()

    # -- versions -----------------------------------------------------------------------------

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Any = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        # For a copy of another registry's version the service has checked everything, and passes its facts as tags.
        promoted = is_promoted(source) and is_administrator()
        project = None if promoted else self._asking_project()
        if copied_version(source):
            # Clients send all tags of the version that they copy; the copy gets its own facts.
            tags = [tag for tag in tags or () if not tag.key.startswith(tags_.PREFIX)]
        given = self._given_tags(tags)
        model = self.get_registered_model(name)
        prompts.check_version(model, given)
        if is_prompt(model):
            self._require_owner(name, "add versions")
            return super().create_model_version(
                name, source, run_id, tags, run_link, description, local_model_path, model_id
            )
        self.require_may_add(self.registry_workspace(), name, model.tags)
        wanted = given.pop(tags_.NUMBER, None)
        for key, value in given.items():
            check_version_tag(key, value)
        if len(source) > _MAX_SOURCE:
            raise _invalid(f"The source has {len(source)} characters; at most {_MAX_SOURCE} are possible.")
        none = Source(source, None, None, None), dict[str, Any]()
        found, origin = none if project is None else self._find_source(project, source, run_id, model_id)
        ours = {
            tags_.VERSION_ID: new_id(),
            tags_.CREATOR: current_user() or "",
            tags_.ORIGIN: json.dumps(origin, separators=(",", ":")),
            **({tags_.PROJECT: project.project_id} if project else {}),
            tags_.PENDING: "true",
        }
        version = self._insert_version(
            name,
            {**ours, **given},
            wanted=None if wanted is None else int(wanted),
            source=source,
            storage_location=found.location,
            run_id=found.run.info.run_id if found.run else run_id,
            run_link=run_link,
            description=description,
        )
        self._report_pending()
        return version

    def _insert_version(
        self, name: str, tags: dict[str, str], *, wanted: int | None = None, **columns: Any
    ) -> ModelVersion:
        registry, now = self.registry_workspace(), get_current_time_millis()
        with self.ManagedSessionMaker(read_only=False) as session:
            # Write first: this locks the model's row (all of SQLite) until the end, so that concurrent versions get
            # successive numbers.
            touched = session.execute(
                update(SqlRegisteredModel)
                .where(SqlRegisteredModel.workspace == registry, SqlRegisteredModel.name == name)
                .values(last_updated_time=now)
                .execution_options(synchronize_session=False)
            )
            if not touched.rowcount:
                raise _no_model(name)
            if (made := _made_by(session, registry, name, tags.get(tags_.REQUEST))) is not None:
                return made.to_mlflow_entity()
            number = numbers.highest_version(session, registry, name) + 1
            if wanted is not None:
                number = numbers.free_number(session, registry, name, wanted)
            version = SqlModelVersion(
                workspace=registry,
                name=name,
                version=number,
                creation_time=now,
                last_updated_time=now,
                user_id=tags[tags_.CREATOR],
                status=PENDING,
                status_message="Waiting for its archive to be stored",
                **columns,
            )
            version.model_version_tags = [
                SqlModelVersionTag(workspace=registry, name=name, version=number, key=key, value=value)
                for key, value in tags.items()
            ]
            session.add(version)
            if creator := tags[tags_.CREATOR]:
                key = f"{tags_.CONTRIBUTOR}{creator}"
                session.merge(SqlRegisteredModelTag(workspace=registry, name=name, key=key, value="true"))
            session.flush()
            return version.to_mlflow_entity()

    def _find_source(
        self, project: ProjectRoute, source: str, run_id: str | None, model_id: str | None
    ) -> tuple[Source, dict[str, Any]]:
        """The model's place, and its `schemas.models.Origin`. Raises MlflowException."""
        tracking = tracking_store()
        if copied := copied_version(source):
            return self._find_copied(*copied)
        if is_attached(source) and is_administrator():
            # The service has checked it, and passes its origin in the version's tags.
            return Source(source, None, None, None), {}
        found = resolve_source(tracking, self._artifacts.has_file, source, run_id, model_id)
        experiment = tracking.get_experiment(found.experiment_id) if found.experiment_id else None
        return found, origin_of(project, found, experiment.name if experiment else None)

    def _find_copied(self, name: str, version: str) -> tuple[Source, dict[str, Any]]:
        """The archive of another version, and that version's origin."""
        location = self.get_model_version_download_uri(name, version)
        origin = json.loads(self.get_model_version(name, version).tags.get(tags_.ORIGIN, "{}"))
        return Source(location, None, None, None), {**origin, "source": location}

    def get_model_version_download_uri(self, name: str, version: str | int) -> str:
        found = self.get_model_version(name, version)
        model_tags, version_tags = self.get_registered_model(name).tags, found.tags
        if tags_.MODEL_ID not in model_tags or tags_.VERSION_ID not in version_tags:
            return str(super().get_model_version_download_uri(name, version))
        asking = self.asking_workspace()
        if found.status == PENDING:
            if copied := self._stored_original(found.source):
                return archive_uri(asking, *copied)
            found = self._waiting.until_stored(lambda: self.get_model_version(name, version))
        refuse_unstored(found)
        return archive_uri(asking, model_tags[tags_.MODEL_ID], version_tags[tags_.VERSION_ID])

    def _stored_original(self, source: str) -> tuple[str, str] | None:
        """IDs of the model and version that a `models:/Name/1` source names, when the request may read its archive.

        That archive is complete and verified, and the copy will hold the same files.
        """
        if not (copied := copied_version(source)):
            return None
        try:
            original = self.get_model_version(*copied)
            model = self.get_registered_model(original.name)
        except MlflowException:
            return None  # deleted since, or not for this request
        if original.status == PENDING:
            return self._stored_original(original.source)
        ids = model.tags.get(tags_.MODEL_ID), original.tags.get(tags_.VERSION_ID)
        return None if original.status != READY or None in ids else (str(ids[0]), str(ids[1]))

    def version_search(self, parsed_filters: Any) -> tuple[Any, list[Any]]:
        """Understands `mlflow_tags.SEARCH`, `mlflow_tags.STATUS` and `mlflow_tags.STAGE`."""
        ours, filters = split_filters(parsed_filters, tags_.SEARCH, tags_.STATUS, tags_.STAGE)
        conditions = [versions_with(each["key"], each["value"]) for each in ours]
        return filters, [*conditions, false()] if asks_for_ours(parsed_filters) else conditions

    def explained(self, error: MlflowException, session: Session, name: str, version: int) -> MlflowException:
        """For a number issued under this name before, an error that it is not issued again; else `error`."""
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            return error
        last = numbers.last_of_earlier_model(session, self.registry_workspace(), name)
        if not 1 <= version <= last:
            return error
        return MlflowException(
            f"{error.message}. It belonged to an earlier model of this name; "
            f"versions of this name go on at {last + 1}.",
            error_code=RESOURCE_DOES_NOT_EXIST,
        )

    def delete_model_version(self, name: str, version: str) -> None:
        tags = self._require_creator(name, version, "delete it")
        self._check_protected(name, str(version))
        super().delete_model_version(name, version)
        self._tell_deleted({}, tags)
        self._waiting.report_change()
        self._report_pending()

    def set_model_version_tag(self, name: str, version: str, tag: Any) -> None:
        self._refuse_reserved([tag.key])
        if tag.key == tags_.SET_STATUS:
            self._set_status(name, version, tag.value)
            return
        if tag.key == tags_.STAGE:
            self._set_stage(name, version, tag.value)
            return
        prompts.check_tag_change(tag.key, self._require_creator(name, version, "change its tags"), tag.value)
        super().set_model_version_tag(name, version, tag)

    def _set_status(self, name: str, version: str, value: str) -> None:
        try:
            wanted = json.loads(value)
            status, message = str(wanted["status"]), str(wanted.get("message") or "")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _invalid(f"{tags_.SET_STATUS} takes a JSON object with `status` and `message`.") from error
        if status not in (PENDING, READY, FAILED):
            raise _invalid(f"'{status}' is not a status of a model version.")
        with self.ManagedSessionMaker(read_only=False) as session:
            found = self.version_row(session, name, version)
            found.status = status
            found.status_message = message[:_MAX_STATUS_MESSAGE]
            found.last_updated_time = get_current_time_millis()
            waiting = [tag for tag in found.model_version_tags if tag.key == tags_.PENDING]
            if status != PENDING:
                for tag in waiting:
                    session.delete(tag)
            elif not waiting:
                key = {"workspace": found.workspace, "name": name, "version": found.version, "key": tags_.PENDING}
                session.add(SqlModelVersionTag(**key, value="true"))
        self._waiting.report_change()

    def _set_stage(self, name: str, version: str, value: str) -> None:
        """Keeps the service's word for a version's stage together with MLflow's own."""
        try:
            stage = to_mlflow(Stage(json.loads(value)["stage"]))
        except (ValueError, KeyError, TypeError) as error:
            raise _invalid(f"{tags_.STAGE} takes a JSON object with `stage`.") from error
        with self.ManagedSessionMaker(read_only=False) as session:
            found = self.version_row(session, name, version)
            found.current_stage = stage
            found.last_updated_time = get_current_time_millis()
            key = {"workspace": found.workspace, "name": name, "version": found.version, "key": tags_.STAGE}
            session.merge(SqlModelVersionTag(**key, value=value))


def _made_by(session: Session, registry: str, name: str, request: str | None) -> SqlModelVersion | None:
    """The version of a model that the same request of the service made before."""
    if request is None:
        return None
    tag, version = SqlModelVersionTag, SqlModelVersion
    of_request = select(version).join(
        tag, and_(tag.workspace == version.workspace, tag.name == version.name, tag.version == version.version)
    )
    return session.scalars(
        of_request.where(
            version.workspace == registry,
            version.name == name,
            # MLflow keeps the rows of deleted versions; a promotion may be repeated.
            version.current_stage != STAGE_DELETED_INTERNAL,
            tag.key == tags_.REQUEST,
            tag.value == request,
        ).limit(1)
    ).first()


def _invalid(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)


def _name_is_taken(name: str) -> MlflowException:
    return MlflowException(
        f"Registered Model (name={name}) already exists. It is private; choose another name.",
        error_code=RESOURCE_ALREADY_EXISTS,
    )


def _no_model(name: str) -> MlflowException:
    return MlflowException(f"There is no registered model '{name}'.", error_code=RESOURCE_DOES_NOT_EXIST)
