"""Ranger's pages by keys on the real service: the documented procedure, the form with everything, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from textual.widgets import Button, Input, Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Cloud, CollaboratorChange, EnvironmentCreate, Project, Role
from registry_tui.schemas.ranger import PolicyItem, PolicyItemAccess, PolicyResource, RangerPolicy
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete, StorageAccess
from registry_tui.screens.base.form import Lines
from registry_tui.screens.base.several_names import Names
from registry_tui.screens.ranger.check_form import CheckForm
from registry_tui.screens.ranger.conditions import ConditionForm
from registry_tui.screens.ranger.policy_form import PolicyForm
from registry_tui.terminal.commands import Place
from support.platforms import Platform, unique
from support.program import Driver, Open


@dataclass(frozen=True)
class Raz:
    """A RAZ-enabled environment whose registry's machine user was given nothing."""

    platform: Platform
    registry: ModelRegistry

    @property
    def machine_user(self) -> str:
        assert self.registry.machine_user_workload_name is not None
        return self.registry.machine_user_workload_name

    def access(self) -> StorageAccess:
        return self.platform.ask(lambda client: client.registry(self.registry.id)).storage_access

    def policy(self, name: str) -> RangerPolicy:
        return self.platform.ask(lambda client: client.policy(name, self.registry.environment_name))

    def add(self, name: str, **fields: Any) -> RangerPolicy:
        """A policy that lets somebody read."""
        service = self.platform.ask(lambda client: client.ranger_service(self.registry.environment_name)).name
        whole = {
            "resources": {
                "bucket": PolicyResource(values=[self.registry.bucket]),
                "path": PolicyResource(values=["shared"], is_recursive=True),
            },
            "policy_items": [PolicyItem(users=["ana"], accesses=[PolicyItemAccess(type="read")])],
            **fields,
        }
        request = RangerPolicy(service=service, name=name, **whole)
        return self.platform.ask(lambda client: client.create_policy(request))

    async def opened(self, see: Driver, name: str) -> None:
        """The list of policies, with this one selected."""
        await see.at("policies")
        await see.on(name)


@pytest.fixture(scope="module")
def raz(platform: Platform) -> Iterator[Raz]:
    environment = platform.ask(
        lambda client: client.create_environment(EnvironmentCreate(name=unique("raz").lower(), cloud=Cloud.AWS))
    )
    request = RegistryCreate(environment=environment.name, grant_storage_access=False)
    made = platform.ask(lambda client: client.create_registry(request))
    done = platform.ask(lambda client: client.wait_for_workflow(made.workflow.id))
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    registry = platform.ask(lambda client: client.registry(made.resource.id))
    yield Raz(platform, registry)
    goes = RegistryDelete(delete_archives=True, force=True)
    gone = platform.ask(lambda client: client.delete_registry(registry.id, goes))
    platform.ask(lambda client: client.wait_for_workflow(gone.workflow.id))


async def press_ok(see: Driver) -> None:
    button = see.screen.query_one("#ok", Button)
    # A button that was just pressed takes no other press for a moment.
    await see.until(lambda: not button.disabled and not button.has_class("-active"), "the button")
    button.focus()
    await see.until(lambda: see.app.focused is button, "the button")
    await see.press("enter")


def given(see: Driver, field: str) -> list[str]:
    names: Names = see.screen.query_one(f"#{field}", Names)
    return names.given


@pytest.mark.parametrize("typed", ["the last part", "the whole name"])
async def test_the_documented_procedure_by_keys(typed: str, open_program: Open, raz: Raz) -> None:
    """Details of the registry, Ranger, *all - bucket, path*, Select User, save."""
    assert raz.access() is StorageAccess.NOT_GRANTED
    whole = raz.machine_user
    async with open_program(size=(80, 24)) as see:
        see.app.jump(Place("registry", {"registry": raz.registry.id}))
        await see.until(lambda: see.screen.registry is not None, "the registry")
        await see.press("at")
        await raz.opened(see, "all - bucket, path")
        await see.press("e")
        await see.until(lambda: isinstance(see.screen, PolicyForm), "the form")
        await see.press("enter")
        await see.until(lambda: isinstance(see.screen, ConditionForm), "the condition")
        before = given(see, "users")
        await see.type(whole.rpartition("_")[2] if typed == "the last part" else whole)
        await see.press("enter")
        # In both cases the whole name is kept and shown.
        await see.until(lambda: given(see, "users") == [*before, whole], "the machine user")
        await see.shows(whole)
        await see.press("enter")
        await see.until(lambda: isinstance(see.screen, PolicyForm), "the form")
        await press_ok(see)
        await see.at("policies")
        await see.until(lambda: whole in see.screen.current.policy_items[0].users, "the saved policy")
        assert raz.access() is StorageAccess.GRANTED

        # Taking the name out takes the access away.
        await see.press("e")
        await see.until(lambda: isinstance(see.screen, PolicyForm), "the form")
        await see.press("enter")
        await see.until(lambda: isinstance(see.screen, ConditionForm), "the condition")
        see.screen.query_one("#users-given").focus()
        await see.press("end", "ctrl+d")
        await see.until(lambda: given(see, "users") == before, "the machine user to leave")
        await press_ok(see)
        await see.until(lambda: isinstance(see.screen, PolicyForm), "the form")
        await press_ok(see)
        await see.at("policies")
        await see.until(lambda: whole not in see.screen.current.policy_items[0].users, "the saved policy")
    assert raz.access() is StorageAccess.NOT_GRANTED


