"""The program's flows on the real service, by keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.widgets import Input, TextArea

from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import EnvironmentCreate, Project, WorkspaceCreate
from registry_tui.terminal.actions import ALL
from registry_tui.terminal.commands import SCREENS, Place
from support.platforms import Platform, unique
from support.program import Open

LOG = """
import sys, mlflow, numpy
from sklearn.linear_model import ElasticNet
mlflow.set_experiment("sweep")
for alpha in (0.1, 0.5, 0.9):
    with mlflow.start_run(run_name=f"alpha-{alpha}"):
        mlflow.log_param("alpha", alpha)
        for step in range(5):
            mlflow.log_metric("rmse", alpha / (step + 1), step=step)
        mlflow.set_tag("owner", "[/bold]\\x1b]0;pwned\\x07 \\u202egnp.exe")
        mlflow.log_text("a,b\\n1,2\\n", "tables/sums.csv")
with mlflow.start_run(run_name="with-model"):
    mlflow.log_param("alpha", 1.0)
    mlflow.log_metric("rmse", float("nan"))
    model = ElasticNet().fit(numpy.arange(8.0).reshape(4, 2), [1.0, 2.0, 3.0, 4.0])
    mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
"""


async def test_runs_are_filtered_and_sorted_by_the_server(
    open_program: Open, project: Project, sdk: Callable[..., str]
) -> None:
    sdk(LOG)
    async with open_program() as driver:
        driver.app.jump(Place("project", {"project": project.id}))
        await driver.rows("project")
        await driver.on("sweep")
        await driver.press("enter")
        runs = await driver.rows("experiment")
        assert [run.name for run in runs] == ["with-model", "alpha-0.9", "alpha-0.5", "alpha-0.1"]
        await driver.shows("alpha", "rmse", "NaN")

        await driver.press("slash")
        await driver.type("metrics.rmse < 0.15")
        await driver.press("enter")
        await driver.until(lambda: [run.name for run in driver.screen.table.source.loaded_rows()][-1] == "alpha-0.1")
        assert len(driver.screen.table.source.loaded_rows()) == 2

        await driver.press("slash")
        driver.screen.query_one("#filter", Input).value = "metrics.rmse ~ 1"
        await driver.press("enter")
        await driver.until(lambda: driver.screen.query_one("#wrong").display, "the complaint")
        await driver.press("end", *["backspace"] * 30, "enter")
        await driver.until(lambda: len(driver.screen.table.source.loaded_rows()) == 4)

        driver.screen.sort("metric rmse", False)
        await driver.until(lambda: driver.screen.table.source.loaded_rows()[0].name == "alpha-0.1")


async def test_a_run_shows_its_metrics_artifacts_and_hostile_tags(
    open_program: Open, project: Project, sdk: Callable[..., str]
) -> None:
    sdk(LOG)
    async with open_program() as driver:
        driver.app.jump(Place("project", {"project": project.id}))
        await driver.rows("project")
        await driver.press("enter")
        await driver.rows("experiment")
        await driver.press("down", "enter")
        await driver.at("run")
        await driver.shows("alpha-0.9", "Overview")
        await driver.press("tab")
        await driver.until(lambda: driver.app.focused is driver.screen.query_one("#metric-names"))
        await driver.shows("rmse  0.18", "● rmse")
        await driver.press("tab")
        await driver.until(lambda: driver.app.focused is driver.screen.query_one("#tree"))
        await driver.shows("tables")
        await driver.press("enter")
        await driver.shows("sums.csv")
        await driver.press("down")
        await driver.shows("a  b")
        assert "select a model folder" in str(driver.screen.reason("register"))
        await driver.press("tab")
        await driver.shows("Params", "0.9")
        await driver.until(lambda: driver.app.focused is driver.screen.query_one("#params-scroll"))
        await driver.press("tab")
        await driver.shows("[/bold]␛]0;pwned␇", "⟨202E⟩")


async def test_registering_again_adds_a_version_and_the_panel_follows(
    open_program: Open, platform: Platform, project: Project, sdk: Callable[..., str]
) -> None:
    sdk(LOG)
    name = unique("Panel")
    registry = project.registry_id
    assert registry is not None
    async with open_program(size=(120, 40)) as driver:
        for number in (1, 2):
            driver.app.jump(Place("project", {"project": project.id}))
            await driver.rows("project")
            await driver.press("enter")
            await driver.rows("experiment")
            await driver.press("enter")
            await driver.at("run")
            await driver.shows("Overview", "with-model")
            await driver.press("tab", "tab")
            await driver.until(lambda: driver.app.focused is driver.screen.query_one("#tree"))
            await driver.until(lambda: driver.screen.reason("register") is None, "Register Model")
            await driver.press("R")
            await driver.shows("Register Model")
            await driver.type(name)
            await driver.shows("adds version 2" if number == 2 else "a new model, version 1")
            driver.app.screen.query_one("#notes", TextArea).text = f"note {number}"
            await driver.press("enter")
            await driver.rows("model")
        await driver.until(lambda: all(row.status == "READY" for row in driver.screen.table.source.loaded_rows()))
        await driver.until(lambda: len(driver.screen.table.source.loaded_rows()) == 2)
        await driver.press("enter")
        await driver.shows("Version 2", "note 2", "with-model")
        await driver.press("down")
        await driver.shows("Version 1", "note 1")
        await driver.press("escape")
        await driver.until(lambda: not driver.screen.panel_open)
        await driver.press("A")
        await driver.shows("Alias for version 1")
        await driver.type("champion")
        await driver.press("enter")
        await driver.shows("champion")
        # The form stays until the service has answered.
        await driver.until(lambda: hasattr(driver.screen, "panel_open"))
    model = platform.ask(lambda client: client.model(registry, name))
    assert model.aliases == {"champion": 1}


async def test_a_registry_is_created_synchronized_and_deleted(open_program: Open, platform: Platform) -> None:
    name = unique("tui")
    platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=name)))
    workspace = f"{name}-w"[:40]
    platform.ask(lambda client: client.create_workspace(WorkspaceCreate(name=workspace, environment=name)))
    registry = f"registry-{name}"
    async with open_program(size=(120, 40)) as driver:
        await driver.rows("registries")
        await driver.press("n")
        await driver.shows("Create Model Registry")
        await driver.until(lambda: driver.screen.environments)
        choices = driver.screen.query_one("#environment")
        choices.highlighted = [each.name for each in driver.screen.environments].index(name)
        await driver.until(lambda: driver.screen.chosen.name == name)
        driver.app.screen.query_one("#name", Input).focus()
        await driver.press("enter")
        await driver.at("registries")

        def found() -> object:
            rows = platform.ask(lambda client: client.registries(name=registry)).items
            return rows and rows[0].status.label == "Available"

        await driver.until(found, "the registry")
        driver.app.jump(Place("registry", {"registry": registry}))
        await driver.shows(registry, "Available", "Workload user name")
        await driver.press("s")
        await driver.shows("Synchronize", workspace, "never synchronized")
        await driver.press("enter")
        await driver.shows("Done.", f"{workspace}  ✓ synchronized")
        await driver.press("enter")
        await driver.at("registry")
        await driver.shows(registry, "Available", "✓ synchronized")
        await driver.press("ctrl+d")
        await driver.shows("Delete", "Type")
        driver.app.screen.query_one("#typed", Input).value = registry
        await driver.press("enter")
        await driver.at("workflow")
        await driver.until(lambda: driver.screen.work.status is WorkflowStatus.SUCCEEDED)
    assert platform.ask(lambda client: client.registries(name=registry)).items == []


@pytest.mark.parametrize("size", [(80, 24), (170, 50)])
async def test_every_section_opens_at_every_size(open_program: Open, size: tuple[int, int]) -> None:
    async with open_program(size=size) as driver:
        await driver.rows("registries")
        sections = ("registries", "projects", "models", "deployments", "environments", "activity")
        for number, section in enumerate(sections, start=1):
            await driver.press(str(number))
            await driver.at(section)
            await driver.press("question_mark")
            await driver.shows("What you can do here")
            await driver.press("escape")
        await driver.press("left_square_bracket")
        await driver.at("environments")


def test_every_screen_answers_for_its_actions() -> None:
    """A key that is bound to nothing would end the program."""
    import importlib

    for module, name in (place.split(":") for place in SCREENS.values()):
        screen = getattr(importlib.import_module(module), name)
        missing = [action.id for action in screen.ACTIONS if not hasattr(screen, f"do_{action.id}")]
        assert not missing, f"{name} has no do_ for {missing}"
        assert screen.ACTIONS in ALL.values()
