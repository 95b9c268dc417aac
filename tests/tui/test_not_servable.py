"""A version that no replica can serve: the page and the Deploy form show the reason."""

from __future__ import annotations

import pytest
from textual.widgets import Button, Input

from registry_tui.schemas.models import RegisterModel
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Project
from registry_tui.terminal.commands import Place
from support.platforms import Platform, unique
from support.program import Open
from support.registered import log_model

MLMODEL = b"flavors: {h2o_mojo: {data: model.zip}}\n"


@pytest.fixture(scope="module")
def project(platform: Platform) -> Project:
    return platform.new_project()


async def test_a_model_without_python_function_cannot_be_deployed_from_the_screens(
    open_program: Open, platform: Platform, project: Project
) -> None:
    name = unique("mojo")
    run = log_model(platform, project, contents={"MLmodel": MLMODEL, "model.zip": b"PK"})
    request = RegisterModel(name=name, run_id=run.run_id, artifact_path=run.artifact_path)
    accepted = platform.ask(lambda client: client.register_model(project.id, request))
    ended = platform.ask(lambda client: client.wait_for_workflow(accepted.workflow.id))
    assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
    async with open_program(size=(140, 44)) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.app.jump(Place("model", {"registry": project.registry_id or "", "model": name}))
        await driver.shows("● Ready")
        await driver.press("enter")
        await driver.shows("Not servable", "python_function")
        row = driver.screen.current
        assert "no python_function flavor" in (driver.screen.row_why_not("deploy", row) or "")

        driver.app.jump(Place("project", {"project": project.id, "tab": "deployments"}))
        await driver.shows("Experiments", "Model Deployments")
        await driver.press("tab")
        await driver.shows("Nothing is deployed")
        await driver.press("D")
        await driver.shows("Registered Model: there are")
        form = driver.screen
        form.query_one("#model", Input).value = name
        await driver.until(lambda: form.chosen_model is not None, "the model")
        form.query_one("#version", Input).value = "1"
        await driver.shows("version 1 cannot be deployed", "python_function")
        assert form.query_one("#ok", Button).disabled
