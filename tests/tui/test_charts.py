"""Curves on a real service: a long one keeps its spike, and points that cannot be drawn are reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from registry_tui.schemas.places import Project
from registry_tui.widgets.chart import LineChart
from support.platforms import Platform, unique
from support.program import Driver, Open
from support.registered import mlflow_client

POINTS, SPIKE = 6_000, 4_321
#: 2026-01-01 in milliseconds since 1970.
START = 1_767_225_600_000


@dataclass(frozen=True)
class Runs:
    """Makes runs in an experiment of its own, by MLflow's REST API."""

    platform: Platform
    project: Project
    experiment: str

    def _post(self, path: str, body: Mapping[str, object]) -> dict[str, dict[str, dict[str, str]]]:
        with mlflow_client(self.platform.ask(lambda client: client.credentials(self.project.id))) as http:
            answer = http.post(f"/api/2.0/mlflow/{path}", json=body).raise_for_status()
            made: dict[str, dict[str, dict[str, str]]] = answer.json()
            return made

    def create(self, name: str) -> str:
        """A run that runs."""
        body = {"experiment_id": self.experiment, "run_name": name, "start_time": START}
        return self._post("runs/create", body)["run"]["info"]["run_id"]

    def log(self, run: str, key: str, values: Mapping[int, object], *, start: int = START) -> None:
        """Values by step, a second apart."""
        points = [
            {"key": key, "value": value, "step": step, "timestamp": start + 1000 * step}
            for step, value in values.items()
        ]
        for first in range(0, len(points), 1000):
            self._post("runs/log-batch", {"run_id": run, "metrics": points[first : first + 1000]})


@pytest.fixture(scope="module")
def runs(platform: Platform) -> Runs:
    project = platform.new_project()
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        made = http.post("/api/2.0/mlflow/experiments/create", json={"name": unique("curves")}).raise_for_status()
    return Runs(platform, project, made.json()["experiment_id"])


@pytest.fixture(scope="module")
def run(runs: Runs) -> tuple[Project, str]:
    """A run with a curve of 6 000 points, of which one is a spike, one is NaN and one is 0."""
    id_ = runs.create("long")
    odd: dict[int, object] = {SPIKE: 99.0, 7: "NaN", 8: 0.0}
    runs.log(id_, "loss", {step: odd.get(step, 1.0 + step % 3) for step in range(POINTS)})
    return runs.project, id_


def chart(driver: Driver) -> LineChart:
    found: LineChart = driver.screen.query_one("#chart")
    return found


def drawn(driver: Driver) -> str:
    """The content of the chart."""
    return "\n".join(chart(driver).render_line(y).text for y in range(chart(driver).size.height))


async def changes(driver: Driver, key: str, *shows: str) -> None:
    """Presses a key of the chart, and waits until it shows something else, with these texts."""
    before = drawn(driver)
    await driver.press(key)
    await driver.until(
        lambda: drawn(driver) != before and all(text in drawn(driver) for text in shows), f"{key} to show {shows}"
    )


async def finer(driver: Driver, lines: int, points: int) -> None:
    """Waits until the part in view is there with that many points of each line."""

    def has_all() -> bool:
        detail = chart(driver)._detail
        return detail is not None and [len(line.xs) >= points for line in detail[2]] == [True] * lines

    await driver.until(has_all, f"{points} points of {lines} lines")