async def add_condition(see: Driver, kind: int, user: str, group: str, *permissions: int) -> None:
    """From the list of conditions: a new one of the kind at this line."""
    form = see.screen
    conditions = form.query_one("#conditions")
    conditions.focus()
    conditions.highlighted = kind
    await see.press("n")
    await see.until(lambda: isinstance(see.screen, ConditionForm) and see.app.focused is not None, "the condition")
    await see.type(user)
    await see.until(lambda: see.screen.query_one("#users-field", Input).value == user, user)
    await see.press("enter")
    await see.until(lambda: given(see, "users") == [user], user)
    see.screen.query_one("#groups-field").focus()
    await see.type(group)
    # Text that is typed and not added yet is not lost unnoticed.
    await see.shows(f"enter adds {group}")
    assert see.screen.query_one("#ok").disabled
    await see.press("enter")
    for number in permissions:
        see.screen.query_one(f"#access-{number}").value = True
    await press_ok(see)
    await see.until(lambda: see.screen is form, "the form")


async def test_a_policy_with_everything_is_made_and_what_is_wrong_stands_at_its_field(
    open_program: Open, raz: Raz
) -> None:
    name, user = unique("everything"), unique("zoe")
    async with open_program(size=(110, 40)) as see:
        see.go("policies", environment=raz.registry.environment_name)
        await raz.opened(see, "all - bucket, path")
        await see.press("n")
        await see.until(lambda: isinstance(see.screen, PolicyForm), "the form")
        form = see.screen
        assert form.query_one("#values-0", Lines).text == raz.registry.bucket
        await see.type(name)
        form.query_one("#override").value = True
        form.query_one("#values-1", Lines).text = "reports, 2026\nraw/*\n"
        form.query_one("#excludes-1").value = True
        await add_condition(see, 0, user, "analysts", 0, 2)
        await add_condition(see, 2, user, "interns", 3)
        form.query_one("#start", Input).value = "tomorrow"
        form.query_one("#zone", Input).value = "Europe/Berlin"
        form.query_one("#labels", Input).value = "audit, 2026"
        form.query_one("#description", Lines).text = "first\nsecond"
        await press_ok(see)
        await see.shows("Not saved", "must look like 2026/11/29 23:59:59")
        await see.until(lambda: see.app.focused is form.query_one("#start"), "the field that is wrong")
        said = form.query_one("#said-start", Static)
        assert said.display and not form.query_one("#said-end").display
        assert form.query_one("#values-1", Lines).text == "reports, 2026\nraw/*\n"
        form.query_one("#start", Input).value = "2026/11/29 00:00:00"
        form.query_one("#name", Input).value = "all - bucket, path"
        await press_ok(see)
        await see.until(lambda: form.query_one("#said-name").display and not said.display, "the name that is taken")
        form.query_one("#name", Input).value = name
        await press_ok(see)
        await raz.opened(see, name)
        await see.press("enter")
        await see.shows("override: before all", "all but", "reports, 2026", f"{user}, group analysts")
        await see.shows("read, list", "group interns", "2026/11/29 00:00:00 to", "Europe/Berlin", "audit, 2026")
    made = raz.policy(name)
    assert made.policy_priority == 1 and made.is_enabled and made.policy_labels == ["audit", "2026"]
    assert made.resources["path"] == PolicyResource(
        values=["reports, 2026", "raw/*"], is_excludes=True, is_recursive=True
    )
    [allowed], [denied] = made.policy_items, made.deny_policy_items
    assert (allowed.users, allowed.groups, [each.type for each in allowed.accesses]) == (
        [user],
        ["analysts"],
        ["read", "list"],
    )
    assert [each.type for each in denied.accesses] == ["delete"] and denied.groups == ["interns"]
    assert made.description == "first\nsecond"
    raz.platform.ask(lambda client: client.delete_policy(made.id or 0))


async def test_somebody_elses_change_is_noticed_and_replaced_only_knowingly(open_program: Open, raz: Raz) -> None:
    made = raz.add(unique("shared"))
    async with open_program() as see:
        see.go("policies", environment=raz.registry.environment_name)
        await raz.opened(see, made.name)
        await see.press("e")
        await see.until(lambda: isinstance(see.screen, PolicyForm), "the form")
        form = see.screen
        form.query_one("#labels", Input).value = "mine"
        theirs = made.model_copy(update={"description": "theirs", "is_audit_enabled": False})
        raz.platform.ask(lambda client: client.update_policy(made.id or 0, theirs))
        await press_ok(see)
        await see.shows("changed the policy meanwhile", "Changed: description, audit", "Save again")
        assert raz.policy(made.name).description == "theirs" and raz.policy(made.name).policy_labels == []
        assert form.query_one("#labels", Input).value == "mine"
        await press_ok(see)
        await see.at("policies")
    now = raz.policy(made.name)
    assert (now.description, now.policy_labels) == (None, ["mine"])
    raz.platform.ask(lambda client: client.delete_policy(made.id or 0))


