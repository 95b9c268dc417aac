"""The roles of users and groups in an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.people.giving_roles import give_roles
from registry_tui.screens.people.people_list import PeopleList
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.people import ROLES
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.people import holder
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.people import RoleAssignment
    from registry_tui.schemas.places import Environment


class RolesScreen(PeopleList):
    """The roles that were granted in an environment, users first."""

    ACTIONS = ROLES
    CONCERNS = frozenset({"environment", "group", "user"})
    BINDINGS = bindings(ROLES)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", holder, 0, max_width=64),
        Column("kind", "Kind", lambda row: "user" if row.user is not None else "group", 1),
        Column("roles", "Roles", lambda row: ", ".join(row.roles), 0),
    )
    EMPTY = Empty("Nobody has a role here", ("n grants one to a user or a group.",), action="create")

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.environment: Environment | None = None

    def crumbs(self) -> tuple[Crumb, ...]:
        name = self.environment.name if self.environment is not None else self.place.args["environment"]
        return (("Environments", Place("environments")), (f"Roles in {name}", None))

    async def prepare(self) -> None:
        self.environment = await self.client.environment(self.place.args["environment"])

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client, environment = self.client, self.place.args["environment"]

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.environment_roles(environment)

        return fetch

    def key_of(self, row: RoleAssignment) -> str:
        return f"{'user' if row.user is not None else 'group'} {holder(row)}"

    def named(self, row: RoleAssignment) -> str:
        return holder(row)

    def copied(self, row: RoleAssignment) -> str:
        return holder(row)

    def open_row(self, row: RoleAssignment) -> None:
        if row.user is not None:
            self.program.open(Place("person", {"user": row.user}))
        elif row.group is not None:
            self.program.open(Place("group", {"group": row.group}))

    # -- actions ------------------------------------------------------------------------------------

    def row_why_not(self, action: str, row: RoleAssignment | None) -> str | None:
        return "the environment is not known yet" if self.environment is None and action in ("create", "edit") else None

    def do_create(self) -> None:
        assert self.environment is not None
        give_roles(self, self.environment.name)

    def do_edit(self) -> None:
        assert self.environment is not None
        row: RoleAssignment = self.current
        give_roles(self, self.environment.name, user=row.user, group=row.group)

    def do_delete(self) -> None:
        from registry_tui.schemas.people import RolesChange
        from registry_tui.screens.base.dialogs import Confirm

        row: RoleAssignment = self.current
        client, environment, name = self.client, row.environment_id, holder(row)
        words = f"{name}: revoke roles in {row.environment_name}"
        lines = (
            f"{name} loses {', '.join(row.roles)} in {row.environment_name}, from the next request on.",
            "Roles by groups, and in projects, stay." if row.user is not None else "Its members lose them too.",
        )

        async def send() -> None:
            if row.user is not None:
                await client.set_user_roles(environment, row.user, RolesChange(roles=[]))
            else:
                await client.set_group_roles(environment, str(row.group), RolesChange(roles=[]))

        def answered(ok: bool | None) -> None:
            if ok:
                self.change(words, send, lambda _: self.saved(f"{safe(name, 64)} has no role here any more"))

        about = reference("roles", environment, "group" if row.user is None else "user", name)
        self.app.push_screen(Confirm("Revoke roles", lines, "Revoke", danger=True, about=about), answered)
