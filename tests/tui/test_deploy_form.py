"""Deploying from the destination project, and taking a secret away, by keys on a real service."""

from __future__ import annotations

import pytest
from textual.widgets import Button, Input, Select

from registry_tui.schemas.deployments import Deployment, DeploymentState, EnvironmentVariable
from registry_tui.screens.base.form import Tick
from registry_tui.screens.deployments.deploy import DeployForm
from registry_tui.terminal.commands import Place
from support.platforms import Platform, unique
from support.program import Open
from support.served import Served, deploy, register


@pytest.fixture(scope="module")
def served(platform: Platform) -> Served:
    return register(platform, platform.new_project(), add=10)


async def test_a_registered_model_is_deployed_from_the_destination_project(
    open_program: Open, platform: Platform, served: Served
) -> None:
    name = served.version.model_name
    async with open_program(size=(100, 40)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("project", {"project": served.project.id, "tab": "deployments"}))
        await driver.shows("Experiments", "Model Deployments")
        await driver.press("tab")
        await driver.shows("Nothing is deployed")
        await driver.press("D")
        await driver.shows("[x] Deploy registered model", "Registered Model: there are")
        form = driver.screen
        # Without it, the form names the required step, and accepts nothing.
        await driver.press("shift+tab", "space")
        await driver.shows("[ ] Deploy registered model", "registered first", "R Register Model")
        await driver.until(lambda: form.query_one("#ok", Button).disabled and form.query_one("#model").disabled)
        await driver.press("space")
        await driver.shows("[x] Deploy registered model")
        await driver.press("tab")
        await driver.type(name[:-2])
        await driver.shows(f"→ takes {name}")
        await driver.press("right")
        await driver.shows(name, "Version or alias: latest is 1")
        await driver.press("tab")
        await driver.type("1")
        await driver.shows("version 1", "suggested memory")
        await driver.press("enter")
        await driver.at("deployment")
        await driver.shows("● deployed")
    found = platform.ask(lambda client: client.deployments(project=served.project.id)).items
    assert [(each.model_name, each.version, each.state) for each in found] == [(name, 1, DeploymentState.DEPLOYED)]


async def test_how_an_alias_is_followed_is_chosen_when_it_is_deployed(
    open_program: Open, platform: Platform, served: Served
) -> None:
    project, name = served.project, unique("d")
    platform.ask(lambda client: client.set_alias(served.registry, served.version.model_name, "champion", 1))
    model = platform.ask(lambda client: client.model(served.registry, served.version.model_name))
    async with open_program(size=(110, 50)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        form = DeployForm(project, model)
        driver.app.push_screen(form)
        await driver.shows("Version or alias: latest is 1; aliases: champion")
        assert "On alias moves" not in driver.text and "Each step lasts" not in driver.text
        form.query_one("#version", Input).value = "champion"
        form.query_one("#name", Input).value = name
        await driver.shows("version 1", "suggested memory")
        form.query_one("#follow", Tick).value = True
        await driver.shows("On alias moves")
        assert "Each step lasts" not in driver.text
        form.query_one("#follow-strategy", Select).value = "canary"
        await driver.shows("Each step lasts", "p99 at most")
        form.query_one("#steps", Input).value = "50,20"
        await driver.until(lambda: "each larger than the one before" in str(form.problem_of()), "the problem")
        form.query_one("#steps", Input).value = "50,100"
        await driver.until(lambda: form.problem_of() is None, "the input")
        form.query_one("#version").focus()
        await driver.press("ctrl+o")
        words = "--follow-strategy canary --steps 50,100"
        await driver.until(lambda: words in driver.app.clipboard, "the command line")
        form.query_one("#ok").focus()
        await driver.press("enter")
        await driver.until(lambda: _named(platform, name) is not None, "the deployment")
    found = _named(platform, name)
    assert found is not None and found.follow_alias and found.follow_rollout is not None
    assert (found.follow_rollout.strategy.value, found.follow_rollout.steps) == ("canary", [50, 100])


def _named(platform: Platform, name: str) -> Deployment | None:
    found = platform.ask(lambda client: client.deployments()).items
    return next((each for each in found if each.name == name), None)


async def test_a_secret_variable_can_be_taken_away(open_program: Open, platform: Platform, served: Served) -> None:
    variables = tuple(EnvironmentVariable(name=name, value="hush", secret=True) for name in ("TOKEN", "OTHER"))
    deployment = deploy(platform, served, environment=variables)
    async with open_program(size=(100, 44)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("deployment", {"deployment": deployment.id}))
        await driver.shows(deployment.name, "● ready")
        await driver.press("e")
        await driver.shows("secret now: TOKEN, OTHER")
        form = driver.screen
        form.query_one("#removed").focus()
        await driver.type("NONE")
        await driver.until(lambda: form.query_one("#ok", Button).disabled, "OK not possible")
        form.query_one("#removed").value = "TOKEN"
        await driver.until(lambda: not form.query_one("#ok", Button).disabled)
        await driver.press("enter")
        await driver.at("deployment")
    active = platform.ask(lambda client: client.revisions(deployment.id))[0]
    assert [(each.name, each.secret) for each in active.environment] == [("OTHER", True)]
