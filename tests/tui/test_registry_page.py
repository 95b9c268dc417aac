"""A Model Registry's page on the real service: details, events and logs, models, storage with clean-up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from textual.widgets import Checkbox, Input, OptionList, Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.models import RegisterModel
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Cloud, EnvironmentCreate, Project
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate
from registry_tui.screens.base.filter_bar import Choice, FilterBar
from registry_tui.screens.registries.create_registry import CreateRegistry
from registry_tui.screens.registries.registry_actions import DeleteRegistry
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import EventRow, LogLineRow, WorkflowRow
from registry_tui.terminal.commands import Place
from support.holding import Holding, about_one_workflow
from support.machine_users import new_registry, take_access_away
from support.platforms import Platform, eventually, unique
from support.program import Driver, Open
from support.registered import log_model, object_names
from support.workflow_cases import registered_environment, registry_of

HOSTILE = "\x1b]0;pwned\x07 [/bold] \u202egnp.exe"


@pytest.fixture
def registry(platform: Platform, project: Project) -> ModelRegistry:
    id_ = str(project.registry_id)
    return platform.ask(lambda client: client.registry(id_))


def register(platform: Platform, project: Project, name: str) -> None:
    run = log_model(platform, project)
    request = RegisterModel(name=name, run_id=run.run_id, artifact_path=run.artifact_path)
    made = platform.ask(lambda client: client.register_model(project.id, request))
    assert platform.ask(lambda client: client.wait_for_workflow(made.workflow.id)).status is WorkflowStatus.SUCCEEDED


@contextmanager
def written(platform: Platform) -> Iterator[Database]:
    """The service's database, to write the rows of a running workflow."""
    database = Database.at(platform.home.service_database)
    try:
        yield database
    finally:
        database.close()


def begin_work(database: Database, registry: ModelRegistry, actor: str, lines: int) -> str:
    """A workflow that nobody advances, with the event of its start and log lines; gives its ID."""
    request = unique("request")
    row = WorkflowRow(
        kind="synchronize",
        status="running",
        resource_type="registry",
        resource_id=unique("other"),
        resource_name=registry.name,
        registry_id=registry.id,
        actor=actor,
        actor_crn="crn:x",
        actor_administrator=True,
        request_id=request,
        arguments={},
        state={},
        steps=["work"],
        progress={},
    )
    with database.session() as session:
        session.add(row)
        session.flush()
        id_ = row.id
        event = EventRow(
            actor=actor,
            actor_crn="crn:x",
            action="registry.synchronize",
            resource_type="registry",
            resource_id=registry.id,
            resource_name=registry.name,
            registry_id=registry.id,
            outcome="started",
            request_id=request,
            workflow_id=id_,
            detail=HOSTILE,
        )
        session.add(event)
        session.add_all(
            LogLineRow(request_id=request, workflow_id=id_, level="info", text=f"line {number} {HOSTILE}")
            for number in range(lines)
        )
    return id_


def end_work(database: Database, id_: str) -> None:
    with database.session() as session:
        row = session.get_one(WorkflowRow, id_)
        session.add(LogLineRow(request_id=row.request_id, workflow_id=id_, level="error", text="the last line"))
        row.status, row.lock = "succeeded", None


async def to_tab(driver: Driver, tab: str) -> None:
    while driver.screen.tab != tab:
        await driver.press("tab")
    await driver.until(lambda: driver.screen.pane.table.source.started, f"the rows of {tab}")


async def test_every_field_is_shown_and_copied(open_program: Open, registry: ModelRegistry) -> None:
    async with open_program(size=(150, 40)) as driver:
        driver.app.jump(Place("registry", {"registry": registry.id}))
        await driver.shows("Workload user name", str(registry.machine_user_workload_name), "✓ synchronized")
        fields = driver.screen.query_one("#fields", OptionList)
        wanted = {
            registry.crn,
            registry.environment_crn,
            registry.machine_user_crn,
            registry.machine_user_workload_name,
            registry.creator,
        }
        copied = set()

        async def copy(option: str) -> None:
            # Others work with this registry: the text of its page may differ by the time of the copy.
            before = driver.screen.values[option]
            fields.highlighted = fields.get_option_index(option)
            await driver.press("c")
            await driver.until(lambda: driver.app.clipboard in (before, driver.screen.values[option]), option)
            copied.add(driver.app.clipboard)

        for option in list(driver.screen.values):
            await copy(option)
        assert wanted <= copied


