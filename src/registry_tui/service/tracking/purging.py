"""Removing deleted runs for good, with their artifacts and the models that they logged."""

from __future__ import annotations

from collections.abc import Sequence

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.operations import Accepted, WorkflowKind
from registry_tui.schemas.places import Project
from registry_tui.schemas.tracking import RunPurge
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import InvalidInput
from registry_tui.service.places import projects
from registry_tui.service.tracking.project import ProjectPlace, enter_project, registry_id_of

_DAY_MILLISECONDS = 24 * 60 * 60 * 1000


def purge_runs(service: Service, principal: Principal, project: str, request: RunPurge) -> Accepted[Project]:
    """Begins to remove deleted runs of a project: those that are named, or all that were deleted long enough ago.

    Versions that were registered from them keep their archives. Raises Missing, NotPermitted, InvalidInput when a
    named run is not a deleted one, WrongState while another purge is under way.
    """
    place = enter_project(service, principal, project, Action.RUNS_PURGE)
    chosen = _chosen(service, place, request)
    workflow = service.workflows.start(
        principal,
        WorkflowKind.PURGE_RUNS,
        resource=Resource("project", place.id, place.name, registry_id_of(service, place)),
        arguments={"run_ids": list(chosen), "workspace": place.workspace},
    )
    return Accepted(resource=projects.get_project(service, principal, place.id), workflow=workflow)


def deleted_runs(service: Service, workspace: str, older_than_days: float = 0) -> list[str]:
    """IDs of the runs of an MLflow workspace that were deleted at least so many days ago. Raises PartUnavailable."""
    answer = service.mlflow.call(
        "GET",
        "registry-tui/deleted-runs",
        workspace=workspace,
        params={"older_than": round(older_than_days * _DAY_MILLISECONDS)},
    )
    return [str(each) for each in answer.get("run_ids", ())]


def _chosen(service: Service, place: ProjectPlace, request: RunPurge) -> Sequence[str]:
    deleted = deleted_runs(service, place.workspace, request.older_than_days)
    if not request.run_ids:
        return deleted
    if others := sorted(set(request.run_ids) - set(deleted)):
        raise InvalidInput(
            f"Not among the runs of project {place.name} that were deleted long enough ago: {', '.join(others[:5])}",
            action="Delete them first; `registry-tui runs list --deleted` lists those that can be removed",
        )
    return list(dict.fromkeys(request.run_ids))
