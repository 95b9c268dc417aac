"""Responses to keyed requests that were cut off between the change they made and their response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from registry_tui.schemas.deployments import ApiKey, Deployment
from registry_tui.schemas.models import RegisteredModel
from registry_tui.schemas.operations import Accepted, Workflow
from registry_tui.schemas.people import Group, UserToken
from registry_tui.schemas.ranger import RangerService
from registry_tui.schemas.registries import ModelRegistry
from registry_tui.service.access import api_keys, groups, tokens
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.idempotency import SHOWN
from registry_tui.service.database.tables import ApiKeyRow, UserTokenRow, WebhookRow, WorkflowRow
from registry_tui.service.deployments import views as deployment_views
from registry_tui.service.engine.rows import get_row, to_schema
from registry_tui.service.errors import Missing
from registry_tui.service.models import registered, versions
from registry_tui.service.places import attached_servers, environments, projects, workspaces
from registry_tui.service.ranger import policies
from registry_tui.service.registries import lifecycle as registries

#: Things with a secret that only the lost response contained.
_SHOWN_ONCE: Mapping[str, type[ApiKeyRow | UserTokenRow | WebhookRow]] = {
    "key": ApiKeyRow,
    "token": UserTokenRow,
    "webhook": WebhookRow,
}


def answer_from(service: Service, principal: Principal, made: str, kind: Any) -> BaseModel | None:
    """The response to a request that made `made` (see `idempotency.Begun`); None when it has to be carried out again.

    `kind` is the route's response model. Raises Missing when the thing it made is gone by now, PartUnavailable.
    """
    what, _, id_ = made.partition(":")
    if what == "workflow":
        with service.database.reading() as session:
            row = get_row(session, id_)
        return to_schema(row) if kind is Workflow else _accepted(service, principal, row)
    if what in _SHOWN_ONCE:
        _forget_key(service, _SHOWN_ONCE[what], id_)
        return None
    try:
        if what == "attached-server":
            return attached_servers.get_made(service, principal, id_)
        if what == "project":
            return projects.get_project(service, principal, id_)
        if what == "environment":
            return environments.get_environment(service, principal, id_)
        if what == "workspace":
            return workspaces.get_workspace(service, principal, id_)
    except Missing:
        # It was removed again because it was not finished.
        return None
    raise ValueError(f"nothing is known of {what}")


def answer_behind(service: Service, principal: Principal, names: Mapping[str, Any], kind: Any) -> BaseModel | None:
    """The response to a request that took away the thing named by `names` in its address; None if nothing is known of
    it.

    Raises Missing, NotPermitted.
    """
    if kind is Group:
        return groups.get_group(service, principal, names["group"])
    if kind is RegisteredModel:
        return registered.get_model(service, principal, names["registry"], names["model"])
    if kind is RangerService:
        return policies.get_service(service, principal, names["environment"])
    if kind is ApiKey:
        return api_keys.get_key(service, principal, names["key"])
    if kind is UserToken:
        return tokens.get_token(service, principal, names["user"], names["token"])
    return None


def _accepted(service: Service, principal: Principal, row: WorkflowRow) -> BaseModel:
    workflow, shown = to_schema(row), row.arguments.get(SHOWN)
    try:
        if row.resource_type == "registry":
            return Accepted(resource=registries.get_registry(service, principal, row.resource_id), workflow=workflow)
        if row.resource_type == "deployment":
            deployment = deployment_views.get_deployment(service, principal, row.resource_id)
            return Accepted(resource=deployment, workflow=workflow)
    except Missing:
        # The workflow has deleted it meanwhile.
        if shown is None:
            raise
        kind = ModelRegistry if row.resource_type == "registry" else Deployment
        return Accepted(resource=kind.model_validate(shown), workflow=workflow)
    if row.resource_type == "project":
        return Accepted(resource=projects.get_project(service, principal, row.resource_id), workflow=workflow)
    if row.resource_type != "version":
        raise ValueError(f"nothing is known of a workflow on {row.resource_type}")
    registry, model, number = (row.arguments[name] for name in ("registry_id", "model", "version"))
    version = versions.get_version(service, principal, registry, model, number)
    return Accepted(resource=version.model_copy(update={"workflow_id": workflow.id}), workflow=workflow)


def _forget_key(service: Service, table: type[ApiKeyRow | UserTokenRow | WebhookRow], id_: str) -> None:
    """Deletes a key, token or webhook whose secret nobody has seen: only the lost response contained it."""
    with service.database.session() as session:
        row = session.get(table, id_)
        if row is not None:
            session.delete(row)
