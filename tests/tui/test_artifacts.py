"""A run's artifacts by keys on a real service: sizes of folders, and a model's card."""

from __future__ import annotations

import pytest

from registry_tui.commands import Place
from support.platforms import Platform
from support.program import Driver, Open
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
        await driver.press("enter", "down")
        await driver.shows("code  ", "code: a folder of 2, with 2 files and")
