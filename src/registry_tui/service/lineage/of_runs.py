"""Edges around projects: environments, experiments, runs, and the data sets that runs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.lineage import LineageNode, NodeKind
from registry_tui.schemas.tracking import RegisteredAs
from registry_tui.service.adapters.mlflow_words import fields_of_run, offset_token, quoted
from registry_tui.service.adapters.run_origins import GIT_COMMIT
from registry_tui.service.core import permissions
from registry_tui.service.database.tables import EnvironmentRow, ProjectRow, RegistryRow, WorkspaceRow
from registry_tui.service.lineage import run_versions
from registry_tui.service.lineage.asker import Asker, from_to, hidden, node, parts
from registry_tui.service.tracking.project import ProjectPlace
from registry_tui.service.tracking.server import server_of

#: Experiments of a project that are looked through for runs.
EXPERIMENTS = 1000


def run_node(project_id: str, run: Mapping[str, Any], relation: str) -> LineageNode:
    """A run from the fields of `schemas.tracking.Run`; a deleted one is marked so."""
    status = str(run["status"]).lower()
    detail = status if run["lifecycle_stage"] == "active" else f"{status}, deleted; it can be restored"
    return node(NodeKind.RUN, run["name"] or run["id"], project_id, run["id"], relation=relation, detail=detail)


def experiment_node(project_id: str, found: Mapping[str, Any], relation: str) -> LineageNode:
    deleted = found.get("lifecycle_stage") == "deleted"
    name, detail = found.get("name", ""), "deleted; it can be restored" if deleted else ""
    return node(NodeKind.EXPERIMENT, name, project_id, found["experiment_id"], relation=relation, detail=detail)


# -- environments and projects -----------------------------------------------------------------------------


def below_environment(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The registry, then the projects that the person works in."""
    found = {}
    with asker.service.database.reading() as session:
        seen = permissions.permitted_environments(session, asker.principal, Action.ENVIRONMENT_SEE)
        for each in nodes:
            id_ = parts(each)["environment"]
            if seen is not None and id_ not in seen:
                continue
            registries = session.scalars(select(RegistryRow).where(RegistryRow.environment_id == id_)).all()
            below = [node(NodeKind.REGISTRY, row.name, row.id, relation="has registry") for row in registries]
            projects = session.scalars(
                select(ProjectRow)
                .join(WorkspaceRow)
                .where(WorkspaceRow.environment_id == id_, ProjectRow.state == "ready")
                .order_by(ProjectRow.name, ProjectRow.id)
            ).all()
            own = [row for row in projects if asker.works_in(row.id)]
            below += [node(NodeKind.PROJECT, row.name, row.id, relation="has project") for row in own]
            below += hidden(len(projects) - len(own), "project", "has")
            found[each.ref] = from_to(below, start, limit)
    return found


