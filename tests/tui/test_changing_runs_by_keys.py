"""Runs and experiments are changed by keys on a real service, on a terminal of 80 x 24."""

from __future__ import annotations

import getpass
from functools import partial
from typing import Any

import pytest

from registry_tui.schemas.places import CollaboratorChange, Project, Role
from registry_tui.schemas.tracking import ExperimentCreate, RunsChosen, RunSearch
from registry_tui.screens.tracking.changing_runs import EditRuns
from support.changing import asked, listed
from support.platforms import Platform, unique
from support.program import Driver, Open
from support.registered import mlflow_client

SIZE = (80, 24)


@pytest.fixture
def runs(platform: Platform) -> tuple[Project, str, list[str]]:
    """A project, an experiment and three of its runs: run 0, run 1, run 2."""
    project = platform.new_project()
    create = ExperimentCreate(name=unique("sweep"))
    experiment = platform.ask(lambda client: client.create_experiment(project.id, create)).id
    made = []
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        for number in range(3):
            body = {"experiment_id": experiment, "run_name": f"run {number}", "start_time": 1_700_000_000_000 + number}
            answer = http.post("/api/2.0/mlflow/runs/create", json=body).raise_for_status()
            made.append(answer.json()["run"]["info"]["run_id"])
    return project, experiment, made


def notes(driver: Driver) -> list[str]:
    """The program's notifications."""
    return [each.message for each in driver.app._notifications]


def names_of(platform: Platform, project: Project, experiment: str, deleted: bool = False) -> set[str]:
    search = RunSearch(experiment_ids=[experiment], deleted=deleted)
    return {run.name for run in platform.ask(lambda client: client.search_runs(project.id, search)).items}


async def test_runs_are_edited_deleted_and_restored_from_their_list(
    platform: Platform, open_program: Open, runs: tuple[Project, str, list[str]]
) -> None:
    project, experiment, ids = runs
    async with open_program(size=SIZE) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("experiment", project=project.id, experiment=experiment)
        await driver.rows("experiment")
        await listed(driver, "run 2", "run 1", "run 0")

        # One run: its name is in the form, the note and a tag are typed.
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.screen, EditRuns), "the form")
        form: Any = driver.screen
        form.query_one("#name").value = "best"
        form.query_one("#note").text = "keep it"
        form.query_one("#tags").value = "reviewed=yes"
        form.query_one("#name").focus()
        await driver.press("enter")
        await listed(driver, "best", "run 1", "run 0")
        found = await driver.app.client.run(project.id, ids[2])
        assert found.tags["mlflow.note.content"] == "keep it" and found.tags["reviewed"] == "yes"

        # Two marked ones: a name for both would be the same; only a tag is set.
        await driver.press("space", "space", "e")
        await driver.until(lambda: isinstance(driver.screen, EditRuns), "the form")
        await driver.shows("2 runs: best, run 1", "an empty field")
        driver.screen.query_one("#tags").value = "team=wine"
        driver.screen.query_one("#untag").value = "reviewed"
        await driver.press("enter")
        await driver.at("experiment")
        await driver.shows("Changed 2 runs")
        for run in ids[1:]:
            tags = (await driver.app.client.run(project.id, run)).tags
            assert tags["team"] == "wine" and "reviewed" not in tags
        assert not driver.screen.table.marked

        # Deleting asks for confirmation, starts on Cancel, and names the things to delete.
        await driver.press("g", "space", "space", "ctrl+d")
        await asked(driver, "Delete 2 runs", "best, run 1", "Restoring brings them back")
        await driver.press("enter")
        await driver.at("experiment")
        assert names_of(platform, project, experiment) == {"best", "run 1", "run 0"}
        await driver.press("ctrl+d")
        await asked(driver, "Delete 2 runs")
        await driver.press("tab", "enter")
        await listed(driver, "run 0")
        assert names_of(platform, project, experiment, deleted=True) == {"best", "run 1"}

        # The deleted ones are seen and restored.
        await driver.press("H")
        await listed(driver, "best", "run 1")
        await driver.shows("deleted runs", "deleted: 2 runs")
        await driver.press("ctrl+d")
        await driver.shows("these runs are deleted")
        await driver.press("g", "Z")
        await listed(driver, "run 1")
        await driver.press("H")
        await listed(driver, "best", "run 0")