async def every_key(driver: Driver, lines: int, points: int) -> None:
    """Presses all keys of a chart of `points` points a line, more than are drawn of them all."""
    await changes(driver, "right", "at 0")
    await changes(driver, "right")
    await driver.until(lambda: chart(driver).cursor is not None and "at 0" not in drawn(driver), "the next point")
    await changes(driver, "left", "at 0")
    await changes(driver, "plus")
    await changes(driver, "plus")
    await finer(driver, lines, points // 4 - 2)
    await changes(driver, "minus")
    await changes(driver, "shift+right")
    await changes(driver, "shift+left")
    await changes(driver, "0")
    await driver.until(lambda: chart(driver).cursor is None, "no cursor")
    await changes(driver, "asterisk", "log")
    await changes(driver, "asterisk")
    await changes(driver, "z", "smoothing 0.6")
    for _ in range(3):
        await changes(driver, "z")
    await driver.until(lambda: "smoothing" not in drawn(driver), "no smoothing")
    await changes(driver, "h", "time since the first point")
    await changes(driver, "h", "wall time")
    await changes(driver, "h", "step")


async def test_every_key_of_the_chart_of_a_run(open_program: Open, run: tuple[Project, str]) -> None:
    project, id_ = run
    async with open_program() as driver:
        await open_run(driver, project, id_)
        assert "under Metrics" in str(driver.screen.reason("zoom_in"))
        driver.screen.query_one("#tabs").active = "metrics"
        await driver.until(lambda: "loss" in drawn(driver), "the curve")
        await every_key(driver, 1, POINTS)
        await driver.until(lambda: "(1 NaN or infinite)" in drawn(driver), "what is not drawn")
        await changes(driver, "asterisk", "(1 ≤ 0 not shown)")


async def test_every_key_of_the_chart_of_compared_runs(open_program: Open, runs: Runs) -> None:
    ids = [runs.create(name) for name in ("first", "second")]
    for place, id_ in enumerate(ids):
        curve = {step: 1.0 + place + step % 5 / 10 for step in range(3000)}
        runs.log(id_, "loss", curve, start=START + place * 3_600_000)
        runs.log(id_, "rmse", {0: 0.5 + place / 10})
    async with open_program(size=(80, 24)) as driver:
        await compare(driver, runs, ids)
        await driver.shows("first", "second", "0.6 ▲")
        await driver.press("B")
        await driver.shows("+0.1 (+20.0%) ▲")
        await driver.press("B")
        await driver.shows("0.6 ▲")
        await driver.press("tab")
        await driver.until(lambda: "first" in drawn(driver) and "second" in drawn(driver), "both curves")
        canvas = drawn(driver).split("└")[0]
        assert "●" in canvas and "■" in canvas
        axis = drawn(driver).split("└")[1].split("\n")[1]
        assert len(axis.split()) >= 3
        await every_key(driver, 2, 3000)


async def open_run(driver: Driver, project: Project, run: str) -> None:
    driver.go("run", project=project.id, run=run)
    await driver.at("run")
    await driver.until(lambda: driver.screen.run is not None, "the run")


async def compare(driver: Driver, runs: Runs, ids: Sequence[str]) -> None:
    driver.go("compare", project=runs.project.id, experiment=runs.experiment, runs=",".join(ids))
    await driver.at("compare")
    await driver.until(lambda: len(driver.screen.runs) == len(ids), "the runs")


async def test_a_run_that_runs_is_refreshed_under_cursor_and_zoom(open_program: Open, runs: Runs) -> None:
    id_ = runs.create("running")
    runs.log(id_, "loss", {step: 1.0 + step % 7 for step in range(3000)})
    async with open_program() as driver:
        await open_run(driver, runs.project, id_)
        driver.screen.query_one("#tabs").active = "metrics"
        await driver.until(lambda: "loss" in drawn(driver), "the curve")
        await driver.press("right", "plus", "plus", "right")
        await finer(driver, 1, 740)
        # Also the points of the part that is in view now: those of the one before are enough for the line above.
        await driver.settled()
        at, zoom, shown = chart(driver).cursor, chart(driver)._zoom, drawn(driver)
        # A key before it in the list, and a point behind those in view.
        runs.log(id_, "accuracy", {0: 0.5})
        runs.log(id_, "loss", {3000: 4.0})
        lines = set()

        def refreshed() -> bool:
            lines.add(drawn(driver))
            return chart(driver)._series[0].xs[-1] == 3000

        await driver.until(refreshed, "the new point")
        await driver.until(lambda: driver.screen.query_one("#metric-names").option_count == 2, "the new key")
        assert driver.screen.chosen == "loss"
        await driver.settled()
        assert (chart(driver).cursor, chart(driver)._zoom) == (at, zoom)
        assert {*lines, drawn(driver)} == {shown}


async def test_a_compared_run_gets_its_first_value_while_another_is_zoomed(open_program: Open, runs: Runs) -> None:
    ids = [runs.create("early"), runs.create("late")]
    runs.log(ids[0], "loss", {step: 1.0 + step % 7 for step in range(3000)})
    async with open_program() as driver:
        await compare(driver, runs, ids)
        await driver.press("tab")
        await driver.until(lambda: "early" in drawn(driver), "the curve")
        await driver.press("plus", "plus")
        await finer(driver, 1, 740)
        await driver.settled()
        zoom = chart(driver)._zoom
        runs.log(ids[1], "loss", dict.fromkeys(range(2000), 3.0))
        await driver.press("plus", "minus", "ctrl+r")
        await driver.until(lambda: "late" in drawn(driver), "its curve")
        await finer(driver, 2, 740)
        assert chart(driver)._zoom == zoom


def test_the_service_reduces_without_losing_peaks(platform: Platform, run: tuple[Project, str]) -> None:
    project, id_ = run
    curve = platform.ask(lambda client: client.metric_curve(project.id, id_, "loss", points=50))
    assert (curve.count, curve.not_finite, curve.not_positive) == (POINTS, 1, 1)
    assert len(curve.points) <= 2 * 50 + 2
    steps = [point.step for point in curve.points]
    assert steps == sorted(steps) and (steps[0], steps[-1]) == (0, POINTS - 1)
    assert (SPIKE, 99.0) in [(point.step, point.value) for point in curve.points]
    part = platform.ask(lambda client: client.metric_curve(project.id, id_, "loss", points=50, low=10, high=19))
    assert [point.step for point in part.points] == list(range(10, 20))
