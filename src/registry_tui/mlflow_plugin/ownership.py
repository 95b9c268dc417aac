"""Permissions for changes in a registry.

Owners change their models, creators their versions, contributors of a project its prompts, administrators and the
service everything.

MLflow's own permissions are by project and role; they cannot distinguish one contributor's models from another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.entities.model_registry.model_version_stages import STAGE_ARCHIVED, STAGE_NONE, get_canonical_stage
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED
from sqlalchemy.orm import Session

from registry_tui.mlflow_plugin import prompt_projects, prompts
from registry_tui.mlflow_plugin.identity import current_user, is_administrator
from registry_tui.mlflow_plugin.names import check_alias
from registry_tui.mlflow_plugin.pending import refuse_failed
from registry_tui.mlflow_plugin.service_calls import ask, notify
from registry_tui.mlflow_plugin.visibility import MAY_ADD, SeenStore, sight_of_request
from registry_tui.schemas import mlflow_tags as tags_

_UNANSWERED = "The {} '{}' is protected, and the service cannot be asked about it just now."


class OwnedStore(SeenStore):
    """The store as seen by a request, with changes only by owners and creators. Methods raise MlflowException."""

    def update_registered_model(
        self, name: str, description: str | None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        self._require_owner(name, "change its description")
        return super().update_registered_model(name, description, deployment_job_id)

    def set_registered_model_tag(self, name: str, tag: Any) -> None:
        self._refuse_reserved([tag.key])
        prompts.check_tag_change(tag.key, self._require_owner(name, "change its tags"), tag.value)
        super().set_registered_model_tag(name, tag)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        self._refuse_reserved([key])
        prompts.check_tag_change(key, self._require_owner(name, "change its tags"), None)
        super().delete_registered_model_tag(name, key)

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        check_alias(alias)
        tags = self._check_alias(name, alias)
        self._refuse_failed(name, version, f"get the alias '{alias}'")
        if not (is_administrator() or prompts.is_prompt(tags)):
            self._require_admitted(name, version, alias)
        super().set_registered_model_alias(name, alias, version)
        self._tell(tags, "aliased", {"name": name, "alias": alias, "after": str(version)})

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        tags = self._check_alias(name, alias)
        super().delete_registered_model_alias(name, alias)
        self._tell(tags, "unaliased", {"name": name, "alias": alias})

    def update_model_version(self, name: str, version: str, description: str | None = None) -> ModelVersion:
        self._require_creator(name, version, "change its notes")
        return super().update_model_version(name, version, description)

    def transition_model_version_stage(
        self, name: str, version: str, stage: str, archive_existing_versions: bool
    ) -> ModelVersion:
        wanted = get_canonical_stage(stage)
        change = self._check_stage(name, version, wanted)
        if wanted != STAGE_NONE:
            self._refuse_failed(name, version, f"get the stage '{stage}'")
        others = self._check_archived(name, version, wanted, change) if archive_existing_versions and change else []
        moved = super().transition_model_version_stage(name, version, stage, archive_existing_versions)
        if change:
            notify(self._service_socket(), "PUT", "promotion/staged", change, *others)
        return moved

    def _check_alias(self, name: str, alias: str) -> dict[str, str]:
        """The model's tags, when the caller may move the alias: as its owner, or by the alias's protection."""
        user, registry = current_user(), self.registry_workspace()
        route = self._routes().registries.get(registry)
        if user is None or is_administrator() or route is None or alias not in route.guarded_aliases:
            return self._require_owner(name, "change its aliases")
        with self.ManagedSessionMaker() as session:
            tags = _tags(self.model_row(session, name).registered_model_tags)
        if prompts.is_prompt(tags):
            return self._require_owner(name, "change its aliases")
        given = {"registry_id": route.registry_id, "user": user, "owner": tags.get(tags_.OWNER, ""), "alias": alias}
        ask(self._service_socket(), "PUT", "promotion/alias", _UNANSWERED.format("alias", alias), json=given)
        return tags

    def _check_stage(self, name: str, version: str, stage: str) -> dict[str, str]:
        """The notice to the service about a person's change of a stage.

        Empty for the service's own changes and prompts.
        """
        user, route = current_user(), self._routes().registries.get(self.registry_workspace())
        if user is None or is_administrator() or route is None:
            self._require_owner(name, "change its versions' stages")
            return {}
        with self.ManagedSessionMaker() as session:
            model = _tags(self.model_row(session, name).registered_model_tags)
            found = self.version_row(session, name, version)
            tags, before = _tags(found.model_version_tags), str(found.current_stage or STAGE_NONE)
        if prompts.is_prompt(model) or tags_.VERSION_ID not in tags:
            self._require_owner(name, "change its versions' stages")
            return {}
        change = {
            "registry_id": route.registry_id,
            "user": user,
            "owner": model.get(tags_.OWNER, ""),
            "creator": tags.get(tags_.CREATOR, ""),
            "model_id": model.get(tags_.MODEL_ID, ""),
            "version_id": tags[tags_.VERSION_ID],
            "name": f"{name} v{version}",
            "before": before,
            "after": stage,
        }
        # The owner of a model needs no consent while no rule is about the stage.
        if user != change["owner"] or stage in route.guarded_stages:
            ask(self._service_socket(), "PUT", "promotion/stage", _UNANSWERED.format("stage", stage), json=change)
        return change

    def _check_archived(self, name: str, version: str, stage: str, change: dict[str, str]) -> list[dict[str, str]]:
        """The notices to the service about the versions that leave a stage for this one."""
        with self.ManagedSessionMaker() as session:
            there = self.model_row(session, name).model_versions
            left = [each for each in there if each.current_stage == stage and str(each.version) != str(version)]
            found = [(int(each.version), _tags(each.model_version_tags)) for each in left]
        others = [
            {
                **change,
                "version_id": tags[tags_.VERSION_ID],
                "creator": tags.get(tags_.CREATOR, ""),
                "name": f"{name} v{number}",
                "before": stage,
                "after": STAGE_ARCHIVED,
            }
            for number, tags in found
            if tags_.VERSION_ID in tags
        ]
        route = self._routes().registries.get(self.registry_workspace())
        if route is not None and STAGE_ARCHIVED in route.guarded_stages:
            for other in others:
                unanswered = _UNANSWERED.format("stage", STAGE_ARCHIVED)
                ask(self._service_socket(), "PUT", "promotion/stage", unanswered, json=other)
        return others

    def _check_protected(self, name: str, version: str | None = None) -> None:
        """Refuses to delete a model or version with a protected alias, for people who may not move the alias."""
        route = self._routes().registries.get(self.registry_workspace())
        if route is None or not route.guarded_aliases or is_administrator():
            return
        for alias, number in self.get_registered_model(name).aliases.items():
            if alias in route.guarded_aliases and version in (None, str(number)):
                self._check_alias(name, alias)

    def _tell(self, model: dict[str, str], what: str, change: dict[str, str]) -> None:
        """Notifies the service of a person's change to a model; not of the service's own changes, or of prompts."""
        user, route = current_user(), self._routes().registries.get(self.registry_workspace())
        if user is None or is_administrator() or route is None or tags_.MODEL_ID not in model:
            return
        body = {"registry_id": route.registry_id, "user": user, "model_id": model[tags_.MODEL_ID], **change}
        notify(self._service_socket(), "PUT", f"promotion/{what}", body)

    def _tell_deleted(self, model: dict[str, str], version: dict[str, str] | None = None) -> None:
        """Has the service delete its data on a version, or on all of a model's."""
        user, route = current_user(), self._routes().registries.get(self.registry_workspace())
        if user is None or is_administrator() or route is None:
            return
        given = {"registry_id": route.registry_id, "user": user, "model_id": model.get(tags_.MODEL_ID, "")}
        if version is not None:
            given["version_id"] = version.get(tags_.VERSION_ID, "")
        if given["model_id"] if version is None else given["version_id"]:
            notify(self._service_socket(), "PUT", "promotion/deleted", given)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        self._refuse_reserved([key])
        prompts.check_tag_change(key, self._require_creator(name, version, "change its tags"), None)
        super().delete_model_version_tag(name, version, key)

    def _report_pending(self) -> None:
        """Notifies the service of pending versions, which it also checks for every few seconds."""
        notify(self._service_socket(), "POST", "pending-versions")

    def _require_admitted(self, name: str, version: str, alias: str) -> None:
        """The service has checked its rules before it calls here itself."""
        registry = self._routes().registries.get(self.registry_workspace())
        if registry is not None and registry.alias_rules:
            ask(
                self._service_socket(),
                "GET",
                f"admission/{registry.registry_id}/aliases",
                f"Version {version} of '{name}' cannot be checked against the rules for the alias '{alias}' just now.",
                params={"model": name, "version": version, "alias": alias},
            )

    def _refuse_failed(self, name: str, version: str, doing: str) -> None:
        with self.ManagedSessionMaker() as session:
            found = self.version_row(session, name, version)
            refuse_failed(name, version, found.status, found.status_message, doing)

    def _given_tags(self, tags: Iterable[Any] | None) -> dict[str, str]:
        given: dict[str, str] = {}
        for tag in tags or ():
            if tag.key in given:
                raise _invalid(f"The tag '{tag.key}' is given twice.")
            given[tag.key] = tag.value
        self._refuse_reserved(given)
        return given

    def _refuse_reserved(self, keys: Iterable[str]) -> None:
        if is_administrator():
            return
        if reserved := next((key for key in keys if key.startswith(tags_.PREFIX)), None):
            raise MlflowException(
                f"The tag '{reserved}' cannot be changed: the registry keeps those under '{tags_.PREFIX}'.",
                error_code=PERMISSION_DENIED,
            )

    def _require_owner(self, name: str, doing: str) -> dict[str, str]:
        """The model's tags, when the caller owns it or acts for everyone, or it is a prompt that they may change."""
        with self.ManagedSessionMaker() as session:
            return self._model_tags(session, name, doing)

    def _model_tags(self, session: Session, name: str, doing: str, also: str | None = None) -> dict[str, str]:
        found = _tags(self.model_row(session, name).registered_model_tags)
        if prompts.is_prompt(found):
            self._require_prompts_project(session, name, doing)
            return found
        owner, user = found.get(tags_.OWNER), current_user()
        everything = is_administrator() or sight_of_request(self._routes()).everything
        if not everything and (user is None or user not in (owner, also)):
            raise MlflowException(
                f"'{name}' belongs to {owner or 'nobody'}; only its owner may {doing}.", error_code=PERMISSION_DENIED
            )
        return found

    def _require_prompts_project(self, session: Session, name: str, doing: str) -> None:
        project, routes = prompt_projects.project_of(session, self.registry_workspace(), name), self._routes()
        sight = sight_of_request(routes)
        if sight.everything or project == prompt_projects.EVERYBODY:
            return
        if project is not None and sight.projects.get(project) in MAY_ADD:
            return
        if project in {route.project_id for route in routes.projects.values()}:
            why = f"belongs to another project; only that project's contributors may {doing}"
        else:
            why = f"belongs to no project that is still there; only administrators may {doing}"
        raise MlflowException(
            f"The prompt '{name}' {why}. Choose another name for a prompt of your own.", error_code=PERMISSION_DENIED
        )

    def _require_creator(self, name: str, version: str, doing: str) -> dict[str, str]:
        """The version's tags, when the caller made it or owns the model, or acts for everyone, or may change the
        prompt."""
        with self.ManagedSessionMaker() as session:
            found = _tags(self.version_row(session, name, version).model_version_tags)
            self._model_tags(session, name, doing, also=found.get(tags_.CREATOR))
            return found


def _tags(rows: Iterable[Any]) -> dict[str, str]:
    return {row.key: row.value for row in rows}


def _invalid(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)