async def test_what_was_not_changed_stays_marked_and_says_why(
    platform: Platform, open_program: Open, runs: tuple[Project, str, list[str]]
) -> None:
    project, experiment, ids = runs
    async with open_program(size=SIZE) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("experiment", project=project.id, experiment=experiment)
        await driver.rows("experiment")
        await listed(driver, "run 2", "run 1", "run 0")
        await driver.press("space", "space", "ctrl+d")
        await asked(driver, "Delete 2 runs", "run 2, run 1")
        # Somebody else deletes one of them meanwhile.
        await driver.app.client.delete_runs(project.id, RunsChosen(run_ids=ids[1:2]))
        await driver.press("tab", "enter")
        await driver.until(lambda: any("run 1 is deleted already" in said for said in notes(driver)), "the reason")
        assert any("Deleted 1 run; 1 was left unchanged" in said for said in notes(driver))
        await driver.until(lambda: list(driver.screen.table.marked) == ids[1:2], "the mark that stays")
        await listed(driver, "run 0")


async def test_who_may_only_look_reads_the_reason_beforehand(
    platform: Platform, open_program: Open, runs: tuple[Project, str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, experiment, _ = runs
    viewer = unique("viewer")
    platform.ask(lambda client: client.set_collaborator(project.id, viewer, CollaboratorChange(role=Role.VIEWER)))
    monkeypatch.setenv("REGISTRY_TUI_USER", viewer)
    async with open_program(size=SIZE) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("experiment", project=project.id, experiment=experiment)
        await driver.rows("experiment")
        await listed(driver, "run 2", "run 1", "run 0")
        page = driver.screen
        for key, action in (("ctrl+d", "delete"), ("e", "edit")):
            await driver.until(partial(page.reason, action), "the reason")
            await driver.press(key)
            await driver.shows(f"{action}: not now, you are viewer of project")
            assert driver.screen is page, "no question, and no form"


@pytest.mark.parametrize("deleting", [True, False])
async def test_who_loses_the_role_meanwhile_is_refused_with_the_reason(
    platform: Platform,
    open_program: Open,
    runs: tuple[Project, str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    deleting: bool,
) -> None:
    project, experiment, _ = runs
    member = unique("member")

    def give(role: Role) -> None:
        change = CollaboratorChange(role=role)
        platform.ask(lambda client: client.set_collaborator(project.id, member, change), getpass.getuser())

    give(Role.CONTRIBUTOR)
    monkeypatch.setenv("REGISTRY_TUI_USER", member)
    async with open_program(size=SIZE) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("experiment", project=project.id, experiment=experiment)
        await driver.rows("experiment")
        await listed(driver, "run 2", "run 1", "run 0")
        if deleting:
            await driver.press("ctrl+d")
            await asked(driver, "Delete 1 run")
            give(Role.VIEWER)
            await driver.press("tab", "enter")
            await driver.until(lambda: any("this needs contributor" in said for said in notes(driver)), "the reason")
        else:
            await driver.press("e")
            await driver.until(lambda: isinstance(driver.screen, EditRuns), "the form")
            driver.screen.query_one("#name").value = "mine"
            give(Role.VIEWER)
            await driver.press("enter")
            await driver.shows("is viewer of project", "Ask one of its administrators")
            assert driver.screen.query_one("#name").value == "mine", "what was typed stays"
    assert names_of(platform, project, experiment) == {"run 0", "run 1", "run 2"}


async def test_a_run_is_changed_from_its_page(
    platform: Platform, open_program: Open, runs: tuple[Project, str, list[str]]
) -> None:
    project, experiment, ids = runs
    async with open_program(size=SIZE) as driver:
        await driver.until(lambda: driver.app.answering, "the service")
        driver.go("run", project=project.id, run=ids[0])
        await driver.shows("run 0", "Status")
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.screen, EditRuns), "the form")
        driver.screen.query_one("#name").value = "renamed"
        await driver.press("enter")
        await driver.shows("Name            renamed")
        await driver.press("Z")
        await driver.shows("the run is not deleted")
        await driver.press("ctrl+d")
        await asked(driver, "Delete 1 run", "renamed")
        await driver.press("tab", "enter")
        await driver.shows("(deleted)")
        assert names_of(platform, project, experiment, deleted=True) == {"renamed"}
        await driver.press("Z")
        await driver.until(lambda: "(deleted)" not in driver.text, "the restored run")
        assert names_of(platform, project, experiment) == {"renamed", "run 1", "run 2"}
