"""A run's artifacts by keys on a real service: sizes of folders, a model's card, and registering it."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import Input

from registry_tui.screens.base.model_names import MAX_NAMES
from registry_tui.screens.base.name_field import NameList
from registry_tui.terminal.commands import Place
from support.platforms import Platform, unique
from support.program import Driver, Open
from support.registered import mlflow_client
from support.served import Served, register, split


@pytest.fixture(scope="module")
def logged(platform: Platform) -> Served:
    example = split(a=[1.0], b=[2.0])
    return register(platform, platform.new_project(), add=1, example=example, requirements="mlflow\nnumpy>=2\n")


async def open_artifacts(driver: Driver, logged: Served) -> None:
    await driver.until(lambda: driver.app.answering, "the service")
    origin = logged.version.origin
    place = Place("run", {"project": logged.project.id, "run": origin.run_id or ""})
    place.state["tab"] = "artifacts"
    driver.app.jump(place)
    await driver.at("run")
    await driver.until(lambda: driver.screen.artifacts.tree_view.root.children, "the tree")


async def test_folders_tell_what_is_in_them_and_a_model_is_a_card(
    open_program: Open, platform: Platform, logged: Served
) -> None:
    origin = logged.version.origin
    counted = platform.ask(lambda client: client.artifact_totals(logged.project.id, origin.run_id or "", "model"))
    assert counted.complete and counted.files == logged.version.archive_files
    assert counted.bytes == logged.version.archive_bytes
    assert counted == platform.ask(
        lambda client: client.artifact_totals(logged.project.id, origin.run_id or "")
    ).model_copy(update={"path": "model"})
    async with open_program(size=(120, 40)) as driver:
        await open_artifacts(driver, logged)
        await driver.until(lambda: driver.app.focused is driver.screen.query_one("#tree"), "the tree has the keys")
        await driver.shows("model  model  ", "Flavours", "python_function")
        await driver.shows("Requirements", "numpy>=2", "Input example", "dataframe_split")
        await driver.press("enter")
        await driver.shows("├ MLmodel", "▶ code  ")
        await driver.press("down")
        await driver.shows("code: a folder of 2, with 2 files and")


async def test_wide_lines_of_a_preview_are_reached(open_program: Open, platform: Platform, logged: Served) -> None:
    run = logged.version.origin.run_id or ""
    with mlflow_client(platform.ask(lambda client: client.credentials(logged.project.id))) as http:
        info = http.get("/api/2.0/mlflow/runs/get", params={"run_id": run}).raise_for_status().json()["run"]["info"]
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        url = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/a-wide.txt"
        http.put(url, content=("left " + "." * 80 + " right\n").encode()).raise_for_status()
    async with open_program(size=(80, 24)) as driver:
        await open_artifacts(driver, logged)
        await driver.until(lambda: "a-wide.txt" in driver.text)
        while "left ..." not in driver.text:
            await driver.press("down")
            await driver.settled()
        assert "... right" not in driver.text
        await driver.press(*["greater_than_sign"] * 5)
        await driver.until(lambda: "... right" in driver.text, "the end of the line")
        await driver.press(*["less_than_sign"] * 5)
        await driver.shows("left ...")


async def test_why_something_is_not_possible_is_read_whole(open_program: Open, logged: Served) -> None:
    async with open_program(size=(80, 24)) as driver:
        driver.go("run", project=logged.project.id, run=logged.version.origin.run_id or "")
        await driver.until(lambda: driver.screen.reason("register") is not None and driver.screen.run, "the run")
        await driver.press("R")
        await driver.shows("register model: not now, select a model folder under Artifacts first")


async def test_the_list_of_runs_marks_one_that_holds_a_model(
    open_program: Open, platform: Platform, logged: Served
) -> None:
    origin = logged.version.origin
    assert origin.experiment_id is not None
    # As clients of MLflow 2 note a model.
    note = {"run_id": origin.run_id, "key": "mlflow.log-model.history", "value": "[]"}
    with mlflow_client(platform.ask(lambda client: client.credentials(logged.project.id))) as http:
        http.post("/api/2.0/mlflow/runs/set-tag", json=note).raise_for_status()
    async with open_program(size=(120, 40)) as driver:
        driver.go("experiment", project=logged.project.id, experiment=origin.experiment_id)
        run = next(run for run in await driver.rows("experiment") if run.id == origin.run_id)
        await driver.shows(f"◆ {run.name}"[:18], "◆ holds a model · 1 run")


async def test_the_form_knows_every_model_and_what_would_be_stored(
    open_program: Open, platform: Platform, logged: Served
) -> None:
    begin = unique("Known")
    names = [f"{begin}-{number:02d}" for number in range(MAX_NAMES + 2)]
    with mlflow_client(platform.ask(lambda client: client.credentials(logged.project.id))) as http:
        for name in names:
            body = {"name": name, "description": "made without a version"}
            http.post("/api/2.0/mlflow/registered-models/create", json=body).raise_for_status()
    async with open_program(size=(120, 40)) as driver:
        await open_artifacts(driver, logged)
        await driver.until(lambda: driver.screen.reason("register") is None, "Register Model")
        await driver.press("R")
        await driver.shows("Register Model", f"{logged.version.archive_files} files, ")
        field = driver.app.screen.query_one("#name", Input)
        await driver.type(begin)
        await driver.shows("a new model, version 1", f"similar: {names[0]}, ")
        choices = driver.app.screen.query_one(NameList)
        await driver.until(lambda: str(choices.options[0].prompt).startswith(names[0]), "the first name is offered")
        await driver.press("right")
        await driver.shows("adds version 1")
        await driver.press("backspace", "backspace")
        await driver.type(names[-1][-2:])
        await driver.shows("adds version 1")
        assert field.value == names[-1]
        field.value = logged.version.model_name.lower()
        await driver.shows("a new model, version 1", f"similar: {logged.version.model_name}")
        field.value = logged.version.model_name
        await driver.press("enter")
        rows = await driver.rows("model")
        assert rows[0].version == 2


async def test_the_form_names_what_is_not_part_of_the_model(
    open_program: Open, platform: Platform, logged: Served
) -> None:
    project = logged.project.id
    with mlflow_client(platform.ask(lambda client: client.credentials(project))) as http:

        def post(call: str, **body: object) -> dict[str, Any]:
            return dict(http.post(f"/api/2.0/mlflow/{call}", json=body).raise_for_status().json())

        experiment = post("experiments/create", name=unique("mixed"))["experiment_id"]
        info = post("runs/create", experiment_id=experiment)["run"]["info"]
        model = post("logged-models", experiment_id=experiment, name="net", source_run_id=info["run_id"])["model"]
        files = {
            f"{model['info']['artifact_uri']}/MLmodel": "flavors: {python_function: {loader_module: m}}",
            f"{info['artifact_uri']}/net/plots/roc.txt": "roc",
        }
        for uri, text in files.items():
            path = uri.removeprefix("mlflow-artifacts:/")
            http.put(f"/api/2.0/mlflow-artifacts/artifacts/{path}", content=text.encode()).raise_for_status()
    async with open_program(size=(120, 40)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        place = Place("run", {"project": project, "run": info["run_id"]})
        place.state["tab"] = "artifacts"
        driver.app.jump(place)
        await driver.at("run")
        await driver.until(lambda: driver.screen.artifacts.tree_view.root.children, "the tree")
        await driver.until(lambda: driver.screen.reason("register") is None, "Register Model")
        await driver.press("enter")
        await driver.shows("MLmodel", "▶ plots")
        await driver.press("R")
        await driver.shows("Register Model", "1 file, ", "not part of the model: plots/roc.txt")
