"""A part of the platform goes away while somebody works: the screen stays, reports it, and recovers by itself."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
from textual.widgets import Button, Input

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.operations import WorkflowStatus
from support.platforms import Platform, unique
from support.program import Driver


async def test_a_dead_service_leaves_screen_and_input_alone_and_is_met_again(own_platform: Platform) -> None:
    name = unique("kept")
    app = RegistryApp(own_platform.client, start_platform=False)
    async with app.run_test(size=(120, 30)) as pilot:
        driver = Driver(app, pilot)
        await driver.rows("registries")
        await driver.press("2")
        await driver.rows("projects")
        await driver.press("n")
        await driver.shows("Create project")
        await driver.type(name)
        await asyncio.to_thread(own_platform.command, "down")
        await driver.press("enter")
        await driver.shows("not running", name)
        await driver.shows("service does not answer, ")
        assert app.screen.query_one("#name", Input).value == name
        await asyncio.to_thread(own_platform.up)
        await driver.until(lambda: app.answering, "the service to be met again")
        await driver.until(lambda: not app.screen.query_one("#ok", Button).disabled)
        await driver.press("enter")
        await driver.until(lambda: app.screen is app.frame, "the form to be taken")
        await driver.shows(name)


async def test_a_slow_service_is_told_and_one_that_answers_too_late_is_met_again(own_platform: Platform) -> None:
    # A client that waits on, so that "slow" stays until it was seen, and one that soon gives up.
    for patience, words in ((httpx.Timeout(600), "service slow, "), (httpx.Timeout(10), "service does not answer, ")):
        await meets_again(own_platform, patience, words)


async def meets_again(platform: Platform, patience: httpx.Timeout, words: str) -> None:
    """Stops the service while somebody works, and has it go on once these words about it are shown."""
    app = RegistryApp(lambda: RegistryClient(platform.home, patience=patience), start_platform=False)
    async with app.run_test(size=(120, 30)) as pilot:
        driver = Driver(app, pilot)
        await driver.rows("registries")
        await driver.press("2")
        await driver.rows("projects")
        await driver.settled()
        service = platform.running("service")
        os.kill(service, signal.SIGSTOP)
        try:
            await driver.press("1", "2")
            await driver.shows(words)
            assert app.answering == ("slow" in words)
        finally:
            os.kill(service, signal.SIGCONT)
        await driver.until(lambda: app.answering and app.waiting == 0, "the service to be met again")
        await driver.rows("projects")
        await driver.until(lambda: not any(words for _, _, words in app.parts_shown()), "all to be well")
        assert [part for part, _, _ in app.parts_shown()] == ["object-store", "mlflow", "service", "gateway"]


async def test_mlflow_restarting_is_told_and_what_is_shown_stays(own_platform: Platform) -> None:
    app = RegistryApp(own_platform.client, start_platform=False)
    async with app.run_test(size=(120, 30)) as pilot:
        driver = Driver(app, pilot)
        await driver.rows("registries")
        await driver.press("2")
        await driver.rows("projects")
        await driver.press("enter")
        await driver.rows("project")
        shown = [row.name for row in driver.screen.table.source.loaded_rows()]
        # Not killed at once: it may be back before anybody has looked.
        os.kill(own_platform.running("mlflow"), signal.SIGSTOP)
        await driver.until(lambda: any("mlflow" in line and " s" in line for line in last_line(driver)), "the words")
        await asyncio.to_thread(own_platform.kill, "mlflow")
        await driver.press("ctrl+r")
        assert [row.name for row in driver.screen.table.source.loaded_rows()] == shown
        await driver.until(lambda: not any(words for _, _, words in app.parts_shown()), "mlflow to be well again")
        assert [row.name for row in driver.screen.table.source.loaded_rows()] == shown


class Looking(RegistryApp):
    """The program, which counts how often it looks by itself."""

    looks = 0

    async def _look(self) -> None:
        self.looks += 1
        await super()._look()


async def test_activity_and_badge_follow_what_others_do(own_platform: Platform) -> None:
    app = Looking(own_platform.client, start_platform=False)
    async with app.run_test(size=(120, 30)) as pilot:
        driver = Driver(app, pilot)
        await driver.rows("registries")
        registry = driver.screen.table.source.loaded_rows()[0]
        await driver.press("6")
        await driver.rows("activity")
        await driver.until(lambda: app._following, "the stream of changes")
        looks = app.looks
        async with own_platform.client() as other:
            accepted = await other.synchronize_registry(registry.id)
            await driver.until(
                lambda: any(row.id == accepted.workflow.id for row in driver.screen.table.source.loaded_rows())
            )
            assert app.looks == looks, "the stream told it, not a later look"
            await driver.until(
                lambda: (
                    driver.screen.table.source.loaded_rows()[0].id == accepted.workflow.id
                    and driver.screen.table.source.loaded_rows()[0].status == WorkflowStatus.SUCCEEDED
                )
            )
            await driver.until(lambda: app.running == 0)


def last_line(driver: Driver) -> list[str]:
    return driver.text.splitlines()[-1:]
