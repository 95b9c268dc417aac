"""Renaming, tagging, annotating, deleting and restoring runs: many in one request."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.tracking import Experiment, ItemChanges, RunsChosen, RunsUpdate
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.tag_rules import check_tags
from registry_tui.service.errors import InvalidInput, WrongState
from registry_tui.service.tracking import item_changes
from registry_tui.service.tracking.changing_experiments import NOTE, fetch_experiment
from registry_tui.service.tracking.project import ProjectPlace, registry_id_of
from registry_tui.service.tracking.runs import fetch_run

#: MLflow's limit for the value of a run's tag.
_LONGEST_VALUE = 8000
#: Changes a run, which MLflow's `Run` object describes.
_Change = Callable[[dict[str, Any]], None]


def update_runs(service: Service, principal: Principal, project: str, request: RunsUpdate) -> ItemChanges:
    """Gives runs a name or a note, sets and deletes tags: the same in each.

    Raises Missing, NotPermitted, InvalidInput, PartUnavailable; the error of one run is in its entry.
    """
    place = item_changes.enter_to_change(service, principal, project, "run.update")
    _check(request)
    tags = {each.key: each.value for each in request.set_tags}
    if request.note is not None:
        tags[NOTE] = request.note
    logged = [{"key": key, "value": value} for key, value in tags.items()]

    def change(run: dict[str, Any]) -> None:
        run_id = run["info"]["run_id"]
        if _deleted(run):
            raise WrongState(f"Run {_name(run)} is deleted", action="Restore it first")
        if request.name is not None:
            body = {"run_id": run_id, "run_name": request.name}
            service.mlflow.call("POST", "runs/update", workspace=place.workspace, json=body)
        if logged:
            body = {"run_id": run_id, "tags": logged}
            service.mlflow.call("POST", "runs/log-batch", workspace=place.workspace, json=body)
        there = {each["key"] for each in run.get("data", {}).get("tags", ())}
        for key in request.delete_tags:
            if key in there:
                body = {"run_id": run_id, "key": key}
                service.mlflow.call("POST", "runs/delete-tag", workspace=place.workspace, json=body)

    return _change_each(service, principal, place, "update", request, change, _told(request))


def delete_runs(service: Service, principal: Principal, project: str, request: RunsChosen) -> ItemChanges:
    """Deletes runs, also those that versions were registered from: the versions keep their archives.

    Raises Missing, NotPermitted, PartUnavailable; the error of one run is in its entry.
    """
    place = item_changes.enter_to_change(service, principal, project, "run.delete")

    def change(run: dict[str, Any]) -> None:
        if _deleted(run):
            raise WrongState(f"Run {_name(run)} is deleted already")
        body = {"run_id": run["info"]["run_id"]}
        service.mlflow.call("POST", "runs/delete", workspace=place.workspace, json=body)

    return _change_each(service, principal, place, "delete", request, change)


def restore_runs(service: Service, principal: Principal, project: str, request: RunsChosen) -> ItemChanges:
    """Restores deleted runs.

    Raises Missing, NotPermitted, PartUnavailable; the error of one run is in its entry.
    """
    place = item_changes.enter_to_change(service, principal, project, "run.restore")

    @cache
    def experiment_of(id_: str) -> Experiment:
        return fetch_experiment(service, place, id_)

    def change(run: dict[str, Any]) -> None:
        if not _deleted(run):
            raise WrongState(f"Run {_name(run)} is not deleted")
        experiment = experiment_of(run["info"]["experiment_id"])
        if experiment.lifecycle_stage == "deleted":
            raise WrongState(
                f"The experiment of run {_name(run)}, {experiment.name}, is deleted too",
                action=f"Restore it, which restores its runs: `registry-tui experiments restore {experiment.id}`",
            )
        body = {"run_id": run["info"]["run_id"]}
        service.mlflow.call("POST", "runs/restore", workspace=place.workspace, json=body)

    return _change_each(service, principal, place, "restore", request, change)


def _change_each(
    service: Service,
    principal: Principal,
    place: ProjectPlace,
    verb: str,
    request: RunsChosen,
    change: _Change,
    detail: str = "",
) -> ItemChanges:
    resource = Resource("run", "", "", registry_id_of(service, place))

    def change_one(id_: str, event: events.Recording) -> None:
        run = fetch_run(service, place, id_)
        event.resource = Resource("run", run["info"]["run_id"], _name(run), resource.registry_id)
        event.detail = detail
        change(run)

    return item_changes.change_each(service, principal, f"run.{verb}", resource, request.run_ids, change_one)


def _deleted(run: dict[str, Any]) -> bool:
    return bool(run["info"].get("lifecycle_stage") == "deleted")


def _name(run: dict[str, Any]) -> str:
    return str(run["info"].get("run_name") or run["info"]["run_id"])


def _told(request: RunsUpdate) -> str:
    """The change as the event's detail."""
    parts = [f"name {request.name}"] if request.name is not None else []
    parts += ["note"] if request.note is not None else []
    parts += [f"tag {each.key}" for each in request.set_tags] + [f"no tag {key}" for key in request.delete_tags]
    return ", ".join(parts)


def _check(request: RunsUpdate) -> None:
    """Raises InvalidInput when nothing is to be changed, or for a name or tag that MLflow or the registry refuses."""
    if request.name is None and request.note is None and not request.set_tags and not request.delete_tags:
        raise InvalidInput("Nothing is to be changed", action="Give a name, a note, or tags")
    if request.name is not None and not request.name.strip():
        raise InvalidInput("The name is empty", errors=[FieldProblem(field="name", message="The name is empty")])
    reason = ": MLflow keeps tags under mlflow. for itself; a run's name and note have their own fields"
    check_tags(request.set_tags, request.delete_tags, "mlflow.", reason)
    for tag in request.set_tags:
        if len(tag.value) > _LONGEST_VALUE:
            problem = f"{tag.key!r} has {len(tag.value)} characters; at most {_LONGEST_VALUE} are possible"
            raise InvalidInput(f"The tag {problem}", errors=[FieldProblem(field="set_tags", message=problem)])
