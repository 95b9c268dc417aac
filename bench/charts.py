"""A metric of a million points: read through the service and in pages from MLflow; drawn, and plotted point by point.

`python bench/charts.py` (about two minutes)

The points are written into a platform's own MLflow database; both sides then ask the running platform. The chart is the
terminal program's, at 170 × 50. Plotting every point is done on the same canvas, without reducing.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import random
import sqlite3
import statistics
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
from servers import compile_project, temporary_folder
from terminal import Report
from textual.app import App, ComposeResult

from registry_tui.platform.paths import Home
from registry_tui.schemas.tracking import MetricCurve
from registry_tui.screens.base.curves import BUCKETS
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.plotting import CELL_HEIGHT, CELL_WIDTH, Canvas, Series
from support.many_runs import START
from support.platforms import Platform
from support.registered import mlflow_client

METRIC = "loss"
#: Most points that MLflow's REST API gives at once.
PAGE = 25_000
SIZE = (170, 50)
TIMES = 30


def points(count: int) -> Iterator[tuple[int, float]]:
    """A falling curve with noise and a single peak."""
    noise = random.Random(count)
    for step in range(count):
        yield step, 100.0 if step == count // 3 else 10 / math.log(step + 3) + noise.random()


def new_run(mlflow: httpx.Client) -> str:
    """A run in an experiment of its own."""
    made = mlflow.post("/api/2.0/mlflow/experiments/create", json={"name": "long"}).raise_for_status().json()
    body = {"experiment_id": made["experiment_id"], "start_time": START}
    answer = mlflow.post("/api/2.0/mlflow/runs/create", json=body).raise_for_status().json()
    return str(answer["run"]["info"]["run_id"])


def write(database: Path, run: str, count: int) -> None:
    """Adds the metric's points, one a second."""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.executemany(
            "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, ?, 0, ?)",
            ((METRIC, value, START + 1000 * step, step, run) for step, value in points(count)),
        )
        connection.execute(
            "INSERT INTO latest_metrics SELECT key, value, timestamp, step, is_nan, run_uuid FROM metrics "
            "WHERE run_uuid = ? ORDER BY step DESC LIMIT 1",
            (run,),
        )


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def history(mlflow: httpx.Client, run: str) -> Series:
    """Every point, page by page."""
    xs, ys = array("d"), array("d")
    asked: dict[str, str | int] = {"run_id": run, "metric_key": METRIC, "max_results": PAGE}
    while True:
        answer = mlflow.get("/api/2.0/mlflow/metrics/get-history", params=asked, timeout=300).raise_for_status().json()
        for point in answer["metrics"]:
            xs.append(float(point["step"]))
            ys.append(float(point["value"]))
        if not answer.get("next_page_token"):
            return Series(METRIC, xs, ys)
        asked["page_token"] = answer["next_page_token"]


def read(platform: Platform, project: str, run: str, count: int, report: Report) -> tuple[Series, Series]:
    """Both sides of reading; returns the reduced series and the whole one."""

    def curve(low: float | None = None, high: float | None = None) -> MetricCurve:
        return platform.ask(
            lambda client: client.metric_curve(project, run, METRIC, points=BUCKETS, low=low, high=high)
        )

    found = curve()
    if found.count != count or max(point.value for point in found.points) != 100.0:
        sys.exit("the curve is wrong")
    whole_ms = statistics.median(seconds(curve) for _ in range(5)) * 1000
    middle = count // 3
    zooms = [(middle - count / 2 ** (n + 2), middle + count / 2 ** (n + 2)) for n in range(1, 8)]
    zoom_ms = [seconds(lambda part=part: curve(*part)) * 1000 for part in zooms]  # type: ignore[misc]
    with mlflow_client(platform.ask(lambda client: client.credentials(project))) as mlflow:
        began = time.perf_counter()
        every = history(mlflow, run)
        pages_ms = (time.perf_counter() - began) * 1000
    if len(every.xs) != count:
        sys.exit("the history is wrong")
    report.head(f"Reading {count} points: through the service, reduced, beside the history in pages of {PAGE}")
    report.say("the whole curve", "ms", whole_ms, pages_ms, budget="reading a curve")
    report.say("zoomed twice", "ms", zoom_ms[0], pages_ms, budget="reading a curve")
    report.say(f"zoomed {2 ** (len(zooms) + 1)} times", "ms", zoom_ms[-1], pages_ms, budget="reading a curve")
    xs = array("d", [float(point.step) for point in found.points])
    return Series(METRIC, xs, array("d", [point.value for point in found.points])), every


def naive(line: Series, columns: int, rows: int, low: float, high: float) -> Canvas:
    """Plots every point from `low` to `high`, as one would without reducing."""
    y_low, y_high = min(line.ys), max(line.ys)
    canvas = Canvas(columns, rows)
    dots_x, dots_y = columns * CELL_WIDTH - 1, rows * CELL_HEIGHT - 1
    before: tuple[int, int] | None = None
    for x, y in zip(line.xs, line.ys, strict=True):
        if low <= x <= high:
            dot = round((x - low) / (high - low) * dots_x), dots_y - round((y - y_low) / (y_high - y_low) * dots_y)
            canvas.line(*(before or dot), *dot, 0)
            before = dot
    return canvas


class Charted(App[None]):
    """Nothing but the chart."""

    def compose(self) -> ComposeResult:
        yield LineChart(id="chart")


async def draw(reduced: Series, every: Series, report: Report) -> None:
    """Both sides of drawing."""
    app = Charted()
    async with app.run_test(size=SIZE) as pilot:
        chart = app.query_one(LineChart)
        await pilot.pause()

        def lines() -> list[str]:
            return [chart.render_line(y).text for y in range(chart.size.height)]

        def middle(action: Callable[[], object]) -> float:
            """Milliseconds until it is drawn."""
            return statistics.median(seconds(lambda: (action(), lines())) for _ in range(TIMES)) * 1000

        columns, rows = SIZE[0] - 10, SIZE[1] - 3
        last = every.xs[-1]
        all_ms = seconds(lambda: naive(every, columns, rows, 0, last)) * 1000
        part_ms = seconds(lambda: naive(every, columns, rows, 0, last / 2)) * 1000
        report.head(f"Drawing them at {SIZE[0]} × {SIZE[1]}, beside plotting every point")
        report.say("a curve came", "ms", middle(lambda: chart.show([reduced])), all_ms)
        report.say("cursor", "ms", middle(lambda: chart.action_move(1)), all_ms, budget="moving the cursor")
        report.say("smoothing", "ms", middle(chart.action_smooth), all_ms)
        chart.action_reset()
        report.say("zoom", "ms", middle(_turns(chart)), part_ms)
        if not any("⠁" <= each <= "⣿" for line in lines() for each in line):
            sys.exit("nothing was drawn")


def _turns(chart: LineChart) -> Callable[[], None]:
    """In and out in turns."""
    factors = [0.5, 2.0]

    def turn() -> None:
        chart.action_zoom(factors[0])
        factors.reverse()

    return turn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    asked = parser.parse_args()
    compile_project()
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    report = Report("charts")
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        platform.command("up")
        try:
            project = platform.new_project()
            with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as mlflow:
                run = new_run(mlflow)
            write(platform.home.mlflow_database, run, asked.points)
            reduced, every = read(platform, project.id, run, asked.points, report)
        finally:
            platform.command("down")
    asyncio.run(draw(reduced, every, report))
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
