"""Roles of a user or a group in an environment: the form, and the way to it from users, groups and environments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.screens.base.form import Form, Tick, row
from registry_tui.screens.base.name_field import Choice, Find, NameField, named_row, once
from registry_tui.screens.base.user_names import MOST_USERS, every_user
from registry_tui.wording.people import ROLES
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.people import EnvironmentRole, RoleAssignment
    from registry_tui.screens.people.people_list import PeopleList


class GiveRoles(Form[str]):
    """Grants exactly the ticked roles to a user or group; to a typed one, in addition to the existing roles."""

    def __init__(
        self, environment: str, given: Sequence[RoleAssignment], *, user: str | None = None, group: str | None = None
    ) -> None:
        """`given`: all roles that were granted in the environment, by its name or ID."""
        super().__init__()
        self.environment, self.given, self.user, self.group = environment, given, user, group

    @property
    def edits(self) -> bool:
        return self._is_known

    def title_text(self) -> str:
        known = self.user or self.group
        return f"Grant roles in {self.environment}" if known is None else f"Roles of {known} in {self.environment}"

    def compose_fields(self) -> Iterable[Widget]:
        held = self._held(self.user, self.group)
        if not self._is_known:
            user = NameField(id="user", find=every_user(self), max_length=200, placeholder="a user's name, or")
            yield named_row("User", user)
            group = NameField(id="group", find=every_group(self), max_length=200, placeholder="a group's name")
            yield named_row("Group", group)
        for name, words in ROLES:
            yield row("Roles" if name == ROLES[0][0] else "", Tick(f"{name}: {words}", name in held, id=name))
        hint = "EnvironmentAdmin includes EnvironmentUser, MLAdmin includes MLUser."
        if self.user is not None:
            hint += " Roles by groups stay."
        yield Static(f"{hint}\n", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one(f"#{ROLES[0][0]}" if self._is_known else "#user").focus()

    @property
    def _is_known(self) -> bool:
        return self.user is not None or self.group is not None

    def _held(self, user: str | None, group: str | None) -> Sequence[EnvironmentRole]:
        return next((each.roles for each in self.given if (each.user, each.group) == (user, group)), ())

    @property
    def _chosen(self) -> tuple[str | None, str | None]:
        """The user, or the group."""
        if self._is_known:
            return self.user, self.group
        return self.query_one("#user", Input).value.strip() or None, self.query_one(
            "#group", Input
        ).value.strip() or None

    def problem_of(self) -> str | None:
        user, group = self._chosen
        if (user is None) is (group is None):
            return "type a user or a group" if user is None else "either a user or a group"
        if not self._is_known and not self._ticked():
            return "tick a role"
        return None

    def _ticked(self) -> list[str]:
        return [name for name, _ in ROLES if self.query_one(f"#{name}", Tick).value]

    async def send(self) -> str:
        from registry_tui.schemas.people import EnvironmentRole, RolesChange

        user, group = self._chosen
        beside = () if self._is_known else self._held(user, group)
        wanted = {*self._ticked(), *beside}
        change = RolesChange(roles=[role for role in EnvironmentRole if role.value in wanted])
        client = self.program.client
        if user is not None:
            given = await client.set_user_roles(self.environment, user, change)
        else:
            given = await client.set_group_roles(self.environment, str(group), change)
        roles = ", ".join(given.roles) or "no role"
        return f"{safe(user or group or '', 64)} has in {safe(given.environment_name, 60)}: {roles}"


def every_group(form: Form[str]) -> Find:
    """All groups, requested when the field is first used; none if the user may not list them."""

    async def ask() -> Sequence[Choice]:
        from registry_tui.client import Refused

        try:
            found = (await form.program.client.groups(page_size=MOST_USERS)).items
        except Refused:
            return ()
        return [Choice(each.name, safe(each.description, 60)) for each in found]

    return once(ask)


def choose_environment(screen: PeopleList, *, user: str | None = None, group: str | None = None) -> None:
    """Asks for the environment, and opens the form with the roles there."""
    screen.opening(_choose_environment(screen, user, group), "roles")


async def _choose_environment(screen: PeopleList, user: str | None, group: str | None) -> None:
    from registry_tui.screens.base.dialogs import Menu, MenuItem

    found = (await screen.client.environments(page_size=1000)).items
    items = [MenuItem(each.name, each.name) for each in found]

    def chosen(environment: str | None) -> None:
        if environment is not None:
            give_roles(screen, environment, user=user, group=group)

    screen.app.push_screen(Menu(f"Roles of {user or group} in", items), chosen)


def give_roles(screen: PeopleList, environment: str, *, user: str | None = None, group: str | None = None) -> None:
    """Opens the form with the roles that were granted in an environment."""
    screen.opening(_give_roles(screen, environment, user, group), "roles")


async def _give_roles(screen: PeopleList, environment: str, user: str | None, group: str | None) -> None:
    given = (await screen.client.environment_roles(environment)).items
    screen.app.push_screen(GiveRoles(environment, given, user=user, group=group), screen.saved)
