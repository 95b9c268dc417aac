"""Everything that a person may see, by name: in the service's database and in MLflow's, the best matches first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from registry_tui.contracts.matching import ESCAPE, like_patterns, match
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.search import DEFAULT_LIMIT, Found, FoundKind, SearchAnswer
from registry_tui.service.adapters.mlflow_words import moment_or_none
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.database.tables import (
    DeploymentRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    WorkspaceRow,
)
from registry_tui.service.errors import PartUnavailable

#: Our route in MLflow's server (`mlflow_plugin/finding.py`), and its names of kinds.
_PATH = "registry-tui/find"
_IN_MLFLOW = {FoundKind.MODEL: "models", FoundKind.EXPERIMENT: "experiments", FoundKind.RUN: "runs"}
#: Candidates requested from a database for each wanted result: it ranks them more coarsely than we do.
_CANDIDATES = 4
#: An ID is found by its first letters, from so many on.
_ID_LETTERS = 6
_ORDER = {kind: place for place, kind in enumerate(FoundKind)}


@dataclass(frozen=True)
class _Project:
    id: str
    name: str
    workspace: str
    environment: str


@dataclass(frozen=True)
class _Seen:
    """The places that a person may see."""

    #: By MLflow workspace.
    projects: dict[str, _Project]
    registries: dict[str, tuple[str, str]]
    #: IDs; None means all.
    environments: frozenset[str] | None


def search(
    service: Service,
    principal: Principal,
    text: str,
    *,
    kinds: Sequence[FoundKind] = (),
    project: str | None = None,
    registry: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> SearchAnswer:
    """Things whose name holds the letters of `text` in order, or whose ID begins with it; the best matches first.

    `kinds` are all by default, `limit` is for each kind. `project` leaves only its own deployments, experiments and
    runs, `registry` only its models. Without text the newest of each kind are found. While MLflow's server does not
    respond, the other kinds are still found. Raises Missing, NotPermitted, InvalidInput for a project or registry.
    """
    permissions.require(principal, Action.STATUS_SEE)
    text = text.strip()
    wanted = set(kinds or FoundKind)
    with service.database.reading() as session:
        seen = _seen(session, principal, project, registry)
        found = [*_places(session, text, wanted, seen)]
    in_mlflow = [kind for kind in _IN_MLFLOW if kind in wanted]
    not_searched: list[FoundKind] = []
    try:
        found += _from_mlflow(service, principal, text, in_mlflow, seen, limit)
    except PartUnavailable:
        not_searched = in_mlflow
    return _ranked(text, found, limit, not_searched)


def _ranked(text: str, found: Iterable[Found], limit: int, not_searched: list[FoundKind]) -> SearchAnswer:
    ranked = []
    for index, each in enumerate(found):
        begins = len(text) >= _ID_LETTERS and each.id.startswith(text.lower())
        fits = (0, 0, ()) if begins else match(text, each.name)
        if fits is not None:
            ranked.append((fits[:2], _ORDER[each.kind], index, each))
    ranked.sort(key=lambda entry: entry[:3])
    counts = dict.fromkeys(FoundKind, 0)
    items = []
    for _, _, _, each in ranked:
        counts[each.kind] += 1
        if counts[each.kind] <= limit:
            items.append(each)
    return SearchAnswer(
        items=items, more=[kind for kind in FoundKind if counts[kind] > limit], not_searched=not_searched
    )


def _seen(session: Session, principal: Principal, project: str | None, registry: str | None) -> _Seen:
    query = (
        select(ProjectRow.id, ProjectRow.name, ProjectRow.mlflow_workspace, EnvironmentRow.name)
        .join(WorkspaceRow, WorkspaceRow.id == ProjectRow.workspace_id)
        .join(EnvironmentRow, EnvironmentRow.id == WorkspaceRow.environment_id)
        .where(ProjectRow.state == "ready")
        .order_by(ProjectRow.created_at.desc())
    )
    if project is not None:
        row = permissions.find_project(session, principal, project)
        permissions.check_project(session, principal, row, Action.PROJECT_READ)
        query = query.where(ProjectRow.id == row.id)
    elif not principal.administrator:
        query = query.where(ProjectRow.id.in_(permissions.own_projects(principal)))
    registries = select(RegistryRow.mlflow_workspace, RegistryRow.id, RegistryRow.name)
    readable = permissions.permitted_environments(session, principal, Action.MODEL_READ)
    if readable is not None:
        registries = registries.where(RegistryRow.environment_id.in_(readable))
    seen = permissions.permitted_environments(session, principal, Action.ENVIRONMENT_SEE)
    if registry is not None:
        registries = registries.where(RegistryRow.id == resolve_registry(session, registry, seen).id)
    return _Seen(
        {row[2]: _Project(*row) for row in session.execute(query)},
        {workspace: (id_, name) for workspace, id_, name in session.execute(registries)},
        seen,
    )


def _places(session: Session, text: str, wanted: set[FoundKind], seen: _Seen) -> Iterator[Found]:
    """The results from the service's own database."""
    if FoundKind.PROJECT in wanted:
        for each in seen.projects.values():
            yield Found(
                kind=FoundKind.PROJECT,
                id=each.id,
                name=each.name,
                project_id=each.id,
                project_name=each.name,
                environment_name=each.environment,
            )
    if FoundKind.DEPLOYMENT in wanted:
        projects = {each.id: each for each in seen.projects.values()}
        row = DeploymentRow
        deployments = select(row.id, row.name, row.project_id, row.updated_at).order_by(row.updated_at.desc())
        for id_, name, project_id, updated in session.execute(deployments.where(_fits(text, row.name, row.id))):
            if (project := projects.get(project_id)) is not None:
                yield Found(
                    kind=FoundKind.DEPLOYMENT,
                    id=id_,
                    name=name,
                    project_id=project.id,
                    project_name=project.name,
                    environment_name=project.environment,
                    updated_at=updated,
                )
    if FoundKind.REGISTRY in wanted:
        registries = select(RegistryRow.id, RegistryRow.name, EnvironmentRow.name, RegistryRow.updated_at)
        registries = registries.join(EnvironmentRow, EnvironmentRow.id == RegistryRow.environment_id)
        registries = registries.order_by(RegistryRow.updated_at.desc())
        if seen.environments is not None:
            registries = registries.where(EnvironmentRow.id.in_(seen.environments))
        for id_, name, environment, updated in session.execute(registries):
            yield Found(
                kind=FoundKind.REGISTRY,
                id=id_,
                name=name,
                registry_id=id_,
                registry_name=name,
                environment_name=environment,
                updated_at=updated,
            )
    if FoundKind.ENVIRONMENT in wanted:
        environments = select(EnvironmentRow.id, EnvironmentRow.name, EnvironmentRow.created_at)
        environments = environments.where(EnvironmentRow.state == "ready").order_by(EnvironmentRow.created_at.desc())
        if seen.environments is not None:
            environments = environments.where(EnvironmentRow.id.in_(seen.environments))
        for id_, name, created in session.execute(environments):
            yield Found(kind=FoundKind.ENVIRONMENT, id=id_, name=name, environment_name=name, updated_at=created)


