"""Curves on a real service: a long one keeps its spike, and what cannot be drawn is told."""

from __future__ import annotations

import pytest

from registry_tui.schemas.places import Project
from support.platforms import Platform, unique
from support.registered import mlflow_client

POINTS, SPIKE = 6_000, 4_321


@pytest.fixture(scope="module")
def run(platform: Platform) -> tuple[Project, str]:
    """A run with a curve of 6 000 points, of which one is a spike and one is NaN."""
    project = platform.new_project()
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        made = http.post("/api/2.0/mlflow/experiments/create", json={"name": unique("curves")}).raise_for_status()
        body = {"experiment_id": made.json()["experiment_id"], "start_time": 1}
        id_ = http.post("/api/2.0/mlflow/runs/create", json=body).raise_for_status().json()["run"]["info"]["run_id"]
        for first in range(0, POINTS, 1000):
            steps = range(first, first + 1000)
            values = {step: 99.0 if step == SPIKE else "NaN" if step == 7 else 1.0 + step % 3 for step in steps}
            points = [
                {"key": "loss", "value": value, "step": step, "timestamp": step} for step, value in values.items()
            ]
            http.post("/api/2.0/mlflow/runs/log-batch", json={"run_id": id_, "metrics": points}).raise_for_status()
    return project, str(id_)


def test_the_service_reduces_without_losing_peaks(platform: Platform, run: tuple[Project, str]) -> None:
    project, id_ = run
    curve = platform.ask(lambda client: client.metric_curve(project.id, id_, "loss", points=50))
    assert (curve.count, curve.not_finite) == (POINTS, 1)
    assert len(curve.points) <= 2 * 50 + 2
    steps = [point.step for point in curve.points]
    assert steps == sorted(steps) and (steps[0], steps[-1]) == (0, POINTS - 1)
    assert (SPIKE, 99.0) in [(point.step, point.value) for point in curve.points]
    part = platform.ask(lambda client: client.metric_curve(project.id, id_, "loss", points=50, low=10, high=19))
    assert [point.step for point in part.points] == list(range(10, 20))
