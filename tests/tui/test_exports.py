"""Tables inside tabs and dialogs, saved as files by keys on a real service."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from registry_tui.client import RegistryClient
from registry_tui.terminal.commands import Place
from support.platforms import Platform
from support.program import Driver, Open
from support.registered import mlflow_client
from support.served import Served, register


@pytest.fixture(scope="module")
def logged(platform: Platform) -> Served:
    project = platform.new_project()
    first = register(platform, project, add=1)
    served = register(platform, project, first.version.model_name, add=2, requirements="mlflow\nnumpy\n")
    run = {"run_id": served.version.origin.run_id}
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        changes: dict[str, dict[str, object]] = {
            "log-metric": {"key": "rmse", "value": 0.5, "timestamp": 1, "step": 0},
            "log-parameter": {"key": "alpha", "value": "=1+1"},
            "set-tag": {"key": "team", "value": "wine, red"},
        }
        for path, body in changes.items():
            http.post(f"/api/2.0/mlflow/runs/{path}", json={**run, **body}).raise_for_status()
    return served


async def exported(driver: Driver, name: str) -> list[Any]:
    """Exports the visible rows under a name; returns the file's rows."""
    await driver.press("ctrl+s")
    await driver.until(lambda: driver.app.screen.query("#file"), "the form")
    path = Path.cwd() / name
    field = driver.app.screen.query_one("#file", Input)
    field.value = name
    await driver.until(lambda: not driver.app.screen.query_one("#ok").disabled, "OK")
    field.focus()
    await driver.press("enter")
    await driver.until(path.exists, name)
    await driver.until(lambda: not driver.app.screen.query("#file"), "the form to be gone")
    text = path.read_text()
    return list(json.loads(text)) if path.suffix == ".json" else list(csv.reader(text.splitlines()))


async def test_what_a_run_lists(
    open_program: Open, logged: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_program() as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        place = Place("run", {"project": logged.project.id, "run": logged.version.origin.run_id or ""})
        driver.app.jump(place)
        await driver.at("run")
        await driver.until(lambda: driver.screen.run is not None, "the run")
        assert "Metrics, Params" in str(driver.screen.reason("export"))
        tabs = driver.screen.query_one("#tabs")
        for tab, rows in {
            "metrics": [["metric", "value"], ["rmse", "0.5"]],
            "params": [["param", "value"], ["alpha", "'=1+1"]],
        }.items():
            tabs.active = tab
            await driver.until(lambda: driver.screen.reason("export") is None, "rows")
            assert await exported(driver, f"{tab}.csv") == rows
        tabs.active = "tags"
        assert {"tag": "team", "value": "wine, red"} in await exported(driver, "tags.json")


async def test_people_deployments_and_differences(
    open_program: Open, platform: Platform, logged: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_program(size=(130, 40)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("project", {"project": logged.project.id}))
        await driver.rows("project")
        await driver.press("p")
        await driver.shows("Collaborators of")
        await driver.until(lambda: driver.screen.people, "the people")
        people = await exported(driver, "people.json")
        assert [each["role"] for each in people] == ["admin"]
        await driver.press("escape")
        await driver.at("project")
        await driver.press("M")
        await driver.until(lambda: driver.screen.deployed.source is not None, "the deployments")
        titles, *rows = await exported(driver, "deployments.csv")
        assert titles[:3] == ["Name", "Status", "Source"] and rows == []
        model = {"registry": logged.registry, "model": logged.version.model_name}
        driver.app.jump(Place("diff", {**model, "one": "1", "other": "2"}))
        await driver.shows("requirements.txt")
        await driver.until(lambda: driver.screen.reason("export") is None, "the differences")
        titles, *rows = await exported(driver, "differences.csv")
        assert titles == ["kind", "key", "version 1", "version 2"]
        assert "requirements.txt" in [row[1] for row in rows]
        differences = await exported(driver, "differences.json")
        assert {"kind": "requirement", "key": "numpy", "version 1": None, "version 2": "any"} in differences
        first, second = (
            platform.call(RegistryClient.version, logged.registry, model["model"], number).origin for number in (1, 2)
        )
        runs = f"{first.run_id},{second.run_id}"
        where = {"project": logged.project.id, "experiment": second.experiment_id or "", "runs": runs}
        driver.app.jump(Place("compare", where))
        await driver.shows("rmse")
        compared = {each["key"]: each for each in await exported(driver, "comparison.json")}
        assert compared["rmse"] == {
            "kind": "metric",
            "key": "rmse",
            first.run_name: None,
            second.run_name: 0.5,
        }
