"""Edges around projects: environments, experiments, runs, and the data sets that runs read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import select

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.lineage import LineageNode, NodeKind
from registry_tui.service.adapters.mlflow_words import fields_of_run, offset_token, quoted
from registry_tui.service.core import permissions
from registry_tui.service.database.tables import EnvironmentRow, ProjectRow, RegistryRow, WorkspaceRow
from registry_tui.service.errors import InvalidInput, Missing
from registry_tui.service.lineage import run_versions
from registry_tui.service.lineage.asker import Asker, from_to, hidden, node, parts
from registry_tui.service.tracking.project import ProjectPlace
from registry_tui.service.tracking.server import server_of

#: Experiments of a project that are looked through for runs, and runs that one question names.
_EXPERIMENTS, _RUNS = 1000, 500


def run_node(project_id: str, run: Mapping[str, Any], relation: str) -> LineageNode:
    """A run from the fields of `schemas.tracking.Run`; one that is deleted says so and is still there."""
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
            listed = _experiments(asker, place, start, limit + 1, "ACTIVE_ONLY")
            found[each.ref] = [experiment_node(place.id, one, "has experiment") for one in listed]
    return found


def _experiments(asker: Asker, place: ProjectPlace, start: int, most: int, view: str) -> Sequence[Mapping[str, Any]]:
    body = {
        "max_results": min(most, _EXPERIMENTS),
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
            asked = _search([named["experiment"]], "", start, limit + 1)
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
        experiments = [one["experiment_id"] for one in _experiments(asker, place, 0, _EXPERIMENTS, "ALL")]
        filter_ = f"dataset.name = {quoted(named['name'])}"
        if named["digest"]:
            filter_ += f" AND dataset.digest = {quoted(named['digest'])}"
        if experiments:
            asked = {**_search(experiments, filter_, start, limit + 1), "run_view_type": "ALL"}
            listed = server_of(asker.service, place).search_runs(asked).fields
            found[each.ref] = [run_node(place.id, run, "read by run") for run in listed]
    return found


def _search(experiments: Sequence[str], filter_: str, start: int, most: int) -> dict[str, Any]:
    return {
        "experiment_ids": list(experiments),
        "filter": filter_,
        "order_by": ["attributes.start_time DESC"],
        "max_results": most,
        "run_view_type": "ACTIVE_ONLY",
        "page_token": offset_token(start) if start else "",
    }


def above_runs(asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int) -> dict[str, list[LineageNode]]:
    """The experiment and the data sets of runs: some questions a project, however many runs."""
    found: dict[str, list[LineageNode]] = {}
    by_project: dict[str, dict[str, LineageNode]] = {}
    for each in nodes:
        named = parts(each)
        by_project.setdefault(named["project"], {})[named["run"]] = each
    for project, wanted in by_project.items():
        place = asker.project(project)
        if place is None:
            continue
        experiments = {one["experiment_id"]: one for one in _experiments(asker, place, 0, _EXPERIMENTS, "ALL")}
        for run in _runs(asker, place, list(wanted), list(experiments)):
            above = wanted[run["info"]["run_id"]]
            found[above.ref] = from_to(_above(place, run, experiments), start, limit)
        for run_id, each in wanted.items():
            if each.ref not in found:
                purged = node(NodeKind.RUN, each.name, relation="was run", detail=f"{run_id}, purged", gone=True)
                found[each.ref] = from_to([purged], start, limit)
    return found


def _above(
    place: ProjectPlace, run: Mapping[str, Any], experiments: Mapping[str, Mapping[str, Any]]
) -> list[LineageNode]:
    experiment = experiments.get(run["info"].get("experiment_id", ""))
    above = [] if experiment is None else [experiment_node(place.id, experiment, "in experiment")]
    for entry in run.get("inputs", {}).get("dataset_inputs", ()):
        dataset = entry.get("dataset", {})
        name, digest = dataset.get("name", ""), dataset.get("digest", "")
        detail = " ".join(word for word in (digest, dataset.get("source_type", "")) if word)
        if name:
            above.append(node(NodeKind.DATASET, name, place.id, name, digest, relation="read data set", detail=detail))
    return above


def _runs(
    asker: Asker, place: ProjectPlace, run_ids: Sequence[str], experiments: Sequence[str]
) -> list[Mapping[str, Any]]:
    """MLflow's `Run` objects, with data sets; also of deleted runs, without those that were purged."""
    server, found = server_of(asker.service, place), []
    if len(run_ids) == 1:
        with suppress(Missing, InvalidInput):
            found.append(server.call("GET", "runs/get", params={"run_id": run_ids[0]})["run"])
        return found
    for first in range(0, len(run_ids), _RUNS):
        part = run_ids[first : first + _RUNS]
        filter_ = f"attributes.run_id IN ({', '.join(quoted(each) for each in part)})"
        body = {**_search(experiments, filter_, 0, _RUNS), "run_view_type": "ALL"}
        found += server.call("POST", "runs/search", json=body).get("runs", ())
    return found


def looked_up(asker: Asker, found: dict[str, list[LineageNode]]) -> dict[str, list[LineageNode]]:
    """The same nodes, of which runs that were deleted or purged say so: some questions a project, however many runs."""
    by_project: dict[str, set[str]] = {}
    for node_ in (each for nodes in found.values() for each in nodes if each.kind is NodeKind.RUN and each.ref):
        by_project.setdefault(parts(node_)["project"], set()).add(parts(node_)["run"])
    stages: dict[tuple[str, str], str] = {}
    for project, run_ids in by_project.items():
        place = asker.project(project)
        if place is None or place.attached is not None:  # another server, which is asked when its run is opened
            continue
        experiments = [one["experiment_id"] for one in _experiments(asker, place, 0, _EXPERIMENTS, "ALL")]
        wanted = sorted(run_ids)
        stages |= {(project, run_id): "purged" for run_id in wanted}
        for first in range(0, len(wanted), _EXPERIMENTS):
            part = wanted[first : first + _EXPERIMENTS]
            filter_ = f"attributes.run_id IN ({', '.join(quoted(each) for each in part)})"
            asked = {**_search(experiments, filter_, 0, len(part)), "run_view_type": "ALL"}
            listed = server_of(asker.service, place).search_runs(asked).fields
            stages |= {(project, run["id"]): run["lifecycle_stage"] for run in listed}
    return {ref: [_with_stage(each, stages) for each in nodes] for ref, nodes in found.items()}


def _with_stage(each: LineageNode, stages: Mapping[tuple[str, str], str]) -> LineageNode:
    if each.kind is not NodeKind.RUN or not each.ref:
        return each
    stage = stages.get((parts(each)["project"], parts(each)["run"]), "active")
    if stage == "purged":
        return each.model_copy(update={"gone": True, "ref": ""})
    return each if stage == "active" else each.model_copy(update={"detail": f"deleted, can be restored; {each.detail}"})


def versions_of_runs(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The versions registered from runs, newest first, which the project's people see; one question a project."""
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
            below = [
                node(
                    NodeKind.VERSION,
                    f"{one.model_name} v{one.version}",
                    one.registry_id,
                    one.model_name,
                    str(one.version),
                    relation="registered as",
                    detail="" if one.status == "READY" else one.status.lower().replace("_", " "),
                )
                for one in own
            ]
            found[each.ref] = from_to(below, start, limit)
    return found


def run_root(project_id: str, run: Mapping[str, Any]) -> LineageNode:
    """The node of a run from MLflow's `Run` object."""
    return run_node(project_id, fields_of_run(run), "")
