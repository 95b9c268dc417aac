"""Experiments, runs, metric histories, artifacts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query, Response
from fastapi.responses import StreamingResponse

from registry_tui.schemas.base import Page
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.places import Project
from registry_tui.schemas.tracking import (
    ArtifactFolder,
    ArtifactTotals,
    Experiment,
    ExperimentCreate,
    ExperimentsChosen,
    ExperimentUpdate,
    ItemChanges,
    MetricCurve,
    MetricPoint,
    Run,
    RunDetails,
    RunGrouping,
    RunGroups,
    RunPurge,
    RunsChosen,
    RunSearch,
    RunsUpdate,
    RunVersions,
    RunVersionsAsked,
)
from registry_tui.service.http.routes.content import content_response
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import READS_ONLY, new_router
from registry_tui.service.lineage import run_versions
from registry_tui.service.lineage import runs as run_lineage
from registry_tui.service.tracking import (
    artifacts,
    changing_experiments,
    changing_runs,
    experiments,
    metric_curves,
    run_groups,
)
from registry_tui.service.tracking import purging as run_purging
from registry_tui.service.tracking import runs as tracked_runs
from registry_tui.service.tracking.top_level_runs import top_level_runs

router = new_router("tracking")

RangeIn = Annotated[str | None, Header(alias="Range", description="`bytes=FIRST-LAST`: only this part, as a 206")]


@router.get("/projects/{project}/experiments")
def list_experiments(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    project: str,
    name: Annotated[str | None, Query(max_length=500, description="A part of the name")] = None,
    order_by: Annotated[str | None, Query(description="name, created_at, updated_at or id; with - descending")] = None,
    deleted: Annotated[bool, Query(description="The deleted ones instead")] = False,
) -> Page[Experiment]:
    """Experiments of a project, newest first by default."""
    return experiments.list_experiments(
        service,
        principal,
        project,
        name=name,
        order_by=order_by,
        deleted=deleted,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.post("/projects/{project}/experiments", status_code=201)
def create_experiment(service: ServiceIn, principal: Acting, project: str, request: ExperimentCreate) -> Experiment:
    """Makes an experiment; for contributors."""
    return changing_experiments.create_experiment(service, principal, project, request)


@router.post("/projects/{project}/experiments/delete")
def delete_experiments(service: ServiceIn, principal: Acting, project: str, request: ExperimentsChosen) -> ItemChanges:
    """Deletes experiments with their runs, so that they can be restored; for contributors."""
    return changing_experiments.delete_experiments(service, principal, project, request)


@router.post("/projects/{project}/experiments/restore")
def restore_experiments(service: ServiceIn, principal: Acting, project: str, request: ExperimentsChosen) -> ItemChanges:
    """Restores deleted experiments with their runs; for contributors."""
    return changing_experiments.restore_experiments(service, principal, project, request)


@router.get("/projects/{project}/experiments/{experiment}")
def get_experiment(service: ServiceIn, principal: Acting, project: str, experiment: str) -> Experiment:
    """One experiment, by ID or name."""
    return experiments.get_experiment(service, principal, project, experiment)


@router.patch("/projects/{project}/experiments/{experiment}")
def update_experiment(
    service: ServiceIn, principal: Acting, project: str, experiment: str, request: ExperimentUpdate
) -> Experiment:
    """Renames an experiment; for contributors."""
    return changing_experiments.rename_experiment(service, principal, project, experiment, request)


@router.post("/projects/{project}/runs/search", response_model=Page[Run], openapi_extra=READS_ONLY)
def search_runs(service: ServiceIn, principal: Acting, project: str, request: RunSearch) -> Response:
    """One page of runs, in MLflow's filter language and order."""
    # Skips FastAPI's validation of every field: the page must not cost much more than MLflow's own response.
    if request.top_level:
        page = top_level_runs(service, principal, project, request).model_dump_json().encode()
    else:
        page = tracked_runs.page_of_runs(service, principal, project, request)
    return Response(page, media_type="application/json")


@router.post("/projects/{project}/runs/update")
def update_runs(service: ServiceIn, principal: Acting, project: str, request: RunsUpdate) -> ItemChanges:
    """Renames runs, and changes their notes and tags; for contributors."""
    return changing_runs.update_runs(service, principal, project, request)


