"""The lineage of a model with 1 000 versions, compared with MLflow's own REST API listing these versions, in one run.

`python bench/lineage.py` (half a minute)

Each version came from a run of its own. The tree has all versions with their runs, both ways. MLflow's response has the
versions alone; stock code would begin with it. Both keep one connection and take turns.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
from budgets import Judge
from filled import main_of

from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.places import Project
from support.many_models import MANY, fill_models
from support.many_runs import fill
from support.platforms import Platform
from support.registered import mlflow_client


def come_from_runs(database: Path, experiment: int, project: Project) -> None:
    """Records for each version of the model the run of the experiment that it came from."""
    with closing(sqlite3.connect(database, timeout=60)) as rows, rows:
        query = "SELECT run_uuid, name FROM runs WHERE experiment_id = ? ORDER BY start_time"
        for version, (run, name) in enumerate(rows.execute(query, (experiment,)).fetchall(), start=1):
            origin = {
                "environment_name": project.environment_name,
                "workspace_name": project.workspace_name,
                "project_id": project.id,
                "project_name": project.name,
                "experiment_id": str(experiment),
                "experiment_name": "sweep",
                "run_id": run,
                "run_name": name,
                "artifact_path": "model",
            }
            rows.execute(
                "UPDATE model_version_tags SET value = ? WHERE name = ? AND version = ? AND key = ?",
                (json.dumps(origin), MANY, version, mlflow_tags.ORIGIN),
            )


def measure(platform: Platform, versions: int, repeat: int) -> int:
    """Prints both sides; returns the exit code."""
    registry = platform.ask(lambda client: client.registry("registry-local"))
    project, database = platform.new_project(), platform.home.mlflow_database
    experiment = fill(database, versions, metrics=2, workspace=project.mlflow_workspace)
    fill_models(database, 1, versions, workspace=registry.mlflow_workspace)
    come_from_runs(database, experiment, project)
    # MLflow analyses a database that has grown only from time to time, and at each start.
    platform.command("restart", "mlflow")
    credentials = platform.ask(lambda client: client.credentials(project.id))
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    asked: dict[str, str | int] = {"node": reference("model", registry.id, MANY), "depth": 3, "each": 1000}
    listed: dict[str, str | int] = {"filter": f"name = '{MANY}'", "max_results": versions}
    ours, theirs = list[float](), list[float]()
    with (
        httpx.Client(base_url="http://registry-tui", transport=transport, timeout=60) as service,
        mlflow_client(credentials) as mlflow,
    ):
        for number in range(repeat + 2):
            began = time.perf_counter()
            tree = service.get("/api/v1/lineage", params=asked).raise_for_status().json()
            drawn = time.perf_counter()
            found = mlflow.get("/api/2.0/mlflow/model-versions/search", params=listed).raise_for_status().json()
            ended = time.perf_counter()
            runs = [each for each in tree["origins"] if each["node"]["kind"] == "run"]
            lines = len(tree["dependents"]), len(runs), len(found["model_versions"])
            if lines != (versions, versions - 1, versions) or not runs[0]["origins"]:
                sys.exit(f"the trees are wrong: {lines}")
            if number >= 2:  # the first ones warm up
                ours.append(drawn - began)
                theirs.append(ended - drawn)
    print(
        f"lineage of a model with {versions} versions from {versions} runs {statistics.median(ours) * 1000:.0f} ms, "
        f"its versions alone by MLflow's REST API {statistics.median(theirs) * 1000:.0f} ms (median of {repeat} pairs)",
        flush=True,
    )
    judge = Judge("lineage")
    judge.measured("lineage of a model with 1 000 versions", statistics.median(ours))
    return judge.end()


def main() -> int:
    return main_of(measure, __doc__, versions=1000, repeat=10)


if __name__ == "__main__":
    sys.exit(main())
