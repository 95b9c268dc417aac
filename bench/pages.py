"""Asks for the same page of runs through the service and from MLflow's REST API directly: both times and their ratio.

`python bench/pages.py` (100 000 runs, pages of 100; about two minutes)

Then 10 000 runs with all their metrics in one answer, beside MLflow's answer with as many.

Both sides keep one connection and act as the same person in the same project, in turns, on one running platform.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import httpx
from budgets import Judge
from servers import compile_project, environment, temporary_folder

from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from support.many_runs import fill
from support.platforms import Platform
from support.registered import mlflow_client

PAGE = 100
#: Runs in the largest answer.
MANY = 10_000
ORDERS: tuple[list[str], ...] = ([], ["metrics.m0 DESC"])


def timed(ask: Callable[[], httpx.Response]) -> tuple[float, httpx.Response]:
    began = time.perf_counter()
    answer = ask()
    return time.perf_counter() - began, answer.raise_for_status()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=20)
    asked = parser.parse_args()
    compile_project()
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        registry_tui = [sys.executable, "-m", "registry_tui"]
        variables = environment({ENVIRONMENT_VARIABLE: str(platform.home.root)})
        subprocess.run([*registry_tui, "up"], env=variables, check=True, stderr=subprocess.DEVNULL)
        try:
            return measure(platform, asked.runs, asked.repeat)
        finally:
            subprocess.run([*registry_tui, "down"], env=variables, check=True, stderr=subprocess.DEVNULL)


def measure(platform: Platform, runs: int, repeat: int) -> int:
    """Prints both sides; returns the exit code."""
    project = platform.new_project()
    experiment = str(fill(platform.home.mlflow_database, runs, workspace=project.mlflow_workspace))
    credentials = platform.ask(lambda client: client.credentials(project.id))
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    judge = Judge("pages")
    with (
        httpx.Client(base_url="http://registry-tui", transport=transport, timeout=60) as service,
        mlflow_client(credentials) as mlflow,
    ):
        for order in ORDERS:
            ours_body: dict[str, object] = {"experiment_ids": [experiment], "order_by": order, "page_size": PAGE}
            raw_body: dict[str, object] = {"experiment_ids": [experiment], "order_by": order, "max_results": PAGE}

            def through_service(body: dict[str, object] = ours_body) -> httpx.Response:
                return service.post(f"/api/v1/projects/{project.id}/runs/search", json=body)

            def from_mlflow(body: dict[str, object] = raw_body) -> httpx.Response:
                return mlflow.post("/api/2.0/mlflow/runs/search", json=body)

            ours, raw = [], []
            for number in range(repeat + 5):
                seconds, answer = timed(through_service)
                seconds_raw, answer_raw = timed(from_mlflow)
                same = [run["id"] for run in answer.json()["items"]]
                if same != [run["info"]["run_id"] for run in answer_raw.json()["runs"]] or len(same) != PAGE:
                    sys.exit("the pages differ")
                if number >= 5:  # the first ones warm both sides up
                    ours.append(seconds)
                    raw.append(seconds_raw)
            ratio = statistics.median(ours) / statistics.median(raw)
            judge.measured("time beside MLflow's REST API", ratio)
            print(
                f"page of {PAGE} of {runs} runs, {order[0] if order else 'newest first':<16} "
                f"service {statistics.median(ours) * 1000:6.1f} ms ({len(answer.content) >> 10} KB)  "
                f"MLflow {statistics.median(raw) * 1000:6.1f} ms ({len(answer_raw.content) >> 10} KB)  "
                f"ratio {ratio:.2f}",
                flush=True,
            )
        if runs >= MANY:
            seconds = many_runs(service, mlflow, project.id, experiment)
            judge.measured("10 000 runs with all metrics", seconds)
    return judge.end()


def many_runs(service: httpx.Client, mlflow: httpx.Client, project: str, experiment: str) -> float:
    """Prints both sides; returns the median of our seconds."""
    asked = {"experiment_ids": [experiment], "page_size": MANY}
    ours = [timed(lambda: service.post(f"/api/v1/projects/{project}/runs/search", json=asked)) for _ in range(5)]
    raw_seconds, raw = timed(
        lambda: mlflow.post("/api/2.0/mlflow/runs/search", json={"experiment_ids": [experiment], "max_results": MANY})
    )
    found = [(run["id"], run["metrics"]) for run in ours[-1][1].json()["items"]]
    other = [
        (run["info"]["run_id"], {metric["key"]: metric["value"] for metric in run["data"]["metrics"]})
        for run in raw.json()["runs"]
    ]
    if found != other or len(found) != MANY:
        sys.exit("the runs differ")
    seconds = statistics.median(each for each, _ in ours)
    size = len(ours[-1][1].content) >> 20
    print(f"{MANY} runs with all metrics: service {seconds:.2f} s ({size} MB)  MLflow {raw_seconds:.2f} s", flush=True)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
