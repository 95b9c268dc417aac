"""A project's experiments are made, renamed, deleted and restored by keys, on a terminal of 80 x 24."""

from __future__ import annotations

from registry_tui.schemas.places import Project
from registry_tui.screens.base.changing_experiments import CreateExperiment, RenameExperiment
from support.changing import asked, listed
from support.platforms import Platform
from support.program import Driver, Open

SIZE = (80, 24)


async def select(driver: Driver, name: str) -> None:
    """Moves the cursor to the experiment."""
    await driver.press("g")
    for _ in range(driver.screen.table.source.height):
        if driver.screen.table.current.name == name:
            return
        await driver.press("down")
    raise AssertionError(f"{name} is not listed")


async def create(driver: Driver, name: str) -> None:
    """Makes an experiment with the form."""
    await driver.press("n")
    await driver.until(lambda: isinstance(driver.screen, CreateExperiment), "the form")
    driver.screen.query_one("#name").value = name
    await driver.press("enter")
    await driver.at("project")


def names_of(platform: Platform, project: Project, deleted: bool = False) -> set[str]:
    return {each.name for each in platform.ask(lambda client: client.experiments(project.id, deleted=deleted)).items}


async def test_experiments_are_created_renamed_deleted_and_restored(platform: Platform, open_program: Open) -> None:
    project = platform.new_project()
    async with open_program(size=SIZE) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("project", project=project.id)
        await driver.rows("project")
        await listed(driver, "Default")

        # A name that is missing is refused in the form; a good one is made.
        await driver.press("n")
        await driver.until(lambda: isinstance(driver.screen, CreateExperiment), "the form")
        await driver.press("enter")
        await driver.shows("type a name")
        await driver.press("escape")
        await driver.at("project")
        await create(driver, "alpha")
        await create(driver, "beta")
        await listed(driver, "Default", "alpha", "beta", in_order=False)

        await select(driver, "alpha")
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.screen, RenameExperiment), "the form")
        driver.screen.query_one("#name").value = "gamma"
        await driver.press("enter")
        await listed(driver, "Default", "beta", "gamma", in_order=False)
        assert names_of(platform, project) == {"Default", "beta", "gamma"}

        # Deleting asks for confirmation, and enter presses Cancel.
        await select(driver, "gamma")
        await driver.press("ctrl+d")
        await asked(driver, "Delete 1 experiment", "gamma", "Restoring it brings them back")
        await driver.press("enter")
        await driver.at("project")
        assert names_of(platform, project) == {"Default", "beta", "gamma"}

        # Two marked ones go at once.
        await driver.press("space")
        await select(driver, "beta")
        await driver.press("space", "ctrl+d")
        await asked(driver, "Delete 2 experiments", "beta", "gamma")
        await driver.press("tab", "enter")
        await listed(driver, "Default")
        assert not driver.screen.table.marked
        assert names_of(platform, project, deleted=True) == {"beta", "gamma"}

        # The deleted ones are listed; one, then the rest, is restored.
        await driver.press("H")
        await listed(driver, "beta", "gamma", in_order=False)
        await driver.shows("deleted experiments")
        await driver.press("ctrl+d")
        await driver.shows("it is deleted; Z restores it")
        await select(driver, "gamma")
        await driver.press("Z")
        await listed(driver, "beta")
        await driver.press("H")
        await listed(driver, "Default", "gamma", in_order=False)
        await driver.press("Z")
        await driver.shows("H shows the deleted experiments")
        assert names_of(platform, project) == {"Default", "gamma"}


async def test_the_question_says_that_the_default_experiment_goes(platform: Platform, open_program: Open) -> None:
    project = platform.new_project()
    async with open_program(size=SIZE) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("project", project=project.id)
        await driver.rows("project")
        await listed(driver, "Default")
        await driver.press("ctrl+d")
        await asked(driver, "Delete 1 experiment", "Default", "code that chooses no experiment")
        await driver.press("tab", "enter")
        await listed(driver)
        await driver.press("H")
        await listed(driver, "Default")
        await driver.press("Z")
        await driver.shows("No deleted experiments")
        assert names_of(platform, project) == {"Default"}
        await driver.press("H")
        await listed(driver, "Default")
        await create(driver, "other")
        await listed(driver, "Default", "other", in_order=False)
        await driver.until(lambda: driver.screen.table.current.name == "other", "the cursor on the new experiment")
        await driver.press("ctrl+d")
        await asked(driver, "Delete 1 experiment", "other")
        await driver.shows("Nothing depends on it")
        await driver.until(lambda: not driver.screen.query_one("#more").display, "the end of looking")
        assert "chooses no experiment" not in driver.text
