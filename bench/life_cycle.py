"""A model with 10 000 versions in stages, each with an approval: its list, one stage of it, and the inbox.

`python bench/life_cycle.py` (about a minute)

A stage that 100 versions have, spread over all of them, and the first page of an inbox in which 5 000 questions wait.
The other side is MLflow's own REST API with a page of as many versions of the model, of all stages, since it finds none
by their stage. All keep one connection and take turns.
"""

from __future__ import annotations

import statistics
import sys
import time
from itertools import pairwise

import httpx
from budgets import Judge
from filled import main_of

from support.many_approvals import ask_for_all
from support.many_models import MANY, RARE, fill_models, put_in_stages
from support.platforms import Platform
from support.registered import mlflow_client

PAGE = 100


def measure(platform: Platform, versions: int, repeat: int) -> int:
    """Prints all sides; returns the exit code."""
    registry = platform.ask(lambda client: client.registry("registry-local"))
    project = platform.new_project()
    fill_models(platform.home.mlflow_database, 1, versions, workspace=registry.mlflow_workspace)
    put_in_stages(platform.home.mlflow_database)
    ask_for_all(platform.home.service_database, registry.id, versions)
    # MLflow analyses a database that has grown only from time to time, and at each start.
    platform.command("restart", "mlflow")
    credentials = platform.ask(lambda client: client.credentials(project.id))
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    below = f"/api/v1/registries/{registry.id}/models/{MANY}/versions"
    listed: dict[str, str | int] = {"filter": f"name = '{MANY}'", "max_results": PAGE}
    took: dict[str, list[float]] = {"list": [], "stage": [], "inbox": [], "mlflow": []}
    rare = list(range(versions - versions % RARE, 0, -RARE))[:PAGE]
    with (
        httpx.Client(base_url="http://registry-tui", transport=transport, timeout=60) as service,
        mlflow_client(credentials) as mlflow,
    ):
        for number in range(repeat + 3):
            moments = [time.perf_counter()]
            every = service.get(below, params={"page_size": PAGE}).raise_for_status().json()["items"]
            moments.append(time.perf_counter())
            staged = service.get(below, params={"page_size": PAGE, "stage": "QA"}).raise_for_status().json()["items"]
            moments.append(time.perf_counter())
            asked = {"page_size": PAGE, "waiting": True}
            inbox = service.get("/api/v1/approvals", params=asked).raise_for_status().json()
            moments.append(time.perf_counter())
            found = mlflow.get("/api/2.0/mlflow/model-versions/search", params=listed).raise_for_status().json()
            moments.append(time.perf_counter())
            if [each["version"] for each in staged] != rare or {each["stage"] for each in staged} != {"QA"}:
                sys.exit("the versions in QA are wrong")
            lines = len(every), len(inbox["items"]), inbox["total"], len(found["model_versions"])
            if lines != (PAGE, PAGE, 100, PAGE):
                sys.exit(f"the lists are wrong: {lines}")
            if number >= 3:  # the first ones warm up
                for name, (began, ended) in zip(took, pairwise(moments), strict=True):
                    took[name].append(ended - began)
    medians = {name: statistics.median(values) for name, values in took.items()}
    print(
        f"pages of {PAGE} of {versions} versions in stages: all {medians['list'] * 1000:.1f} ms, those in QA "
        f"{medians['stage'] * 1000:.1f} ms, the inbox of {versions // 2} approvals {medians['inbox'] * 1000:.1f} ms; "
        f"by MLflow's REST API, of all stages, {medians['mlflow'] * 1000:.1f} ms (median of {repeat} rounds)",
        flush=True,
    )
    judge = Judge("life_cycle")
    judge.measured("a page of 100 of 10 000 versions beside MLflow's REST API", medians["list"] / medians["mlflow"])
    judge.measured("those in one stage beside MLflow's page of all", medians["stage"] / medians["mlflow"])
    judge.measured("a page of an inbox with 5 000 approvals", medians["inbox"])
    return judge.end()


def main() -> int:
    return main_of(measure, __doc__, versions=10_000, repeat=20)


if __name__ == "__main__":
    sys.exit(main())
