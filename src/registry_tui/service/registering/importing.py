"""Importing: registered models of an attached server become models here, with their versions under their numbers."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from registry_tui.contracts.permissions import Action
from registry_tui.mlflow_plugin import spellings
from registry_tui.schemas import mlflow_tags, names
from registry_tui.schemas.attached import AttachedImport
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.models import Origin, RegisterModel, Visibility
from registry_tui.schemas.operations import Accepted, WorkflowKind
from registry_tui.schemas.places import Project
from registry_tui.service.adapters.attached_mlflow import AttachedMlflow, ServerFault
from registry_tui.service.adapters.mlflow_answers import as_mlflow_does, pages
from registry_tui.service.adapters.mlflow_words import pairs, quoted, unquotable
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import InvalidInput, Missing, PartUnavailable, WrongState
from registry_tui.service.places import projects
from registry_tui.service.registering import attached
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.tracking.project import ProjectPlace, enter_project, registry_id_of
from registry_tui.service.tracking.server import client_of

T = TypeVar("T")

#: Called regularly in long work; raises to end it.
Look = Callable[[], object]
#: The tag with the former stage of a version; stages have become aliases and tags in MLflow too.
STAGE = "mlflow_stage"
_PROMPT = "mlflow.prompt."
_PAGE = 100
#: How many versions may point at each other as their source.
_COPIES = 10
#: Seconds before a failed request to a server is retried.
_PAUSE = 1.0
_LOGGED_MODEL = re.compile(r"/models/(m-[0-9a-f]{32})/artifacts/?$")
_RUN = re.compile(r"/([0-9a-f]{32})/artifacts(?:/(.*))?$")


def import_models(service: Service, principal: Principal, project: str, request: AttachedImport) -> Accepted[Project]:
    """Begins to import registered models of the server that a project shows: those that are named, or all.

    Raises Missing, also for a named model; NotPermitted, InvalidInput for another registry, WrongState for a project
    that shows no server or is not synchronized, and while another import is under way; PartUnavailable.
    """
    place = enter_project(service, principal, project, Action.MODEL_REGISTER)
    client = client_of(service, place)
    if client is None:
        raise WrongState(
            f"Project {place.name} shows no MLflow server elsewhere, so there is nothing to import",
            action="`registry-tui attach NAME URL` shows one",
        )
    registry_id = registry_id_of(service, place)
    if registry_id is None:
        raise WrongState(
            f"Project {place.name} cannot register models: its workspace is not synchronized with a Model Registry",
            action="`registry-tui registries list` shows them; then `registry-tui registries synchronize NAME`",
        )
    registry = enter_registry(service, registry_id, reader=principal)
    if request.registry not in (None, registry.id, registry.name):
        message = f"is not {registry.name}, which the workspace of {place.name} is synchronized with"
        raise InvalidInput(
            f"The Model Registry {request.registry!r} {message}",
            errors=[FieldProblem(field="registry", message=message)],
        )
    for name in request.models:
        get_model(client, name)
    workflow = service.workflows.start(
        principal,
        WorkflowKind.IMPORT,
        resource=Resource("project", place.id, place.name, registry.id),
        arguments={"models": list(dict.fromkeys(request.models))},
    )
    return Accepted(resource=projects.get_project(service, principal, place.id), workflow=workflow)


# -- reading there -------------------------------------------------------------------------------------------


class Unreadable(WrongState):
    """A server fails repeatedly for one model or version, and works otherwise."""


def asked_again(client: AttachedMlflow, ask: Callable[[], T]) -> T:
    """Returns the result of `ask`, which is retried once after a failure of the server.

    Raises Unreadable when the server fails again but still answers other requests; PartUnavailable when it answers
    none.
    """
    with suppress(ServerFault):
        return ask()
    time.sleep(_PAUSE)
    try:
        return ask()
    except ServerFault as fault:
        try:
            client.call("POST", "experiments/search", json={"max_results": 1})
        except ServerFault as all_of_it:
            # The server is down altogether.
            raise PartUnavailable(all_of_it.detail, action=all_of_it.action) from fault
        raise Unreadable(fault.detail, action="Look into that server's log, then import it again") from fault


def get_model(client: AttachedMlflow, name: str) -> Mapping[str, Any]:
    """MLflow's `RegisteredModel` of a name. Raises Missing."""
    try:
        answer = client.call("GET", "registered-models/get", params={"name": name})
    except Missing as error:
        raise Missing(f"MLflow at {client.address.url} has no registered model {name!r}") from error
    found: Mapping[str, Any] = answer["registered_model"]
    with as_mlflow_does(client.address.url):
        # The fields that are read later.
        pairs(found.get("tags", ()))
        for each in found.get("aliases", ()):
            _ = str(each["alias"]), int(each["version"])
    return found


def model_names(client: AttachedMlflow, look: Look) -> list[str]:
    """The names of all its registered models that its user may see; `look` is called before each page."""
    params = {"max_results": _PAGE, "order_by": ["name ASC"]}
    found = _pages(client, "registered-models/search", "registered_models", params, look)
    return [each["name"] for each in found]


def versions_of(client: AttachedMlflow, name: str, look: Look) -> list[Mapping[str, Any]]:
    """MLflow's `ModelVersion` objects of a model, the oldest first; `look` is called before each page."""
    # For a name that no filter can express, the filter matches others too.
    filter_ = f"name {'LIKE' if unquotable(name) else '='} {quoted(name)}"
    params = {"filter": filter_, "max_results": _PAGE}
    found = _pages(client, "model-versions/search", "model_versions", params, look)
    return sorted((each for each in found if each["name"] == name), key=lambda each: _number(each) or 0)


