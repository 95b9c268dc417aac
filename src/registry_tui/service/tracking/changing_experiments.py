"""Making, renaming, deleting and restoring experiments; MLflow deletes and restores their runs with them."""

from __future__ import annotations

from collections.abc import Callable

from registry_tui.contracts import names
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.tracking import Experiment, ExperimentCreate, ExperimentsChosen, ExperimentUpdate, ItemChanges
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import AlreadyThere, InvalidInput, Missing, WrongState
from registry_tui.service.tracking import experiments, item_changes
from registry_tui.service.tracking.project import ProjectPlace, registry_id_of

#: The tag that MLflow shows as an experiment's or run's note.
NOTE = "mlflow.note.content"


def create_experiment(service: Service, principal: Principal, project: str, request: ExperimentCreate) -> Experiment:
    """Makes an experiment. Raises Missing, NotPermitted, InvalidInput, AlreadyThere, PartUnavailable."""
    place = item_changes.enter_to_change(service, principal, project, "experiment.create")
    with events.recording(service, principal, "experiment.create", _resource(service, place, request.name)) as event:
        _check_name(service, place, request.name)
        tags = [{"key": NOTE, "value": request.note}] if request.note else []
        made = service.mlflow.call(
            "POST", "experiments/create", workspace=place.workspace, json={"name": request.name, "tags": tags}
        )
        event.resource = _resource(service, place, made["experiment_id"], request.name)
    return fetch_experiment(service, place, made["experiment_id"])


def rename_experiment(
    service: Service, principal: Principal, project: str, experiment: str, request: ExperimentUpdate
) -> Experiment:
    """Renames an experiment. Raises Missing, NotPermitted, InvalidInput, AlreadyThere, WrongState, PartUnavailable."""
    place = item_changes.enter_to_change(service, principal, project, "experiment.rename")
    with events.recording(service, principal, "experiment.rename", _resource(service, place, experiment)) as event:
        found = experiments.get_experiment(service, principal, project, experiment)
        event.resource = _resource(service, place, found.id, found.name)
        event.detail = f"to {request.name}"
        if found.lifecycle_stage == "deleted":
            raise WrongState(f"Experiment {found.name} is deleted", action="Restore it first")
        if request.name != found.name:
            _check_name(service, place, request.name)
            body = {"experiment_id": found.id, "new_name": request.name}
            service.mlflow.call("POST", "experiments/update", workspace=place.workspace, json=body)
    return fetch_experiment(service, place, found.id)


def delete_experiments(service: Service, principal: Principal, project: str, request: ExperimentsChosen) -> ItemChanges:
    """Deletes experiments with their runs, also experiment 0, as MLflow does: no run starts there until it is restored.

    Raises Missing, NotPermitted, PartUnavailable; the error of one experiment is in its entry.
    """
    place = item_changes.enter_to_change(service, principal, project, "experiment.delete")

    def check(found: Experiment) -> None:
        if found.lifecycle_stage == "deleted":
            raise WrongState(f"Experiment {found.name} is deleted already")

    return _change(service, principal, place, "delete", request, check)


def restore_experiments(
    service: Service, principal: Principal, project: str, request: ExperimentsChosen
) -> ItemChanges:
    """Restores deleted experiments with their runs.

    Raises Missing, NotPermitted, PartUnavailable; the error of one experiment is in its entry.
    """
    place = item_changes.enter_to_change(service, principal, project, "experiment.restore")

    def check(found: Experiment) -> None:
        if found.lifecycle_stage != "deleted":
            raise WrongState(f"Experiment {found.name} is not deleted")

    return _change(service, principal, place, "restore", request, check)


def fetch_experiment(service: Service, place: ProjectPlace, experiment_id: str) -> Experiment:
    """An experiment by ID, also a deleted one. Raises Missing, PartUnavailable."""
    params = {"experiment_id": experiment_id}
    if experiment_id.isascii() and experiment_id.isdigit() and len(experiment_id) < 20:
        try:
            found = service.mlflow.call("GET", "experiments/get", workspace=place.workspace, params=params)
            return experiments.to_experiment(found["experiment"])
        except Missing:
            pass
    raise Missing(
        f"Project {place.name} has no experiment with the ID {experiment_id!r}",
        action=f"See `registry-tui experiments list --project {place.name}`, also with --deleted",
    )


def _change(
    service: Service,
    principal: Principal,
    place: ProjectPlace,
    verb: str,
    request: ExperimentsChosen,
    check: Callable[[Experiment], None],
) -> ItemChanges:
    resource = _resource(service, place, "")

    def change(id_: str, event: events.Recording) -> None:
        found = fetch_experiment(service, place, id_)
        event.resource = Resource(resource.type, found.id, found.name, resource.registry_id)
        check(found)
        body = {"experiment_id": found.id}
        service.mlflow.call("POST", f"experiments/{verb}", workspace=place.workspace, json=body)

    return item_changes.change_each(service, principal, f"experiment.{verb}", resource, request.experiment_ids, change)


def _resource(service: Service, place: ProjectPlace, id_: str, name: str = "") -> Resource:
    return Resource("experiment", id_, name or id_, registry_id_of(service, place))


def _check_name(service: Service, place: ProjectPlace, name: str) -> None:
    """Raises InvalidInput for a name that no experiment can have, AlreadyThere when another one has it."""
    problem = names.problem(name) or ("starts or ends with a space" if name != name.strip() else None)
    if problem:
        raise InvalidInput(f"The name {problem}", errors=[FieldProblem(field="name", message=f"The name {problem}")])
    try:
        params = {"experiment_name": name}
        found = service.mlflow.call("GET", "experiments/get-by-name", workspace=place.workspace, params=params)
    except Missing:
        return
    other = experiments.to_experiment(found["experiment"])
    if other.lifecycle_stage == "deleted":
        raise AlreadyThere(
            f"A deleted experiment of project {place.name} has the name {name}",
            action=f"Choose another name, or restore it: `registry-tui experiments restore {other.id}`",
        )
    raise AlreadyThere(f"Project {place.name} has an experiment {name} already", action="Choose another name")