@pytest.mark.parametrize("raz", [True, False])
async def test_details_say_that_access_was_taken_away_behind_the_service(
    open_program: Open, platform: Platform, raz: bool
) -> None:
    registry = await asyncio.to_thread(new_registry, platform, raz=raz)
    async with open_program(size=(170, 50)) as driver:
        driver.app.jump(Place("registry", {"registry": registry.id}))
        await driver.shows("granted (tried just now)")
        await asyncio.to_thread(take_access_away, platform, registry)
        steps = {True: "p lets the workload user in, @ shows", False: "p maps the machine user to the Data Access Role"}

        async def not_granted() -> bool:
            # As soon as the last try is some seconds old.
            await driver.press("ctrl+r")
            return f"not granted (tried just now): {steps[raz]}" in driver.text

        await eventually(not_granted, what="what is true now")
        await driver.press("p")
        await driver.shows("Grant storage access")
        await driver.press("enter")
        await driver.until(lambda: driver.screen.values["Storage access"] == "granted (tried just now)", "the grant")


async def test_events_are_filtered_followed_and_saved(
    open_program: Open, platform: Platform, registry: ModelRegistry, tmp_path: Path
) -> None:
    actor = unique("actor")
    with written(platform) as database:
        work = begin_work(database, registry, actor, lines=1200)
        async with open_program(size=(120, 40)) as driver:
            driver.app.jump(Place("registry", {"registry": registry.id}))
            await driver.shows("Workload user name")
            await to_tab(driver, "events")
            pane = driver.screen.pane
            filters = pane.query_one(FilterBar)
            await driver.until(lambda: (actor, actor) in filters.query_one("#f-actor", Choice).choices, "the actor")
            # A choice is made as with the menu, a time is typed.
            filters.query_one("#f-actor", Choice).focus()
            await driver.press("enter")
            await driver.shows("who", actor)
            menu = driver.app.screen.query_one("#choices", OptionList)
            menu.highlighted = [menu.get_option_at_index(at).id for at in range(menu.option_count)].index(actor)
            menu.focus()
            await driver.press("enter")
            await driver.until(lambda: [row.actor for row in pane.table.source.loaded_rows()] == [actor])
            filters.query_one("#f-time", Input).value = "..2020-01-01"
            filters.query_one("#f-time", Input).focus()
            await driver.press("enter")
            await driver.until(lambda: pane.table.source.total == 0)
            filters.query_one("#f-time", Input).value = "1h"
            filters.query_one("#f-time", Input).focus()
            await driver.press("enter")
            await driver.until(lambda: pane.table.source.total == 1)

            await driver.until(lambda: pane.following, "following")
            await driver.shows("line 1199 ␛]0;pwned␇ [/bold] ⟨202E⟩gnp.exe")
            end_work(database, work)
            await driver.shows("the last line")
            await driver.until(lambda: not pane.following, "the end of following")

            pane.table.focus()
            await driver.press("enter")
            await driver.until(lambda: pane.reading)
            await driver.press("g")
            await driver.shows("line 0 ")
            await driver.press("escape")
            await driver.until(lambda: pane.table.has_focus)

            await driver.press("w")
            await driver.shows("Save log lines")
            target = tmp_path / "lines.log"
            driver.app.screen.query_one("#file", Input).value = str(target)
            await driver.press("enter")
            await driver.until(target.exists)
            await driver.at("registry")
    text = target.read_text().splitlines()
    assert len(text) == 1201 and text[-1].endswith("the last line")


async def test_models_of_the_registry_open(
    open_program: Open, platform: Platform, project: Project, registry: ModelRegistry
) -> None:
    name = unique("Opened")
    register(platform, project, name)
    async with open_program(size=(120, 40)) as driver:
        driver.app.jump(Place("registry", {"registry": registry.id}))
        await driver.shows("Workload user name")
        await to_tab(driver, "models")
        await driver.press("slash")
        await driver.type(name)
        await driver.press("enter")
        await driver.until(lambda: [row.name for row in driver.screen.pane.table.source.loaded_rows()] == [name])
        await driver.press("enter")
        await driver.at("model")
        await driver.press("escape")
        await driver.at("registry")
        await driver.until(lambda: driver.screen.tab == "models", "the tab that was left")


