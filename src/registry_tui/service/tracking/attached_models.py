"""Registered models of attached servers, and their versions, as the servers' users may read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry_tui.schemas.attached import AttachedModel, AttachedVersion
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, Page
from registry_tui.service.adapters.attached_mlflow import AttachedMlflow
from registry_tui.service.adapters.mlflow_answers import as_mlflow_does
from registry_tui.service.adapters.mlflow_words import moment_or_none, pairs, quoted, unquotable
from registry_tui.service.core import paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import Missing, WrongState
from registry_tui.service.tracking.project import enter_project, page_token_of
from registry_tui.service.tracking.server import client_of


def list_models(
    service: Service,
    principal: Principal,
    project: str,
    *,
    name: str | None = None,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[AttachedModel]:
    """The registered models of a project's server by name; `name` is a part of the name.

    Raises Missing, NotPermitted, InvalidInput, WrongState for a project of this installation, PartUnavailable.
    """
    client = _client(service, principal, project)
    params: dict[str, Any] = {
        "max_results": paging.check_page_size(page_size),
        "order_by": ["name ASC"],
        "page_token": page_token,
    }
    if name:
        params["filter"] = f"name ILIKE {quoted(f'%{name}%')}"
    with page_token_of(page_token):
        answer = client.call("GET", "registered-models/search", params=params)
    with as_mlflow_does(client.address.url):
        return Page(
            items=[_model(found) for found in answer.get("registered_models", ())],
            next_page_token=answer.get("next_page_token") or None,
        )


def list_versions(
    service: Service,
    principal: Principal,
    project: str,
    model: str,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[AttachedVersion]:
    """The versions of a registered model, the newest first. Raises as `list_models`, Missing also for the model."""
    client = _client(service, principal, project)
    params = {
        # Of a name that no filter can hold, the filter finds others too.
        "filter": f"name {'LIKE' if unquotable(model) else '='} {quoted(model)}",
        "max_results": paging.check_page_size(page_size),
        "order_by": ["version_number DESC"],
        "page_token": page_token,
    }
    try:
        known = client.call("GET", "registered-models/get", params={"name": model})["registered_model"]
    except Missing as error:
        raise Missing(
            f"MLflow at {client.address.url} has no registered model {model!r}",
            action=f"See `registry-tui attached models {project}`",
        ) from error
    aliases: dict[int, list[str]] = {}
    with as_mlflow_does(client.address.url):
        named = sorted(_aliases(known).items())
    for alias, number in named:
        aliases.setdefault(number, []).append(alias)
    with page_token_of(page_token):
        answer = client.call("GET", "model-versions/search", params=params)
    with as_mlflow_does(client.address.url):
        return Page(
            items=[_version(each, aliases) for each in answer.get("model_versions", ()) if each["name"] == model],
            next_page_token=answer.get("next_page_token") or None,
        )


def _client(service: Service, principal: Principal, project: str) -> AttachedMlflow:
    place = enter_project(service, principal, project)
    client = client_of(service, place)
    if client is None:
        raise WrongState(
            f"Project {place.name} shows no MLflow server elsewhere",
            action="Its models are those of its Model Registry: `registry-tui models list`",
        )
    return client


def _model(found: Mapping[str, Any]) -> AttachedModel:
    latest = [int(each["version"]) for each in found.get("latest_versions", ())]
    return AttachedModel(
        name=found["name"],
        description=found.get("description", ""),
        created_at=moment_or_none(found.get("creation_timestamp")),
        updated_at=moment_or_none(found.get("last_updated_timestamp")),
        latest_version=max(latest, default=None),
        aliases=_aliases(found),
        tags=pairs(found.get("tags", ())),
    )


def _aliases(model: Mapping[str, Any]) -> dict[str, int]:
    return {each["alias"]: int(each["version"]) for each in model.get("aliases", ())}


def _version(found: Mapping[str, Any], aliases: Mapping[int, list[str]]) -> AttachedVersion:
    number = int(found["version"])
    return AttachedVersion(
        model_name=found["name"],
        version=number,
        status=found.get("status", ""),
        stage=found.get("current_stage", ""),
        notes=found.get("description", ""),
        created_at=moment_or_none(found.get("creation_timestamp")),
        updated_at=moment_or_none(found.get("last_updated_timestamp")),
        run_id=found.get("run_id") or None,
        source=found.get("source", ""),
        aliases=aliases.get(number, []),
        tags=pairs(found.get("tags", ())),
    )
