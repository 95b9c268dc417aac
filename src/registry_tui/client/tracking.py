"""Calls about experiments, runs and their artifacts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry_tui.client.transport import Transport, segment
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


class Tracking(Transport):
    """Calls about experiments, runs and their artifacts."""

    async def experiments(
        self,
        project: str,
        *,
        name: str | None = None,
        order_by: str | None = None,
        deleted: bool = False,
        **page: Any,
    ) -> Page[Experiment]:
        params = {"name": name, "order_by": order_by, "deleted": deleted or None, **page}
        return await self._ask(Page[Experiment], "GET", f"/projects/{segment(project)}/experiments", params=params)

    async def experiment(self, project: str, experiment: str) -> Experiment:
        path = f"/projects/{segment(project)}/experiments/{segment(experiment)}"
        return await self._ask(Experiment, "GET", path)

    async def create_experiment(self, project: str, request: ExperimentCreate) -> Experiment:
        path = f"/projects/{segment(project)}/experiments"
        return await self._ask(Experiment, "POST", path, body=request)

    async def update_experiment(self, project: str, experiment: str, change: ExperimentUpdate) -> Experiment:
        """Renames an experiment."""
        path = f"/projects/{segment(project)}/experiments/{segment(experiment)}"
        return await self._ask(Experiment, "PATCH", path, body=change)

    async def delete_experiments(self, project: str, request: ExperimentsChosen) -> ItemChanges:
        """Deletes experiments with their runs; `restore_experiments` brings them back."""
        path = f"/projects/{segment(project)}/experiments/delete"
        return await self._ask(ItemChanges, "POST", path, body=request)

    async def restore_experiments(self, project: str, request: ExperimentsChosen) -> ItemChanges:
        """Restores deleted experiments with their runs."""
        path = f"/projects/{segment(project)}/experiments/restore"
        return await self._ask(ItemChanges, "POST", path, body=request)

    async def update_runs(self, project: str, request: RunsUpdate) -> ItemChanges:
        """Renames runs, and changes their notes and tags."""
        return await self._ask(ItemChanges, "POST", f"/projects/{segment(project)}/runs/update", body=request)

    async def delete_runs(self, project: str, request: RunsChosen) -> ItemChanges:
        """Deletes runs; `restore_runs` brings them back."""
        return await self._ask(ItemChanges, "POST", f"/projects/{segment(project)}/runs/delete", body=request)

    async def restore_runs(self, project: str, request: RunsChosen) -> ItemChanges:
        """Restores deleted runs."""
        return await self._ask(ItemChanges, "POST", f"/projects/{segment(project)}/runs/restore", body=request)

    async def search_runs(self, project: str, request: RunSearch) -> Page[Run]:
        path = f"/projects/{segment(project)}/runs/search"
        return await self._ask(Page[Run], "POST", path, body=request, reads=True)

    async def purge_runs(self, project: str, request: RunPurge) -> Accepted[Project]:
        """Removes deleted runs permanently."""
        path = f"/projects/{segment(project)}/runs/purge"
        return await self._ask(Accepted[Project], "POST", path, body=request)

    async def registered_from(self, project: str, run_ids: list[str]) -> RunVersions:
        """The versions registered from runs, at most 100 of them."""
        body = RunVersionsAsked(run_ids=run_ids)
        return await self._ask(
            RunVersions, "POST", f"/projects/{segment(project)}/runs/registered", body=body, reads=True
        )

    async def group_runs(self, project: str, request: RunGrouping) -> RunGroups:
        """Runs by the values of a param."""
        return await self._ask(RunGroups, "POST", f"/projects/{segment(project)}/runs/group", body=request, reads=True)

    async def run(self, project: str, run: str) -> RunDetails:
        return await self._ask(RunDetails, "GET", f"/projects/{segment(project)}/runs/{segment(run)}")

    async def metric_history(self, project: str, run: str, metric: str, **page: Any) -> Page[MetricPoint]:
        path = f"/projects/{segment(project)}/runs/{segment(run)}/metric-history"
        return await self._ask(Page[MetricPoint], "GET", path, params={"metric": metric, **page})

    async def metric_curve(
        self,
        project: str,
        run: str,
        metric: str,
        *,
        points: int = 1000,
        x: str = "step",
        low: float | None = None,
        high: float | None = None,
    ) -> MetricCurve:
        """A metric's history reduced to a chart's resolution; `low` and `high` are steps, or ms since 1970."""
        path = f"/projects/{segment(project)}/runs/{segment(run)}/metric-curve"
        params = {"metric": metric, "points": points, "x": x, "low": low, "high": high}
        return await self._ask(MetricCurve, "GET", path, params=params)

    async def artifacts(self, project: str, run: str, path: str = "") -> ArtifactFolder:
        """The entries directly below a folder of the run's artifacts."""
        url = f"/projects/{segment(project)}/runs/{segment(run)}/artifacts"
        return await self._ask(ArtifactFolder, "GET", url, params={"path": path})

    async def artifact_totals(self, project: str, run: str, path: str = "") -> ArtifactTotals:
        """Files and bytes in a folder of the run's artifacts and below."""
        url = f"/projects/{segment(project)}/runs/{segment(run)}/artifacts/totals"
        return await self._ask(ArtifactTotals, "GET", url, params={"path": path})

    async def read_artifact(
        self, project: str, run: str, path: str, *, start: int = 0, length: int | None = None
    ) -> bytes:
        """Bytes of one artifact, from `start`, at most `length`."""
        url = f"/projects/{segment(project)}/runs/{segment(run)}/artifacts/content"
        return await self._read(url, {"path": path}, start, length)

    async def download_artifact(
        self,
        project: str,
        run: str,
        path: str,
        target: Path,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> int:
        """Writes one artifact to `target`; returns its size. `progress` gets the bytes done and the total, if known."""
        url = f"/projects/{segment(project)}/runs/{segment(run)}/artifacts/content"
        return await self._download(url, {"path": path}, target, progress)
