"""A deployment's page by keys on a real service: trying it, logs of ended replicas too, builds, settings, rollback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.widgets import Input, Select

from registry_tui.schemas.canaries import Canary
from registry_tui.schemas.deployments import Deployment, DeploymentUpdate, EnvironmentVariable
from registry_tui.schemas.operations import Accepted
from registry_tui.screens.deployments.change_deployment import ChangeForm
from registry_tui.terminal.commands import Place
from support.platforms import Platform
from support.program import Driver, Open
from support.served import Served, deploy, finish, register, split, with_columns


@pytest.fixture(scope="module")
def changed(platform: Platform) -> Deployment:
    """Version 1, then version 2, each with one replica; a secret variable."""
    project = platform.new_project()
    first = register(platform, project, add=10, example=split(a=[1.0], b=[2.0]))
    second: Served = register(platform, project, first.version.model_name, add=20, example=split(a=[1.0], b=[2.0]))
    variables = (
        EnvironmentVariable(name="TOKEN", value="hush", secret=True),
        EnvironmentVariable(name="A", value="1,2"),
    )
    deployment = deploy(platform, second, version=1, environment=variables)
    accepted = platform.ask(lambda client: client.update_deployment(deployment.id, DeploymentUpdate(version=2)))
    assert isinstance(accepted, Accepted)
    finish(platform, accepted.workflow)
    return deployment


async def go(driver: Driver, deployment: Deployment) -> None:
    await driver.until(lambda: driver.app.answering, "the service")
    driver.app.jump(Place("deployment", {"deployment": deployment.id}))
    await driver.shows(deployment.name, "v2", "● ready", "need no API key")


async def test_logs_are_filtered_turned_and_saved(
    open_program: Open, changed: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_program(size=(80, 24)) as driver:
        await go(driver, changed)
        await driver.press("l")
        await driver.shows("replica 2-0, v2, following", ". next (1 of 2)", "startup complete")
        await driver.press("slash")
        await driver.type("loaded in")
        await driver.press("enter")
        await driver.until(lambda: "startup complete" not in driver.text and "loaded in" in driver.text, "the filter")
        await driver.press("full_stop")
        await driver.shows("replica 1-0, v1, gone", ". next (2 of 2)", "INFO loaded in")
        await driver.press("w")
        await driver.shows("Save the log of replica 1-0")
        await driver.press("enter")
        saved = tmp_path / f"{changed.name}-1-0.log"
        await driver.until(lambda: saved.exists() and "saved" in driver.text, "the file")
        # All lines, not only those that the filter leaves.
        assert "Finished server process" in saved.read_text()


async def test_builds_history_and_settings(open_program: Open, changed: Deployment) -> None:
    async with open_program(size=(110, 34)) as driver:
        await go(driver, changed)
        assert driver.screen.reason("open") is not None
        await driver.press(*["tab"] * 5)
        await driver.shows("● built", "platform")
        await driver.press("enter")
        await driver.at("workflow")
        await driver.shows("the platform's environment satisfies all requirements")
        await driver.press("escape")
        await driver.at("deployment")
        await driver.shows("● built")
        await driver.press("tab")
        await driver.shows("● active", "○ replaced")
        await driver.press("tab")
        await driver.shows("variable TOKEN      (secret)", "variable A          1,2", "revision 2")
        assert "hush" not in driver.text


async def test_the_history_says_what_served_at_a_moment(open_program: Open, changed: Deployment) -> None:
    async with open_program(size=(120, 34)) as driver:
        await go(driver, changed)
        await driver.press("apostrophe")
        await driver.shows(f"Versions that {changed.name} served", f"{changed.model_name} v2 (revision 2)", "before:")
        await driver.press("pageup")
        await driver.shows(f"{changed.model_name} v1 (revision 1)", "deployed by", "after:")
        field = driver.app.screen.query_one("#moment", Input)
        field.value = "2020-01-01 14:03"
        await driver.press("enter")
        await driver.shows("2020-01-01 14:03:00", "was not deployed yet", "after:")
        await driver.press("pagedown")
        await driver.shows(f"{changed.model_name} v1 (revision 1)")
        field.value = "last Tuesday"
        await driver.press("enter")
        await driver.shows("'last Tuesday' is not a date and time")
        await driver.press("escape")
        await driver.at("deployment")
        # Under History it begins at the selected revision: the first one, while it was rolled out.
        while driver.screen.tab != "history":
            await driver.press("tab")
        await driver.until(lambda: driver.screen.query_one("#revisions").current is not None, "a revision")
        await driver.press("down", "apostrophe")
        await driver.shows("being rolled out:", f"{changed.model_name} v1 (revision 1)")


async def test_a_request_is_tried_and_copied(open_program: Open, changed: Deployment) -> None:
    async with open_program(size=(110, 34)) as driver:
        await go(driver, changed)
        await driver.press("C")
        await driver.shows("the request in Python   send a test first", "registry-tui", "deployments show")
        await driver.press("escape")
        await driver.press("T")
        await driver.shows("dataframe_split", "ctrl+t sends   the model's input example")
        await driver.press("ctrl+t")
        await driver.shows("200", "23.0")
        await driver.press("c")
        await driver.until(lambda: "curl" in driver.app.clipboard, "the curl command line")
        await driver.press("C")
        await driver.shows("the request in Python")
        await driver.press("end", "up", "enter")
        await driver.until(lambda: "import " in driver.app.clipboard, "the request in Python")
        await driver.press("T", "ctrl+a")
        await driver.type("{")
        await driver.press("ctrl+t")
        await driver.shows("400")


async def test_a_request_is_tried_in_every_protocol_of_the_endpoint(open_program: Open, platform: Platform) -> None:
    deployment = await asyncio.to_thread(lambda: deploy(platform, with_columns(platform)))
    async with open_program(size=(80, 24)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("deployment", {"deployment": deployment.id}))
        await driver.shows(deployment.name, "● ready")
        await driver.press("T")
        await driver.shows("dataframe_split", "invocations   ctrl+o others")
        await driver.press("ctrl+o")
        await driver.shows('"datatype": "FP64"', "infer   ctrl+o others")
        await driver.press("ctrl+t")
        await driver.shows("200", '"outputs"')
        await driver.press("T", "ctrl+o")
        await driver.shows("dataframe_split", "invocations   ctrl+o others")


async def test_a_change_keeps_variables_with_commas_and_can_be_left_by_its_button(
    open_program: Open, platform: Platform, changed: Deployment
) -> None:
    def variables() -> dict[str, str | None]:
        active = platform.ask(lambda client: client.revisions(changed.id))[0]
        return {each.name: each.value for each in active.environment}

    before = variables()
    async with open_program(size=(110, 44)) as driver:
        await go(driver, changed)
        for _ in range(2):  # esc leaves the form, and so does its button
            await driver.press("e")
            await driver.shows("Change", "A=1,2")
            await driver.press("²")
            await driver.shows("Version or alias  ²")
            driver.screen.query_one("#cancel").focus()
            await driver.press("enter")
            await driver.at("deployment")
        await driver.press("e")
        await driver.shows("Change", "A=1,2")
        driver.screen.query_one("#replicas").value = "2"
        driver.screen.query_one("#ok").focus()
        await driver.press("enter")
        await driver.at("deployment")
    assert platform.ask(lambda client: client.deployment(changed.id)).replicas_wanted == 2
    assert variables() == before == {"TOKEN": None, "A": "1,2"}


async def test_what_served_before_is_one_key_away(open_program: Open, platform: Platform, changed: Deployment) -> None:
    async with open_program(size=(150, 34)) as driver:
        await go(driver, changed)
        await driver.press("u")
        await driver.until(lambda: platform.ask(lambda client: client.deployment(changed.id)).version == 1, "version 1")
        await driver.shows("v1", "● deployed")
        # Any revision of the history can be had again.
        while driver.screen.tab != "history":
            await driver.press("tab")
        await driver.shows("● active", "○ replaced")
        assert driver.screen.reason("redeploy") == "revision 4 serves already"
        await driver.press("down", "D")
        await driver.shows("rolled back to revision 3", "v2", "● deployed")


async def test_a_version_is_tried_as_the_form_says(open_program: Open, platform: Platform, tmp_path: Path) -> None:
    project = platform.new_project()
    first = register(platform, project, add=10, example=split(a=[1.0], b=[2.0]))
    second = register(platform, project, first.version.model_name, add=20, example=split(a=[1.0], b=[2.0]))
    deployment = deploy(platform, second, version=1)
    async with open_program(size=(110, 44)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("deployment", {"deployment": deployment.id}))
        await driver.shows(deployment.name, "v1", "● ready")
        await driver.press("e")
        await driver.shows("Change", "Strategy")
        form = driver.screen
        assert isinstance(form, ChangeForm)
        # Rows without an effect are not there.
        assert "Each step lasts" not in driver.text and "On alias moves" not in driver.text
        form.query_one("#strategy", Select).value = "canary"
        await driver.shows("Each step lasts", "p99 at most")
        assert "Tolerance" not in driver.text
        assert "nothing to try" in str(form.problem_of())
        fields = {"version": "2", "steps": "50,100", "pause-after": "50", "max-p99": "9s", "min-requests": "0"}
        for name, value in fields.items():
            form.query_one(f"#{name}", Input).value = value
        await driver.until(lambda: form.problem_of() is None, "the input")
        form.query_one("#steps", Input).value = "50,20"
        await driver.until(lambda: "each larger than the one before" in str(form.problem_of()), "the problem")
        form.query_one("#steps", Input).value = "50,100"
        form.query_one("#version").focus()
        await driver.press("ctrl+o")
        words = "--strategy canary --steps 50,100 --pause-after 50 --max-p99 9s --min-requests 0"
        await driver.until(lambda: words in driver.app.clipboard, "the command line")
        form.query_one("#ok").focus()
        await driver.press("enter")
        await driver.until(lambda: _canary(platform, deployment) is not None, "the canary")
    found = _canary(platform, deployment)
    assert found is not None
    assert (found.steps, found.pause_after, found.max_p99_seconds, found.min_requests) == ([50, 100], 50, 9.0, 0)


def _canary(platform: Platform, deployment: Deployment) -> Canary | None:
    return platform.ask(lambda client: client.deployment(deployment.id)).canary
