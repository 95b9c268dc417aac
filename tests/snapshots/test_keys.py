"""Flows by keys alone over recorded answers, none longer than it was; the Actions menu and the selection."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from textual.widgets import OptionList, TabbedContent

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.actions_menu import menu_actions
from registry_tui.screens.base.dialogs import Menu
from registry_tui.terminal.action import key_shown
from registry_tui.terminal.actions import ALL
from registry_tui.terminal.commands import SCREENS
from support import scenes
from support.known_scenes import KNOWN_SCENES
from support.life_cycle_scenes import LIFE_CYCLE_SCENES
from support.program import Driver
from support.recorded import Answer, Replay
from support.scenes import MODEL, REGISTRY, Scene


@asynccontextmanager
async def program(answers: Mapping[str, Answer], size: tuple[int, int] = (120, 40)) -> AsyncIterator[Driver]:
    app = RegistryApp(lambda: RegistryClient(transport=Replay(answers)), start_platform=False)
    async with app.run_test(size=size) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await see.settled()
        yield see


# -- flows ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flow:
    """The start, the keys, the expected text at the end, and the number of keys it took before."""

    begin: Scene
    keys: tuple[str, ...]
    shows: tuple[str, ...]
    limit: int


FLOWS = {
    "a project's experiments": Flow(scenes.projects, ("enter",), ("Experiments", "Model Deployments"), 1),
    "an experiment's runs": Flow(scenes.project, ("enter",), ("Started",), 1),
    "a run": Flow(scenes.experiment, ("enter",), ("Overview",), 1),
    "register a run's model": Flow(scenes.artifacts, ("R",), ("Register Model",), 1),
    "a version's details": Flow(scenes.model, ("enter",), ("Version 3",), 1),
    "verify a version": Flow(scenes.model, ("v",), (f"Verify {MODEL} v3",), 1),
    "alias of a version": Flow(scenes.model, ("A",), ("Alias for version",), 1),
    "compare two versions": Flow(scenes.model, ("space", "space", "equals_sign"), ("version 2", "version 3"), 3),
    "who signed a version": Flow(scenes.model, ("_",), ("Trusted by", "registry-1"), 1),
    "a version's card": Flow(scenes.model, ('"',), ("Intended use",), 1),
    "what a version is made of": Flow(scenes.model, ("{",), ("CycloneDX", "numpy"), 1),
    "what two versions are made of": Flow(scenes.model, ("space", "space", "{"), ("against version 2",), 3),
    "evidence about a version": Flow(scenes.model, ("ctrl+e",), ("Evidence pack of",), 1),
    "an environment's signing keys": Flow(scenes.environments, ("_",), ("signs now",), 1),
    "compare runs": Flow(scenes.experiment, ("space", "space", "equals_sign"), ("compare 2 runs",), 3),
    "curves of compared runs": Flow(scenes.compare, ("tab",), ("x axis",), 1),
    "the run of a version": Flow(scenes.model, ("F",), ("Overview", "Artifacts", "Datasets"), 1),
    "deploy a version": Flow(scenes.model, ("D",), ("select project",), 1),
    "deploy a version by Actions": Flow(scenes.model, ("a", "enter"), ("select project",), 2),
    "deploy from a project": Flow(scenes.project_deployments, ("D",), ("Registered Model",), 1),
    "a project's deployments": Flow(scenes.project, ("M",), ("alcohol-api",), 1),
    "try a deployment": Flow(scenes.deployments, ("enter", "T"), ("ctrl+t sends",), 2),
    "try a deployment from the list": Flow(scenes.deployments, ("T",), ("ctrl+t sends",), 1),
    "scale a deployment": Flow(scenes.deployments, ("#",), ("Scale",), 1),
    "change a deployment": Flow(scenes.deployments, ("e",), ("Change",), 1),
    "which requests are kept": Flow(scenes.deployment, ("W", "enter"), ("Size at most", "Leave out"), 2),
    "how drift is judged": Flow(scenes.deployment, ("J",), ("Rows at least",), 1),
    "stop a deployment": Flow(scenes.deployments, ("S",), ("Callers get 503",), 1),
    "API keys": Flow(scenes.deployments, ("K",), ("API keys",), 1),
    "make an API key": Flow(scenes.keys, ("n",), ("New API key",), 1),
    "synchronize a registry": Flow(scenes.registries, ("s",), ("Synchronize registry",), 1),
    "synchronize by Actions": Flow(scenes.registries, ("a", "enter"), ("Synchronize registry",), 2),
    "copy a registry's CRN by Actions": Flow(scenes.registry, ("a", "down", "enter"), ("copied: crn:",), 3),
    "delete a registry by Actions": Flow(
        scenes.registry, ("a", "down", "down", "enter"), (f"Delete {REGISTRY}", "Type"), 4
    ),
    "a project's people by Actions": Flow(scenes.project, ("a", "enter"), ("Collaborators of",), 2),
    "what logs into a project": Flow(scenes.project, ("$",), ("registry-tui env --project",), 1),
    "columns of runs": Flow(scenes.experiment, ("f",), ("validation_rmse",), 1),
    "kept views of runs": Flow(scenes.experiment, ("V",), ("view",), 1),
    "the newest runs first": Flow(scenes.experiment, ("O",), ("Started ▼",), 1),
    "models of another registry": Flow(scenes.models, ("V",), ("Model Registry",), 1),
    "policies from a registry that has no access": Flow(scenes.registry, ("@",), ("all - bucket, path",), 1),
    "policies of an environment": Flow(scenes.environments, ("@",), ("all - bucket, path",), 1),
    "who is let in by a policy": Flow(scenes.policies, ("e", "enter"), ("Select User",), 2),
    "roles in an environment": Flow(scenes.environments, ("p",), ("Roles in ",), 1),
    "a person's roles": Flow(scenes.people, ("p",), ("Roles of ", "demo-aws"), 1),
    "a person's tokens": Flow(scenes.people, ("enter",), ("Token used",), 1),
    "a new token": Flow(scenes.person, ("n",), ("New token of ",), 1),
    "groups from people": Flow(scenes.people, ("V",), ("data-science",), 1),
    "a workspace": Flow(scenes.environments, ("N",), ("Create workspace",), 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOWS)
async def test_a_flow_takes_no_more_keys_than_it_did(name: str, answers: Mapping[str, Answer]) -> None:
    flow = FLOWS[name]
    assert len(flow.keys) <= flow.limit
    async with program(answers) as see:
        await flow.begin(see)
        await see.settled()
        for key in flow.keys:
            await see.press(key)
            await see.settled()
        await see.shows(*flow.shows)


# -- the Actions menu -----------------------------------------------------------------------------------------

BEGIN: Mapping[str, Scene] = {
    "registries": scenes.registries,
    "registry": scenes.registry,
    "projects": scenes.projects,
    "project": scenes.project,
    "experiment": scenes.experiment,
    "compare": scenes.compare,
    "run": scenes.run,
    "models": scenes.models,
    "model": scenes.model,
    "diff": scenes.diff,
    "deployments": scenes.deployments,
    "deployment": scenes.deployment,
    "keys": scenes.keys,
    "environments": scenes.environments,
    "policies": scenes.policies,
    "people": scenes.people,
    "person": scenes.person,
    "groups": scenes.groups,
    "group": scenes.group,
    "roles": scenes.roles,
    "activity": scenes.activity,
    "workflow": scenes.workflow,
    "attached": LIFE_CYCLE_SCENES["attached"],
    **{page: LIFE_CYCLE_SCENES[page] for page in ("approvals", "rules", "exceptions", "webhooks", "webhook")},
    **{page: KNOWN_SCENES[page] for page in ("signatures", "signing_keys", "card", "bom", "uses")},
}


@pytest.mark.parametrize("page", SCREENS)
async def test_a_opens_the_actions_of_every_page_with_their_keys(page: str, answers: Mapping[str, Answer]) -> None:
    async with program(answers) as see:
        await BEGIN[page](see)
        await see.settled()
        listed = menu_actions(see.screen)
        await see.press("a")
        await see.until(lambda: isinstance(see.screen, Menu), "the menu")
        assert [item.id for item in see.screen.items] == [action.id for action in listed] != []
        options = see.screen.query_one(OptionList)
        for position, action in enumerate(listed):
            text = str(options.get_option_at_index(position).prompt)
            assert re.match(rf"{re.escape(key_shown(action.key))} +{re.escape(action.menu_word)}", text), text
        known = {action.id for action in ALL[page]}
        assert {action.id for action in listed} <= known


async def test_a_project_offers_the_actions_of_the_tab_in_view(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as see:
        await scenes.project(see)
        offered = {action.id for action in menu_actions(see.screen)}
        assert offered >= {"collaborators", "credentials", "deploy", "delete_project"}
        assert offered >= {"create", "change", "delete", "deleted"}, "those on experiments"
        assert not offered & {"test", "logs", "scale", "rollback", "restart", "stop"}
        await scenes.project_deployments(see)
        await see.until(lambda: see.screen.deployment is not None, "a selected deployment")
        offered = {action.id for action in menu_actions(see.screen)}
        assert offered >= {"test", "logs", "scale", "change", "rollback", "restart", "stop", "delete"}
        assert "delete_project" not in offered


async def open_actions(see: Driver) -> OptionList:
    """Opens the menu of the page in view; returns its list, which has the keys."""
    await see.press("a")
    await see.until(lambda: isinstance(see.screen, Menu), "the menu")
    await see.until(lambda: isinstance(see.app.focused, OptionList), "the list to have the keys")
    found: OptionList = see.screen.query_one(OptionList)
    return found


async def test_the_keys_of_a_long_actions_menu_act_in_it(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as see:
        await scenes.project(see)
        assert (await open_actions(see)).option_count > 12
        await see.press("Z")
        await see.at("project")
        await see.shows("restore experiment: not now, H shows the deleted experiments")
        await open_actions(see)
        await see.press("dollar_sign")
        await see.shows("registry-tui env --project")


async def test_a_slash_narrows_a_long_actions_menu(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as see:
        await scenes.run(see)
        options = await open_actions(see)
        every = options.option_count
        await see.press("slash", "d", "o", "w", "n")
        await see.until(lambda: 0 < options.option_count < every, "fewer actions")
        assert isinstance(see.screen, Menu), "the letters only narrow"
        texts = [str(options.get_option_at_index(position).prompt) for position in range(options.option_count)]
        assert all("down" in text.lower() for text in texts)


# -- the selection --------------------------------------------------------------------------------------------


async def test_ctrl_d_deletes_the_selected_deployment_of_a_project(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as see:
        await scenes.project_deployments(see)
        await see.until(lambda: see.screen.deployment is not None, "a selected deployment")
        name = see.screen.deployment.name
        await see.press("ctrl+d")
        await see.shows("Delete deployment", f"{name} (")


async def test_ctrl_d_does_not_delete_the_project_below_an_experiment(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as see:
        await scenes.project(see)
        await see.press("ctrl+d")
        await see.shows("Delete 1 experiment")
        assert "Delete project" not in see.text
        await see.press("escape", "ctrl+x")
        await see.shows("Delete project", "Type")


async def test_ctrl_d_deletes_what_is_selected_on_the_page_of_a_registry(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as see:
        await scenes.registry(see)
        tabs = see.screen.query_one("#tabs", TabbedContent)
        await see.press("tab")
        await see.settled()
        assert "under Details" in str(see.screen.reason("delete"))
        await see.press("tab")
        await see.until(lambda: tabs.active == "models" and see.screen.pane.current is not None, "a model")
        name = see.screen.pane.current.name
        await see.press("ctrl+d")
        await see.shows("Delete registered model", f"{name} and all its versions")
        await see.press("escape", "shift+tab", "shift+tab", "ctrl+d")
        await see.shows(f"Delete {REGISTRY}")


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in ALL if any(each.id == "tab_next" for each in ALL[page])])
async def test_shift_tab_undoes_tab_on_every_page_with_tabs(page: str, answers: Mapping[str, Answer]) -> None:
    async with program(answers) as see:
        await BEGIN[page](see)
        await see.settled()

        def where() -> tuple[str, str]:
            tabs = see.screen.query(TabbedContent)
            focused = see.app.focused
            return (tabs.first().active if tabs else "", "" if focused is None else str(focused.id))

        before = where()
        await see.press("tab")
        await see.settled()
        assert where() != before
        await see.press("shift+tab")
        await see.until(lambda: where() == before, "the tab before")
