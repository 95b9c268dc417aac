"""Long lists on a real service: no action ever loads them as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from textual.widgets import Input

from registry_tui.app.app import RegistryApp
from registry_tui.terminal.commands import Place
from support.many_models import MANY, fill_models
from support.many_runs import fill
from support.platforms import Platform
from support.program import Driver

RUNS, MODELS, VERSIONS = 20_000, 2_000, 2_000
#: Pages of a hundred rows that one act may ask for: those in view, and those next to them.
FEW = 3


class Asked:
    """The requests of a client for lists of runs, models and versions."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def note(self, request: httpx.Request) -> None:
        if request.url.path.endswith(("/runs/search", "/models", "/versions")):
            self.paths.append(request.url.path)

    def pages(self) -> int:
        """How many since the last call."""
        count = len(self.paths)
        self.paths.clear()
        return count


@pytest.fixture(scope="module")
def filled(own_platform: Platform) -> tuple[Platform, str, str]:
    """A platform with long lists, the project and the experiment of the runs."""
    project = own_platform.new_project()
    database = own_platform.home.mlflow_database
    experiment = fill(database, RUNS, workspace=project.mlflow_workspace, metrics=3)
    registry = own_platform.ask(lambda client: client.registry("registry-local"))
    fill_models(database, MODELS, VERSIONS, workspace=registry.mlflow_workspace)
    own_platform.command("restart", "mlflow")
    return own_platform, project.id, str(experiment)


@asynccontextmanager
async def opened(platform: Platform) -> AsyncIterator[tuple[Driver, Asked]]:
    asked, client = Asked(), platform.client()
    client._http.event_hooks["request"].append(asked.note)
    app = RegistryApp(lambda: client, start_platform=False)
    async with app.run_test(size=(120, 40)) as pilot:
        yield Driver(app, pilot), asked


async def at_row(driver: Driver, name: str) -> None:
    """Waits until the cursor is on a row whose line begins so, and nothing is being fetched."""

    def there() -> bool:
        table = driver.screen.table
        return str(table.columns[0].cell(table.current)).startswith(name) and table.source.next_step() is None

    await driver.until(there, name)


async def filtered(driver: Driver, text: str) -> None:
    """Filters the list by a text that is pasted: how many questions slow keys bring about depends on the machine."""
    await driver.press("slash")
    await driver.until(lambda: isinstance(driver.app.focused, Input), "the filter")
    field = driver.app.focused
    assert isinstance(field, Input)
    field.value = text
    await driver.press("enter")


async def test_runs_are_opened_filtered_sorted_and_seen_to_their_end(filled: tuple[Platform, str, str]) -> None:
    platform, project, experiment = filled
    async with opened(platform) as (driver, asked):
        driver.app.jump(Place("experiment", {"project": project, "experiment": experiment}))
        await driver.at("experiment")
        await at_row(driver, f"run-{RUNS - 1}")
        assert asked.pages() <= FEW
        await driver.press("end")
        await at_row(driver, "run-0")
        assert asked.pages() <= FEW
        await driver.press("home")
        await at_row(driver, f"run-{RUNS - 1}")
        driver.screen.sort("attribute started", False)
        await at_row(driver, "run-0")
        assert asked.pages() <= FEW
        await driver.press("slash")
        await driver.type("metrics.m0 < 0.5 and attributes.run_name LIKE 'run-1%'".replace("'", '"'))
        await driver.press("enter")
        await at_row(driver, "run-1")
        assert asked.pages() <= FEW
        assert len(driver.screen.table.source.loaded_rows()) <= FEW * 100


async def test_models_and_versions_are_opened_searched_and_seen_to_their_end(
    filled: tuple[Platform, str, str],
) -> None:
    platform, _, _ = filled
    async with opened(platform) as (driver, asked):
        driver.app.jump(Place("models"))
        await driver.at("models")
        await at_row(driver, "model-000000")
        assert asked.pages() <= FEW
        await driver.press("end")
        await at_row(driver, MANY)
        assert asked.pages() <= FEW
        await driver.press("home")
        await filtered(driver, "WHAT MODEL-00077")
        await at_row(driver, "model-000770")
        await driver.until(lambda: driver.screen.table.source.total == 10)
        assert asked.pages() <= 2 * FEW
        driver.app.jump(Place("model", {"registry": "registry-local", "model": MANY}))
        await driver.at("model")
        await driver.until(lambda: driver.screen.table.current.version == VERSIONS)
        await driver.press("end")
        await driver.until(lambda: driver.screen.table.current.version == 1)
        assert asked.pages() <= 2 * FEW
        assert len(driver.screen.table.source.loaded_rows()) <= 2 * FEW * 100
        await filtered(driver, "v777")
        await driver.until(lambda: [row.version for row in driver.screen.table.source.loaded_rows()] == [777])
        assert asked.pages() <= 2 * FEW