def environment_of_project(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    with asker.service.database.reading() as session:
        for each in nodes:
            project = asker.project(parts(each)["project"])
            row = None if project is None else session.get(ProjectRow, project.id)
            workspace = None if row is None else session.get(WorkspaceRow, row.workspace_id)
            above = None if workspace is None else session.get(EnvironmentRow, workspace.environment_id)
            if above is not None:
                found[each.ref] = from_to(
                    [node(NodeKind.ENVIRONMENT, above.name, above.id, relation="of environment")], start, limit
                )
    return found


def experiments_of_project(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    for each in nodes:
        place = asker.project(parts(each)["project"])
        if place is not None:
            listed = experiments_in(asker, place, start, limit + 1, "ACTIVE_ONLY")
            found[each.ref] = [experiment_node(place.id, one, "has experiment") for one in listed]
    return found


def experiments_in(asker: Asker, place: ProjectPlace, start: int, most: int, view: str) -> Sequence[Mapping[str, Any]]:
    body = {
        "max_results": min(most, EXPERIMENTS),
        "view_type": view,
        "order_by": ["name ASC"],
        "page_token": offset_token(start) if start else "",
    }

    def read() -> Sequence[Mapping[str, Any]]:
        answer = server_of(asker.service, place).call("POST", "experiments/search", json=body)
        return list(answer.get("experiments", ()))

    return asker.once(("experiments", place.id, start, most, view), read)


# -- experiments, runs and data sets ---------------------------------------------------------------------------


def project_of_experiment(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    for each in nodes:
        place = asker.project(parts(each)["project"])
        if place is not None:
            found[each.ref] = from_to(
                [node(NodeKind.PROJECT, place.name, place.id, relation="in project")], start, limit
            )
    return found


def runs_of_experiment(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    for each in nodes:
        named = parts(each)
        place = asker.project(named["project"])
        if place is not None:
            asked = search_body([named["experiment"]], "", start, limit + 1)
            listed = server_of(asker.service, place).search_runs(asked).fields
            found[each.ref] = [run_node(place.id, run, "has run") for run in listed]
    return found


def runs_of_dataset(asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int) -> dict[str, list[LineageNode]]:
    """The runs of the project that read it, as MLflow's server finds them; those of deleted experiments too."""
    found = {}
    for each in nodes:
        named = parts(each)
        place = asker.project(named["project"])
        if place is None:
            continue
        filter_ = f"dataset.name = {quoted(named['name'])}"
        if named["digest"]:
            filter_ += f" AND dataset.digest = {quoted(named['digest'])}"
        found[each.ref] = _found(asker, place, filter_, start, limit, "read by run")
    return found


def runs_of_commit(asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int) -> dict[str, list[LineageNode]]:
    """The runs of the project that executed the code of a git commit, as their clients noted it."""
    found = {}
    for each in nodes:
        named = parts(each)
        place = asker.project(named["project"])
        if place is not None:
            filter_ = f"tags.`{GIT_COMMIT}` = {quoted(named['commit'])}"
            found[each.ref] = _found(asker, place, filter_, start, limit, "executed by run")
    return found


def _found(asker: Asker, place: ProjectPlace, filter_: str, start: int, limit: int, relation: str) -> list[LineageNode]:
    """The runs of a project that a filter finds, also in deleted experiments."""
    experiments = [one["experiment_id"] for one in experiments_in(asker, place, 0, EXPERIMENTS, "ALL")]
    if not experiments:
        return []
    asked = {**search_body(experiments, filter_, start, limit + 1), "run_view_type": "ALL"}
    return [run_node(place.id, run, relation) for run in server_of(asker.service, place).search_runs(asked).fields]


def search_body(experiments: Sequence[str], filter_: str, start: int, most: int) -> dict[str, Any]:
    return {
        "experiment_ids": list(experiments),
        "filter": filter_,
        "order_by": ["attributes.start_time DESC"],
        "max_results": most,
        "run_view_type": "ACTIVE_ONLY",
        "page_token": offset_token(start) if start else "",
    }


def versions_of_runs(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The versions registered from runs, newest first, which the project's people see; one query a project."""
    found: dict[str, list[LineageNode]] = {}
    by_project: dict[str, dict[str, LineageNode]] = {}
    for each in nodes:
        named = parts(each)
        by_project.setdefault(named["project"], {})[named["run"]] = each
    for project, wanted in by_project.items():
        place = asker.project(project)
        if place is None:
            continue
        seen = run_versions.registered_in(asker.service, asker.principal, place, list(wanted))
        for run_id, each in wanted.items():
            own = seen.get(run_id, [])
            below = [registered_node(one) for one in own]
            found[each.ref] = from_to(below, start, limit)
    return found


def registered_node(found: RegisteredAs) -> LineageNode:
    """A version that was registered from a run."""
    return node(
        NodeKind.VERSION,
        f"{found.model_name} v{found.version}",
        found.registry_id,
        found.model_name,
        str(found.version),
        relation="registered as",
        detail="" if found.status == "READY" else found.status.lower().replace("_", " "),
    )


def run_root(project_id: str, run: Mapping[str, Any]) -> LineageNode:
    """The node of a run from MLflow's `Run` object."""
    return run_node(project_id, fields_of_run(run), "")