@router.post("/projects/{project}/runs/delete")
def delete_runs(service: ServiceIn, principal: Acting, project: str, request: RunsChosen) -> ItemChanges:
    """Deletes runs, so that they can be restored; for contributors."""
    return changing_runs.delete_runs(service, principal, project, request)


@router.post("/projects/{project}/runs/restore")
def restore_runs(service: ServiceIn, principal: Acting, project: str, request: RunsChosen) -> ItemChanges:
    """Restores deleted runs; for contributors."""
    return changing_runs.restore_runs(service, principal, project, request)


@router.post("/projects/{project}/runs/purge", status_code=202)
def purge_runs(service: ServiceIn, principal: Acting, project: str, request: RunPurge) -> Accepted[Project]:
    """Removes deleted runs for good, with their artifacts and logged models; archives of versions stay."""
    return run_purging.purge_runs(service, principal, project, request)


@router.post("/projects/{project}/runs/registered", openapi_extra=READS_ONLY)
def registered_from(service: ServiceIn, principal: Acting, project: str, request: RunVersionsAsked) -> RunVersions:
    """The versions registered from a page of runs."""
    return run_versions.registered_from(service, principal, project, request.run_ids)


@router.post("/projects/{project}/runs/group", openapi_extra=READS_ONLY)
def group_runs(service: ServiceIn, principal: Acting, project: str, request: RunGrouping) -> RunGroups:
    """Runs by the values of a param, with a metric's mean and range in each group."""
    return run_groups.group_runs(service, principal, project, request)


@router.get("/projects/{project}/runs/{run}")
def get_run(service: ServiceIn, principal: Acting, project: str, run: str) -> RunDetails:
    """One run with parameters, metrics, tags, datasets, and the versions registered from it."""
    return run_lineage.get_run(service, principal, project, run)


@router.get("/projects/{project}/runs/{run}/metric-history")
def metric_history(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    project: str,
    run: str,
    metric: Annotated[str, Query(min_length=1, max_length=250)],
) -> Page[MetricPoint]:
    """Every value of one metric."""
    return tracked_runs.metric_history(
        service, principal, project, run, metric, page_size=page.page_size, page_token=page.page_token
    )


@router.get("/projects/{project}/runs/{run}/metric-curve")
def metric_curve(
    service: ServiceIn,
    principal: Acting,
    project: str,
    run: str,
    metric: Annotated[str, Query(min_length=1, max_length=250)],
    points: Annotated[int, Query(ge=1, le=5000, description="Buckets of x; each gives at most two points")] = 1000,
    x: Annotated[metric_curves.Axis, Query(description="The axis that is divided into buckets")] = "step",
    low: Annotated[float | None, Query(description="First x: a step, or ms since 1970", allow_inf_nan=False)] = None,
    high: Annotated[float | None, Query(description="Last x: a step, or ms since 1970", allow_inf_nan=False)] = None,
) -> MetricCurve:
    """A metric's history of any length, reduced so that no peak is lost."""
    return metric_curves.metric_curve(service, principal, project, run, metric, buckets=points, x=x, low=low, high=high)


@router.get("/projects/{project}/runs/{run}/artifacts")
def list_artifacts(
    service: ServiceIn,
    principal: Acting,
    project: str,
    run: str,
    path: Annotated[str, Query(description="A folder below the run's artifacts; empty: the top")] = "",
) -> ArtifactFolder:
    """The entries directly below a folder of the run's artifacts; logged models are folders of their run."""
    return artifacts.list_artifacts(service, principal, project, run, path)


@router.get("/projects/{project}/runs/{run}/artifacts/totals")
def measure_artifacts(
    service: ServiceIn,
    principal: Acting,
    project: str,
    run: str,
    path: Annotated[str, Query(description="A folder below the run's artifacts; empty: all")] = "",
) -> ArtifactTotals:
    """Files and bytes in a folder of the run's artifacts and below, up to a limit."""
    return artifacts.measure_artifacts(service, principal, project, run, path)


@router.get("/projects/{project}/runs/{run}/artifacts/content", response_class=StreamingResponse)
def read_artifact(
    service: ServiceIn, principal: Acting, project: str, run: str, path: str, range_header: RangeIn = None
) -> StreamingResponse:
    """One artifact's bytes, or a part of them."""
    return content_response(artifacts.open_artifact(service, principal, project, run, path, range_header), path)
