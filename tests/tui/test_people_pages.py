"""People, tokens, groups and roles by keys, on the real service; and missing permissions, shown beforehand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.widgets import Checkbox, Input, OptionList

from registry_tui.app.app import RegistryApp
from registry_tui.client import NotFound, RegistryClient
from registry_tui.schemas.people import EnvironmentRole, User, UserChange, UserState, UserTokenCreate
from registry_tui.schemas.places import EnvironmentCreate, ProjectCreate, WorkspaceCreate
from registry_tui.screens.base.viewer import View
from support.platforms import Platform, unique
from support.program import Driver, Open


def person(platform: Platform, name: str) -> User:
    return platform.call(RegistryClient.user, name)


def known(platform: Platform, prefix: str = "u") -> str:
    """A new user."""
    name = unique(prefix)
    platform.call(RegistryClient.put_user, name, UserChange())
    return name


async def back_at(see: Driver, kind: str) -> None:
    """Waits until the box that was open is closed, and its page asked again."""
    await see.at(kind)
    await see.settled()


async def on_row(see: Driver, name: str) -> None:
    """The cursor on a row of the list in view."""
    await see.rows(see.app.frame.place.kind)
    await see.on(name)


async def test_a_person_is_made_known_changed_suspended_and_let_in_again(
    open_program: Open, platform: Platform
) -> None:
    name = unique("u")
    async with open_program() as see:
        await see.rows("registries")
        see.app.obey("people")
        await see.rows("people")
        await see.press("n")
        await see.shows("Create user")
        await see.type(name)
        await see.press("tab")
        await see.type("Ada Lovelace")
        await see.press("tab")
        see.app.screen.query_one("#email", Input).value = "ada"
        await see.press("enter")
        await see.shows("e-mail: an address as")
        see.app.screen.query_one("#email", Input).value = "ada@example.org"
        await see.press("enter")
        await back_at(see, "people")
        found = person(platform, name)
        assert (found.full_name, found.email, found.state) == ("Ada Lovelace", "ada@example.org", UserState.ACTIVE)

        see.go("person", user=name)
        await see.at("person")
        await see.shows("Ada Lovelace", "● active", "No token")
        await see.press("exclamation_mark")
        await see.shows("Suspend user", "at every door")
        # It starts on Cancel.
        await see.press("enter")
        await back_at(see, "person")
        assert person(platform, name).state is UserState.ACTIVE
        await see.press("exclamation_mark")
        await see.shows("Suspend user")
        await see.press("right", "enter")
        await see.shows("✗ suspended")
        assert person(platform, name).state is UserState.SUSPENDED
        await see.press("exclamation_mark")
        await see.shows("● active")
        assert person(platform, name).state is UserState.ACTIVE
        await see.press("e")
        await see.shows(f"Change {name}")
        see.app.screen.query_one("#full", Input).value = "Ada King"
        await see.press("enter")
        await see.shows("Ada King")
        assert person(platform, name).email == "ada@example.org"


async def test_a_token_is_shown_once_used_and_revoked(open_program: Open, platform: Platform) -> None:
    name = known(platform)
    async with open_program() as see:
        await see.rows("registries")
        see.go("person", user=name)
        await see.shows("No token")
        await see.press("n")
        await see.shows(f"New token of {name}")
        await see.type("laptop")
        see.app.screen.query_one("#days", Input).value = "0"
        await see.press("enter")
        await see.shows("days: a number from 1 to 3650")
        see.app.screen.query_one("#days", Input).value = "30"
        await see.press("enter")
        await see.until(lambda: isinstance(see.app.screen, View), "the token")
        await see.shows("shown only now")
        await see.press("c")
        await see.until(lambda: see.app.clipboard.startswith("rt_"), "the copy")
        token = see.app.clipboard.strip()
        async with RegistryClient(platform.home, token=token) as client:
            assert (await client.whoami()).name == name
        assert person(platform, name).last_used_at is not None
        await see.press("escape")
        [row] = await see.rows("person")
        assert row.name == "laptop" and token.startswith(row.prefix)
        await see.until(lambda: token not in see.text, "the token to be gone")
        await see.press("ctrl+d")
        await see.shows("Revoke token")
        await see.press("right", "enter")
        await see.shows("✗ revoked")
        async with RegistryClient(platform.home, token=token) as client:
            with pytest.raises(Exception, match="revoked"):
                await client.whoami()
        assert see.screen.reason("revoke") == "it is revoked already"


async def test_deleting_a_person_asks_who_gets_what_they_own(open_program: Open, platform: Platform) -> None:
    # Digits come before all letters, so that the row is on the first page.
    name, heir = known(platform, "00"), known(platform)
    environment, workspace = unique("heir"), unique("ws")
    platform.call(RegistryClient.create_environment, EnvironmentCreate(name=environment))
    platform.command("environments", "roles", "grant", environment, "EnvironmentAdmin", "MLUser", "--to", name)
    made = WorkspaceCreate(name=workspace, environment=environment)
    platform.ask(lambda client: client.create_workspace(made), user=name)
    wanted = ProjectCreate(name=unique("p"), workspace=workspace)
    project = platform.ask(lambda client: client.create_project(wanted), user=name)
    async with open_program() as see:
        await see.rows("registries")
        see.go("people")
        await on_row(see, name)
        await see.press("ctrl+d")
        await see.shows(f"Delete {name}", "Goes to")
        form = see.app.screen
        form.query_one("#to", Input).value = name
        form.query_one("#ok").focus()
        await see.until(lambda: form.query_one("#ok").disabled, "nobody inherits from themselves")
        form.query_one("#to", Input).value = unique("nobody")
        await see.until(lambda: not form.query_one("#ok").disabled, "OK")
        form.query_one("#ok").focus()
        await see.press("enter")
        await see.shows("must be a user of this installation")
        form.query_one("#to", Input).value = heir
        await see.until(lambda: not form.query_one("#ok").disabled, "OK")
        form.query_one("#ok").focus()
        await see.press("enter")
        await back_at(see, "people")
    with pytest.raises(NotFound):
        person(platform, name)
    assert [(each.project_id, each.role.value) for each in person(platform, heir).projects] == [(project.id, "admin")]


async def test_a_group_its_members_and_their_roles_by_keys(open_program: Open, platform: Platform) -> None:
    group, name, environment = unique("g"), known(platform), unique("roles")
    platform.call(RegistryClient.create_environment, EnvironmentCreate(name=environment))
    async with open_program() as see:
        await see.rows("registries")
        see.go("people")
        await see.rows("people")
        await see.press("V")
        await see.at("groups")
        await see.press("n")
        await see.shows("Create group")
        await see.until(lambda: isinstance(see.app.focused, Input), "the field's focus")
        await see.type(group)
        await see.press("enter")
        await back_at(see, "groups")
        see.go("group", group=group)
        await see.at("group")
        await see.shows("Nobody is in this group yet")
        await see.press("n")
        await see.shows(f"Add to group {group}")
        adding = see.app.screen
        adding.query_one("#user", Input).value = name
        await see.until(lambda: not adding.query_one("#ok").disabled, "OK")
        adding.query_one("#ok").focus()
        await see.press("enter")
        await back_at(see, "group")
        await see.shows(name)
        assert platform.call(RegistryClient.group, group).members == [name]

        # Granted to the group where the environment is, the member has it.
        see.go("roles", environment=environment)
        await see.shows("Nobody has a role here")
        await see.press("n")
        await see.shows(f"Grant roles in {environment}")
        form = see.app.screen
        form.query_one("#group", Input).value = group
        form.query_one("#MLUser", Checkbox).value = True
        await see.until(lambda: not form.query_one("#ok").disabled, "OK")
        form.query_one("#ok").focus()
        await see.press("enter")
        await see.rows("roles")
        [held] = person(platform, name).roles
        assert (held.environment_name, held.roles) == (environment, [EnvironmentRole.ML_USER])

        # And by themselves, from the person's page.
        see.go("person", user=name)
        await see.shows(group, f"{environment}: MLUser")
        await see.press("p")
        await see.shows(f"Roles of {name} in")
        choices = see.app.screen.query_one(OptionList)
        choices.focus()
        choices.highlighted = choices.get_option_index(environment)
        await see.press("enter")
        await see.shows("EnvironmentAdmin includes EnvironmentUser")
        see.app.screen.query_one("#EnvironmentUser", Checkbox).value = True
        see.app.screen.query_one("#ok").focus()
        await see.press("enter")
        await see.shows("EnvironmentUser, MLUser")

        # Revoked where it was granted.
        see.go("roles", environment=environment)
        rows = await see.rows("roles")
        assert [(row.user, row.group) for row in rows] == [(name, None), (None, group)]
        await see.press("down")
        await see.until(lambda: see.screen.current.group == group, "the group's row")
        await see.press("ctrl+d")
        await see.shows("Revoke roles", "Its members lose them too")
        await see.press("right", "enter")
        await see.until(lambda: see.screen.table.source.seen == 1, "the group's row to go")
        assert person(platform, name).roles[0].roles == [EnvironmentRole.ENVIRONMENT_USER]

        see.go("group", group=group)
        await see.rows("group")
        await see.press("ctrl+d")
        await see.shows("Remove member")
        await see.press("right", "enter")
        await see.shows("Nobody is in this group yet")
        assert platform.call(RegistryClient.group, group).members == []


@asynccontextmanager
async def program_of(platform: Platform, name: str) -> AsyncIterator[Driver]:
    """The program as somebody works in it."""
    app = RegistryApp(lambda: platform.client(name), start_platform=False)
    async with app.run_test(size=(110, 34)) as pilot:
        yield Driver(app, pilot)


async def test_what_a_person_may_not_do_says_why_and_counts_once_it_is_granted(platform: Platform) -> None:
    name, environment = known(platform), unique("why")
    platform.call(RegistryClient.create_environment, EnvironmentCreate(name=environment))
    platform.command("environments", "roles", "grant", environment, "EnvironmentUser", "--to", name)
    async with program_of(platform, name) as see:
        await see.until(lambda: see.app.me is not None, "the service")
        see.go("environments")
        await see.rows("environments")
        await see.press("n")
        await see.shows("not now, only the administrator may create environments")
        await see.press("ctrl+d")
        await see.shows(f"may not delete environments in {environment}: that needs EnvironmentAdmin")
        see.go("people")
        await see.rows("people")
        await see.press("exclamation_mark")
        await see.shows("only the administrator may add or change users")
        see.go("roles", environment=environment)
        await see.at("roles")
        await see.shows("EnvironmentAdmin")
        assert f"in {environment}: that needs EnvironmentAdmin" in see.screen.reason("create")
        # Granted meanwhile: the refused permission is checked again, and the next press works.
        platform.command("environments", "roles", "grant", environment, "EnvironmentAdmin", "--to", name)
        await see.press("n")
        await see.until(lambda: see.app.frame.reason("create") is None, "the role")
        if see.app.screen is see.app.frame:
            await see.press("n")
        await see.shows(f"Grant roles in {environment}")


async def test_ones_own_tokens_need_no_role(platform: Platform) -> None:
    name = known(platform)
    platform.call(RegistryClient.create_token, name, UserTokenCreate(name="laptop", days=1))
    async with program_of(platform, name) as see:
        await see.until(lambda: see.app.answering, "the service")
        see.app.obey("tokens")
        [row] = await see.rows("person")
        assert row.user == name and see.screen.reason("create") is None and see.screen.reason("revoke") is None
        assert "administrator" in str(see.screen.reason("edit"))
