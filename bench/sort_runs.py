"""Sorts many runs by a metric: through the service, and through the REST API of stock MLflow on SQLite.

`python bench/sort_runs.py` (100 000 runs with 10 metrics; about two minutes)

The platform runs while the runs are added, so that its statistics and its open connections have to follow the growth;
its MLflow's own REST API is asked for the same, for comparison. The stock server then gets a copy of the same database,
without the statistics. It needs many minutes, so it is stopped after `--bound` seconds, which is then the lower bound
of its time; `--full` waits for it.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
from budgets import Judge
from servers import stock_mlflow, temporary_folder

from registry_tui.platform.paths import Home
from support.many_runs import fill
from support.platforms import Platform
from support.registered import mlflow_client

ORDERS = ("metrics.m0 DESC", "metrics.m1 ASC", "params.p0 DESC")


def sort(client: httpx.Client, experiment: int, order: str, bound: float | None = None) -> float | None:
    """Seconds for the first page of 100 runs; None when it took longer than `bound`."""
    began = time.perf_counter()
    body = {"experiment_ids": [str(experiment)], "order_by": [order], "max_results": 100}
    try:
        answer = client.post("/api/2.0/mlflow/runs/search", json=body, timeout=httpx.Timeout(bound))
    except httpx.ReadTimeout:
        return None
    seconds = time.perf_counter() - began
    runs = answer.raise_for_status().json()["runs"]
    values = [metric["value"] for run in runs for metric in run["data"]["metrics"] if metric["key"] == "m0"]
    check(values, order)
    return seconds


def wait_for_statistics(path: Path, runs: int) -> float:
    """Waits until the platform has noticed the growth; returns how many seconds that took."""
    began = time.perf_counter()
    with closing(sqlite3.connect(path, timeout=60)) as database:
        while True:
            has = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone()[0]
            rows = has and database.execute("SELECT max(stat) FROM sqlite_stat1 WHERE tbl = 'runs'").fetchone()[0]
            if rows and int(rows.split()[0]) > runs / 3:
                return time.perf_counter() - began
            if time.perf_counter() - began > 60:
                sys.exit("The platform did not analyse its database")
            time.sleep(0.1)


def measure(platform: Platform, runs: int, metrics: int) -> tuple[int, list[float]]:
    """Adds the runs and prints our side; returns their experiment, and the seconds of each order."""
    project = platform.new_project()
    database, workspace = platform.home.mlflow_database, project.mlflow_workspace
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    credentials = platform.ask(lambda client: client.credentials(project.id))
    with (
        httpx.Client(base_url="http://registry-tui", transport=transport, timeout=60) as service,
        mlflow_client(credentials) as mlflow,
    ):
        empty = fill(database, 200, metrics=metrics, experiment="small", workspace=workspace)
        sort(mlflow, empty, ORDERS[0])  # its connections are open before the growth
        began = time.perf_counter()
        experiment = fill(database, runs, metrics=metrics, workspace=workspace)
        print(f"{runs} runs x {metrics} metrics added in {time.perf_counter() - began:.0f} s")
        waited = wait_for_statistics(database, runs)
        print(f"the platform's statistics followed {waited:.1f} s after the last run")
        ours = []
        for order in ORDERS:
            times = [sort_by_service(service, project.id, experiment, order) for _ in range(5)]
            rest = sort(mlflow, experiment, order) or 0.0
            ours.append(statistics.median(times))
            print(f"platform  {order:<16} {ours[-1]:6.2f} s (median of {len(times)}; its MLflow's REST {rest:.2f} s)")
    return experiment, ours


def sort_by_service(service: httpx.Client, project: str, experiment: int, order: str) -> float:
    """Seconds for the first page of 100 runs."""
    began = time.perf_counter()
    body = {"experiment_ids": [str(experiment)], "order_by": [order]}
    answer = service.post(f"/api/v1/projects/{project}/runs/search", json=body)
    seconds = time.perf_counter() - began
    check([run["metrics"]["m0"] for run in answer.raise_for_status().json()["items"]], order)
    return seconds


def check(values: list[float], order: str) -> None:
    if len(values) != 100 or (order == ORDERS[0] and values != sorted(values, reverse=True)):
        sys.exit(f"The answer to a sort by {order} is wrong")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--bound", type=float, default=40.0, help="seconds that the stock side gets")
    parser.add_argument("--full", action="store_true", help="wait for the stock side, however long it takes")
    asked = parser.parse_args()
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        platform.command("up")
        try:
            experiment, ours = measure(platform, asked.runs, asked.metrics)
        finally:
            platform.command("down")
        database = platform.home.mlflow_database
        copy = folder / "stock.db"
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("DROP TABLE IF EXISTS sqlite_stat1")
            # The stock server has no workspaces, and starts only when nothing is in one.
            target.execute(
                "UPDATE experiments SET workspace = 'default', name = name || '-' || experiment_id "
                "WHERE workspace != 'default'"
            )
            target.commit()
        with stock_mlflow(copy, folder) as client:
            stock = sort(client, experiment, ORDERS[0], None if asked.full else asked.bound)
    least = asked.bound if stock is None else stock
    more = ">" if stock is None else " "
    print(f"stock     {ORDERS[0]:<16}{more}{least:6.2f} s{' (stopped)' if stock is None else ''}")
    print(f"ratio stock / platform {more}{least / ours[0]:.0f}")
    judge = Judge("sort_runs")
    for seconds in ours:
        judge.measured("sorting by a metric", seconds)
    return judge.end()


if __name__ == "__main__":
    sys.exit(main())