def number_of(version: Mapping[str, Any]) -> int:
    """A version's number. Raises InvalidInput for one that it cannot have here."""
    number = _number(version)
    if number is None:
        shown = str(version.get("version"))[:40]
        raise InvalidInput(f"its number {shown!r} is not one from 1 to {mlflow_tags.MOST_NUMBER:,}")
    return number


def _number(version: Mapping[str, Any]) -> int | None:
    text = str(version.get("version"))
    if not re.fullmatch(r"[0-9]{1,10}", text):
        return None
    return int(text) if 1 <= int(text) <= mlflow_tags.MOST_NUMBER else None


def source_of(
    service: Service, place: ProjectPlace, client: AttachedMlflow, version: Mapping[str, Any], copies: int = _COPIES
) -> tuple[str, Origin] | None:
    """The place of a version's model there, as a source here, with its origin; None when its API does not reach it.

    Raises Missing, NotPermitted, PartUnavailable.
    """
    source = str(version.get("source") or "").rstrip("/")
    if source.startswith("models:/") and "/" in (named := source.removeprefix("models:/").strip("/")):
        name, _, number = named.rpartition("/")
        if not copies:
            return None
        answer = client.call("GET", "model-versions/get", params={"name": name, "version": number})
        return source_of(service, place, client, answer["model_version"], copies - 1)
    wanted = _wanted(service, place, version, source)
    found = None if wanted is None else attached.find_source(service, place, wanted)
    if found is None:
        return None
    model, run_id = found
    return model.uri, attached.origin_of(service, place, model, run_id)


def _wanted(service: Service, place: ProjectPlace, version: Mapping[str, Any], source: str) -> RegisterModel | None:
    """The model that a source means, as it would be registered; `source` is the server's own spelling of a place."""
    name = str(version["name"])
    logged = version.get("model_id") or (source.removeprefix("models:/") if source.startswith("models:/") else None)
    if logged is None and (match := _LOGGED_MODEL.search(source)):
        logged = match[1]
    if logged:
        return RegisterModel(name=name, logged_model_id=logged)
    if source.startswith("runs:"):
        run_id, path = spellings.parse_runs_source(source)
        return RegisterModel(name=name, run_id=run_id, artifact_path=path)
    if (match := _RUN.search(source)) is None:
        return None
    return RegisterModel(name=name, run_id=match[1], artifact_path=match[2] or "")


def _pages(
    client: AttachedMlflow, path: str, items: str, params: Mapping[str, Any], look: Look
) -> Iterator[Mapping[str, Any]]:
    def ask(token: str) -> Mapping[str, Any]:
        look()
        return client.call("GET", path, params={**params, "page_token": token})

    for answer in pages(client.address.url, ask):
        yield from answer.get(items, ())


# -- conversion to things here -------------------------------------------------------------------------------------


def problem_of(model: Mapping[str, Any]) -> str | None:
    """Why a model of another server cannot be one here, or None."""
    if any(key.startswith(_PROMPT) for key in pairs(model.get("tags", ()))):
        return "it is a prompt"
    problem = names.model_name_problem(model["name"])
    return None if problem is None else f"its name {problem}"


def model_tags(
    principal: Principal, url: str, model: Mapping[str, Any], versions: Iterable[Mapping[str, Any]]
) -> dict[str, str]:
    """The tags of a new model that is imported with some versions."""
    ours = {
        mlflow_tags.NUMBER: str(max((_number(each) or 0 for each in versions), default=0)),
        mlflow_tags.OWNER: principal.name,
        mlflow_tags.VISIBILITY: Visibility.PRIVATE.value,
        mlflow_tags.IMPORTED: url,
    }
    return {**_own(model), **ours}


def version_tags(principal: Principal, url: str, version: Mapping[str, Any], origin: Origin) -> dict[str, str]:
    """The tags of a new version that is imported."""
    stage = version.get("current_stage") or "None"
    ours = {
        mlflow_tags.CREATOR: principal.name,
        mlflow_tags.ORIGIN: origin.model_dump_json(),
        mlflow_tags.REQUEST: mark(url, version["name"], int(version["version"])),
        mlflow_tags.NUMBER: str(int(version["version"])),
    }
    return {**({} if stage == "None" else {STAGE: stage}), **_own(version), **ours}


def mark(url: str, name: str, number: int) -> str:
    """The mark on a version of the one that it was imported from, so that it is imported once."""
    return f"import-{hashlib.sha256(f'{url} {number} {name}'.encode()).hexdigest()[:40]}"


def imported_from(service: Service, workspace: str, name: str) -> str | None:
    """The server that a model here was imported from; empty if not imported, None if the model is missing."""
    with suppress(Missing):
        found = service.mlflow.call("GET", "registered-models/get", workspace=workspace, params={"name": name})
        return pairs(found["registered_model"].get("tags", ())).get(mlflow_tags.IMPORTED, "")
    return None


def _own(found: Mapping[str, Any]) -> dict[str, str]:
    """The tags that people gave there; a server that is one of ours has others too."""
    reserved = (mlflow_tags.PREFIX, _PROMPT)
    return {key: value for key, value in pairs(found.get("tags", ())).items() if not key.startswith(reserved)}