async def test_storage_is_measured_and_cleaned_up(open_program: Open, platform: Platform, tmp_path: Path) -> None:
    # A registry of its own: a clean-up removes everything without a version there.
    environment, _, project = registered_environment(platform, synchronized=True)
    registry = registry_of(platform, environment)
    name = unique("Orphan [bold]")
    register(platform, project, name)
    version = platform.ask(lambda client: client.version(registry.id, name, 1))
    platform.ask(lambda client: client.delete_version(registry.id, name, 1, keep_archive=True))
    async with open_program(size=(120, 40)) as driver:
        driver.app.jump(Place("registry", {"registry": registry.id}))
        await driver.shows("Workload user name")
        await to_tab(driver, "storage")
        pane = driver.screen.pane
        await driver.until(lambda: pane.usage and not pane.usage.measuring and pane.usage.measured_at, "a measurement")
        before = pane.usage.measured_at
        await driver.press("r")
        await driver.until(lambda: pane.usage.measured_at > before and not pane.usage.measuring, "another measurement")
        assert pane.usage.orphaned == 1
        pane.query_one("#f-model", Input).value = name
        await driver.until(lambda: [row.version_id for row in pane.table.source.loaded_rows()] == [version.id])
        await driver.shows("○ no version", " · measured ")
        # By model, and back.
        pane.query_one(FilterBar)._set("each", "model")
        await driver.until(lambda: [row.versions for row in pane.table.source.loaded_rows()] == [1])
        pane.query_one(FilterBar)._set("each", "version")
        await driver.until(lambda: pane.table.source.loaded_rows()[0].version_id == version.id)
        pane.table.focus()
        await driver.press("ctrl+s")
        await driver.shows("Export the table")
        target = tmp_path / "storage.csv"
        driver.app.screen.query_one("#file", Input).value = str(target)
        await driver.press("enter")
        await driver.until(lambda: target.exists() and "no version" in target.read_text(), "the export")
        await driver.at("registry")
        await driver.press("U")
        await driver.shows("Clean up the storage", name[:30], "Stays:")
        assert not driver.app.screen.query(Checkbox) or not driver.app.screen.query_one(Checkbox).value
        await driver.press("tab", "enter")
        await driver.at("workflow")
        await driver.until(lambda: driver.screen.work.status is WorkflowStatus.SUCCEEDED)
    assert object_names(platform, registry.bucket, f"{registry.prefix}/{version.model_id}/") == []


async def test_an_azure_registry_needs_an_existing_nfs(platform: Platform) -> None:
    name, taken = unique("az"), unique("taken")
    for each in (name, taken):
        request = EnvironmentCreate(name=each, cloud=Cloud.AZURE)
        platform.call(RegistryClient.create_environment, request)
    there = RegistryCreate(environment=taken, existing_nfs="10.0.0.4:/x", nfs_protocol_version="3")
    made = platform.ask(lambda client: client.create_registry(there))
    platform.ask(lambda client: client.wait_for_workflow(made.workflow.id))
    service = Holding(platform, about_one_workflow)
    app = RegistryApp(service.client, start_platform=False)
    async with app.run_test(size=(120, 50)) as pilot:
        driver = Driver(app, pilot)
        await driver.rows("registries")
        await driver.press("n")
        await driver.until(lambda: isinstance(driver.screen, CreateRegistry), "the form")
        form = driver.screen
        await driver.until(lambda: form.environments)
        environments = form.query_one("#environment", OptionList)
        index = [each.name for each in form.environments].index(taken)
        assert environments.get_option_at_index(index).disabled
        assert f"has registry-{taken} already" in str(environments.get_option_at_index(index).prompt)
        environments.highlighted = [each.name for each in form.environments].index(name)
        await driver.until(lambda: form.query_one("#nfs").parent.display)
        form.query_one("#nfs", Input).focus()
        await driver.type("nfs.example.net")
        await driver.shows("an existing NFS directory is host:/path")
        await driver.until(lambda: form.query_one("#ok").disabled, "OK not possible")
        await driver.type(":/exports")
        await driver.until(lambda: not form.query_one("#ok").disabled)
        # The work may be over before anybody has looked: the answers about it wait until its progress was seen.
        service.hold()
        await driver.press("enter")
        await driver.until(lambda: form.query_one("#progress").display, "the progress in place")
        service.let()
        await driver.at("registries")
    found = platform.ask(lambda client: client.registry(f"registry-{name}"))
    assert (found.existing_nfs, found.nfs_protocol_version) == ("nfs.example.net:/exports", "4.1")
    assert found.status.label == "Available"


async def test_deleting_counts_what_goes_and_what_stays(
    open_program: Open, platform: Platform, project: Project, registry: ModelRegistry
) -> None:
    register(platform, project, unique("Counted"))
    async with open_program(size=(120, 40)) as driver:
        driver.app.jump(Place("registry", {"registry": registry.id}))
        await driver.shows("Workload user name")
        await driver.press("ctrl+d")
        await driver.until(lambda: isinstance(driver.screen, DeleteRegistry), "the question")
        dialog = driver.screen

        def stored() -> re.Match[str] | None:
            return re.search(r"\d archives?, ", str(dialog.query_one("#stays", Static).content))

        await driver.until(stored, "the counts")
        assert re.search(r"\d registered models? with all versions", str(dialog.query_one("#goes", Static).content))
        assert dialog.query_one("#ok").disabled
        await driver.press("escape")
        await driver.at("registry")
