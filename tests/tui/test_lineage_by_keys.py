"""The lineage of a version by keys: the tree, an opened row, the page behind it, and the question before deleting."""

from __future__ import annotations

import pytest

from registry_tui.client import RegistryClient
from registry_tui.screens.base.lineage import LineageBox
from registry_tui.terminal.commands import Place
from registry_tui.widgets.virtual_table import VirtualTable
from support.platforms import Platform
from support.program import Open
from support.served import Served, register


@pytest.fixture(scope="module")
def one(platform: Platform) -> Served:
    made = register(platform, platform.new_project(), add=1)
    platform.call(RegistryClient.set_alias, made.registry, made.version.model_name, "champion", 1)
    return made


async def test_a_versions_tree_opens_and_leads_to_its_run(open_program: Open, one: Served) -> None:
    async with open_program(size=(100, 30)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("model", {"registry": one.registry, "model": one.version.model_name}))
        await driver.rows("model")
        await driver.press("L")
        await driver.until(lambda: isinstance(driver.app.screen, LineageBox), "the box")
        await driver.shows("← came from", "→ named by", "champion")
        table = driver.app.screen.query_one("#lineage", VirtualTable)
        await driver.until(lambda: table.current is not None, "a row")
        await driver.press("right")
        await driver.shows("in experiment")
        await driver.press("enter")
        await driver.at("run")
        await driver.press("escape")
        await driver.at("model")
        await driver.press("ctrl+d")
        await driver.shows("alias champion", "Delete version")
        await driver.press("escape")
