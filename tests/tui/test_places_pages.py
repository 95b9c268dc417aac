"""Projects, a project's page with its collaborators, and environments, by keys on the real service."""

from __future__ import annotations

import pytest
from textual.widgets import Input, Select

from registry_tui.client.errors import NotFound
from registry_tui.schemas.places import EnvironmentCreate, Project, WorkspaceCreate
from registry_tui.screens.base.filter_bar import FilterBar
from registry_tui.terminal.commands import Place
from support.platforms import Platform, unique
from support.program import Open


async def test_projects_are_filtered(open_program: Open, platform: Platform, project: Project) -> None:
    workspace = unique("ws")
    environment = platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=unique("env"))))
    made = WorkspaceCreate(name=workspace, environment=environment.name)
    place = platform.ask(lambda client: client.create_workspace(made))
    other = platform.new_project(workspace)
    async with open_program() as driver:
        await driver.rows("registries")
        await driver.press("2")
        await driver.rows("projects")
        filters = driver.screen.query_one(FilterBar)
        await driver.until(lambda: (place.id, workspace) in filters.query_one("#f-workspace").choices, "the choices")

        def shown() -> list[str]:
            return [row.name for row in driver.screen.table.source.loaded_rows()]

        await driver.press("slash")
        await driver.type(project.name[:8].upper())
        await driver.until(lambda: project.name in shown() and other.name not in shown())
        filters.query_one("#f-name", Input).value = ""
        filters._set("workspace", place.id)
        await driver.until(lambda: shown() == [other.name])
        filters.query_one("#f-name", Input).value = other.name
        filters._set("workspace", "")
        filters._set("environment", project.environment_id)
        await driver.until(lambda: shown() == [])
        filters._set("environment", environment.id)
        await driver.until(lambda: shown() == [other.name])


async def test_a_projects_page_says_where_it_is_and_who_works_there(
    open_program: Open, platform: Platform, project: Project
) -> None:
    person = unique("eve")
    async with open_program() as driver:
        driver.app.jump(Place("project", {"project": project.id}))
        await driver.at("project")
        await driver.shows(f"workspace {project.workspace_name}", "✓ synchronized", "1 person")
        await driver.press("dollar_sign")
        await driver.shows(f'eval "$(registry-tui env --project {project.name})"')
        await driver.press("escape", "tab")
        await driver.shows("Nothing is deployed from this project")
        assert driver.screen.reason("deploy") is None
        await driver.press("p")
        await driver.shows("Collaborators of", "admin")
        people = driver.screen
        await driver.press("n")
        await driver.shows("Add collaborator")
        await driver.type(person)
        await driver.press("enter")
        await driver.until(lambda: driver.screen is people and len(people.people) == 2, "the new person")
        at = [each.user for each in people.people].index(person)
        people.query_one("#people").highlighted = at
        await driver.press("enter")
        await driver.shows(f"Role of {person}")
        driver.app.screen.query_one("#role", Select).value = "viewer"
        driver.app.screen.query_one("#ok").focus()
        await driver.press("enter")
        await driver.until(lambda: {each.user: each.role for each in people.people}.get(person) == "viewer")
        people.query_one("#people").highlighted = at
        await driver.press("ctrl+d")
        await driver.shows("can no longer enter")
        await driver.press("right", "enter")
        await driver.until(lambda: person not in {each.user for each in people.people})
        # The service's refusal is shown in place.
        await driver.press("n")
        await driver.type("../[/bold]")
        await driver.press("enter")
        await driver.until(lambda: driver.app.screen.query_one("#problem").display, "the refusal")
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is people)
        await driver.press("escape")
        await driver.at("project")


async def test_a_project_that_cannot_register_says_why(open_program: Open, platform: Platform) -> None:
    environment, workspace = unique("env"), unique("ws")
    platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=environment)))
    platform.ask(lambda client: client.create_workspace(WorkspaceCreate(name=workspace, environment=environment)))
    project = platform.new_project(workspace)
    async with open_program() as driver:
        driver.app.jump(Place("project", {"project": project.id}))
        await driver.shows("cannot register models", f"{environment} has no Model Registry")
        await driver.press("ctrl+x")
        await driver.shows("Delete project", "Stays: every version")
        driver.app.screen.query_one("#typed", Input).value = project.name
        await driver.press("enter")
        await driver.at("projects")
    with pytest.raises(NotFound):
        platform.ask(lambda client: client.project(project.id))


async def test_environments_show_workspaces_and_both_can_go(open_program: Open, platform: Platform) -> None:
    environment, workspace = unique("aa-env"), unique("ws")
    platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=environment)))
    async with open_program() as driver:
        await driver.rows("registries")
        await driver.press("5")
        await driver.rows("environments")
        await driver.on(environment)
        await driver.shows(f"{environment} has no workspace yet")
        assert "no Model Registry" in str(driver.screen.reason("open"))
        await driver.press("N")
        await driver.shows(f"Create workspace in {environment}")
        await driver.type(workspace)
        await driver.press("enter")
        await driver.shows(workspace, "not synchronized")
        # With a workspace inside, the service refuses.
        await driver.press("ctrl+d")
        await driver.shows("Delete environment")
        driver.app.screen.query_one("#typed", Input).value = environment
        await driver.press("enter")
        await driver.at("environments")
        assert platform.ask(lambda client: client.environment(environment)).workspace_count == 1
        await driver.press("tab", "ctrl+d")
        await driver.shows("Delete workspace")
        driver.app.screen.query_one("#typed", Input).value = workspace
        await driver.press("enter")
        await driver.shows(f"{environment} has no workspace yet")
        await driver.press("tab", "ctrl+d")
        await driver.shows("Delete environment")
        driver.app.screen.query_one("#typed", Input).value = environment
        await driver.press("enter")
        await driver.until(lambda: environment not in {row.name for row in driver.screen.table.source.loaded_rows()})
    with pytest.raises(NotFound):
        platform.ask(lambda client: client.environment(environment))
