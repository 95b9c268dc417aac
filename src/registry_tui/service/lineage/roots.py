"""Finds the root of a lineage by the rules that show the thing: people who may not read it are refused there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.lineage import LineageNode, NodeKind
from registry_tui.service.access import api_keys
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.deployments import finding
from registry_tui.service.errors import Missing
from registry_tui.service.lineage.asker import Asker, node
from registry_tui.service.lineage.of_deployments import deployment_node
from registry_tui.service.lineage.of_models import model_node, version_node
from registry_tui.service.lineage.of_origins import commit_node, logged_node
from registry_tui.service.lineage.of_runs import run_root
from registry_tui.service.models.registered import find_model
from registry_tui.service.models.versions import find_version
from registry_tui.service.places import environments
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.tracking.artifacts import get_logged_model
from registry_tui.service.tracking.experiments import get_experiment
from registry_tui.service.tracking.project import enter_project
from registry_tui.service.tracking.runs import fetch_run


def find(asker: Asker, kind: str, named: Mapping[str, str]) -> LineageNode:
    """The node of a thing, named by its names or IDs. Raises Missing, InvalidInput, NotPermitted, PartUnavailable."""
    return _FINDERS[NodeKind(kind)](asker.service, asker.principal, named)


def _environment(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    found = environments.get_environment(service, principal, named["environment"])
    return node(NodeKind.ENVIRONMENT, found.name, found.id)


def _registry(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_registry(service, named["registry"], reader=principal)
    return node(NodeKind.REGISTRY, place.name, place.id)


def _project(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_project(service, principal, named["project"])
    return node(NodeKind.PROJECT, place.name, place.id)


def _experiment(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_project(service, principal, named["project"])
    found = get_experiment(service, principal, place.id, named["experiment"])
    detail = "" if found.lifecycle_stage == "active" else "deleted; it can be restored"
    return node(NodeKind.EXPERIMENT, found.name, place.id, found.id, detail=detail)


def _run(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_project(service, principal, named["project"])
    return run_root(place.id, fetch_run(service, place, named["run"]))


def _dataset(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_project(service, principal, named["project"])
    return node(NodeKind.DATASET, named["name"], place.id, named["name"], named["digest"], detail=named["digest"])


def _commit(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_project(service, principal, named["project"])
    return commit_node(place.id, named["commit"], "")


def _logged_model(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_project(service, principal, named["project"])
    found, _ = get_logged_model(service, place, named["logged_model"])
    return logged_node(place.id, found.id, found.name, "")


def _model(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_registry(service, named["registry"], reader=principal)
    return model_node(find_model(service, principal, place, named["model"]), "")


def _version(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_registry(service, named["registry"], reader=principal)
    model = find_model(service, principal, place, named["model"])
    return version_node(model, find_version(service, place, model, int(named["version"])), "")


def _alias(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    place = enter_registry(service, named["registry"], reader=principal)
    model = find_model(service, principal, place, named["model"])
    if named["alias"] not in model.aliases:
        known = ", ".join(sorted(model.aliases)) or "none"
        raise Missing(f"Model {model.name} has no alias {named['alias']!r}", action=f"It has: {known}")
    return node(NodeKind.ALIAS, named["alias"], place.id, model.name, named["alias"], detail=f"of {model.name}")


def _deployment(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    with service.database.reading() as session:
        row = finding.find(session, principal, named["deployment"])
        permissions.check_project(session, principal, row.project, Action.DEPLOYMENT_READ)
    return deployment_node(row, "", f"{row.model_name} v{row.version}")


def _key(service: Service, principal: Principal, named: Mapping[str, str]) -> LineageNode:
    key = api_keys.get_key(service, principal, named["key"])
    return node(NodeKind.KEY, key.name, key.id, detail=f"of {key.owner}")


_FINDERS: Mapping[NodeKind, Callable[[Service, Principal, Mapping[str, str]], LineageNode]] = {
    NodeKind.ENVIRONMENT: _environment,
    NodeKind.REGISTRY: _registry,
    NodeKind.PROJECT: _project,
    NodeKind.EXPERIMENT: _experiment,
    NodeKind.RUN: _run,
    NodeKind.DATASET: _dataset,
    NodeKind.COMMIT: _commit,
    NodeKind.LOGGED_MODEL: _logged_model,
    NodeKind.MODEL: _model,
    NodeKind.VERSION: _version,
    NodeKind.ALIAS: _alias,
    NodeKind.DEPLOYMENT: _deployment,
    NodeKind.KEY: _key,
}