async def test_marked_policies_are_disabled_enabled_and_deleted(open_program: Open, raz: Raz) -> None:
    names = sorted(unique("marked") for _ in range(2))
    for each in names:
        raz.add(each)
    async with open_program() as see:
        see.go("policies", environment=raz.registry.environment_name)
        await raz.opened(see, "all - bucket, path")
        await see.press("slash")
        await see.type("marked-")
        await see.press("enter")

        def states() -> list[tuple[str, bool]]:
            return [(row.name, row.is_enabled) for row in see.screen.table.source.loaded_rows()]

        await see.until(lambda: [name for name, _ in states()] == names, "the two")
        for enabled in (False, True):
            await see.press("home", "space", "end", "space")
            await see.until(lambda: len(see.screen.table.marked) == 2, "the marks")
            await see.press("exclamation_mark")
            wanted = [(name, enabled) for name in names]
            await see.until(partial(lambda found: states() == found, wanted), "the change")
            await see.until(lambda: not see.screen.table.marked, "no marks")
        await see.press("home", "space", "end", "space", "ctrl+d")
        await see.shows("Delete 2 policies", names[0], names[1])
        await see.press("enter")  # on Cancel, where a question starts
        await see.until(lambda: see.app.screen is see.app.frame, "the list")
        assert len(states()) == 2
        await see.press("ctrl+d")
        await see.shows("Delete 2 policies")
        await see.press("right", "enter")
        await see.until(lambda: not states(), "nothing left")
        await see.shows("Nothing matches")


async def test_the_policies_are_asked_whether_somebody_has_access(open_program: Open, raz: Raz) -> None:
    user = unique("ana")
    item = PolicyItem(users=[user], accesses=[PolicyItemAccess(type="read")])
    given_by = raz.add(unique("gives"), policy_items=[item])
    denied_by = raz.add(
        unique("denies"),
        resources={"bucket": PolicyResource(values=["*"]), "path": PolicyResource(values=["shared/secret"])},
        policy_items=[],
        deny_policy_items=[item],
    )
    async with open_program(size=(110, 40)) as see:
        see.go("policies", environment=raz.registry.environment_name)
        await raz.opened(see, given_by.name)
        await see.press("a")
        await see.shows("Check access")
        await see.press("Q")
        await see.until(lambda: isinstance(see.screen, CheckForm), "the box")
        form = see.screen
        form.query_one("#user", Input).value = user
        for path, decision, reason in (
            ("shared/x", "allowed", f"by policy {given_by.name}"),
            ("shared/secret", "denied", f"by policy {denied_by.name}"),
            ("elsewhere", "denied", "no policy gives it"),
        ):
            form.query_one("#path", Input).value = path
            await press_ok(see)
            await see.until(partial(_reads, form, decision, reason), f"the answer about {path}")
        # The last part of its name asks about the machine user.
        form.query_one("#user", Input).value = raz.machine_user.rpartition("_")[2]
        await press_ok(see)
        await see.until(lambda: form.query_one("#user", Input).value == raz.machine_user, "the whole name")
        await see.until(partial(_reads, form, "denied", "no policy gives it"), "the answer about the machine user")
    for each in (given_by, denied_by):
        raz.platform.ask(partial(_delete, each.id or 0))


def _reads(form: CheckForm, decision: str, reason: str) -> bool:
    """Whether that is the answer about reading."""
    answer = form.query_one("#answer", Static)
    first = " ".join(str(answer.content).splitlines()[0].split()) if answer.display else ""
    return first == f"read {decision} {reason}"


async def _delete(policy: int, client: RegistryClient) -> None:
    await client.delete_policy(policy)


async def test_who_is_no_administrator_sees_why_there_are_no_policies(
    raz: Raz, platform: Platform, project: Project
) -> None:
    guest = unique("guest")
    platform.ask(lambda client: client.set_collaborator(project.id, guest, CollaboratorChange(role=Role.VIEWER)))
    app = RegistryApp(lambda: platform.client(guest), start_platform=False)
    async with app.run_test(size=(100, 30)) as pilot:
        see = Driver(app, pilot)
        see.app.jump(Place("policies", {"environment": raz.registry.environment_name}))
        await see.shows(f"{guest} may not see the policies of Ranger", "Ask the administrator")
        assert f"{guest} may not see" in str(see.screen.reason("open"))
        for action, words in (("create", "change"), ("source", "change"), ("check", "see")):
            await see.until(partial(_refused, see, action, f"only the administrator may {words} the policies"), action)


def _refused(see: Driver, action: str, words: str) -> bool:
    """Whether the page gives that as the reason against an action."""
    return words in str(see.screen.reason(action))