def _fits(text: str, name: InstrumentedAttribute[str], id_: InstrumentedAttribute[str]) -> Any:
    """A condition for candidates; `_ranked` checks them again."""
    return name.ilike(like_patterns(text).spread, escape=ESCAPE) | id_.startswith(text.lower(), autoescape=True)


def _from_mlflow(
    service: Service, principal: Principal, text: str, kinds: Sequence[FoundKind], seen: _Seen, limit: int
) -> Iterator[Found]:
    """The results from MLflow's database, in the workspaces that the person may see. Raises PartUnavailable."""
    workspaces = {
        _IN_MLFLOW[kind]: list(seen.registries if kind is FoundKind.MODEL else seen.projects) for kind in kinds
    }
    if not any(workspaces.values()):
        return
    body = {"text": text, "limit": _CANDIDATES * limit + 1, "workspaces": workspaces}
    answer = service.mlflow.call("POST", _PATH, json=body, seen_by=principal.sight)
    for kind in kinds:
        for each in answer[_IN_MLFLOW[kind]]:
            places: dict[str, Any] = {}
            if kind is FoundKind.MODEL:
                places["registry_id"], places["registry_name"] = seen.registries[each["workspace"]]
            else:
                project = seen.projects[each["workspace"]]
                places.update(project_id=project.id, project_name=project.name, environment_name=project.environment)
                run = kind is FoundKind.RUN
                places["experiment_id"] = str(each["experiment_id" if run else "id"])
                places["experiment_name"] = each["experiment_name" if run else "name"]
            yield Found(
                kind=kind,
                id=str(each["id"]),
                name=each["name"] or "",
                updated_at=moment_or_none(each["updated"]),
                **places,
            )
