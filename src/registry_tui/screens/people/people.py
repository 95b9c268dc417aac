"""The users of this installation: create, suspend, reactivate, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.people.changing_people import delete_person, edit_person, lock_person
from registry_tui.screens.people.giving_roles import choose_environment
from registry_tui.screens.people.people_list import PeopleList
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.people import PEOPLE
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.people import roles_of, state_of
from registry_tui.wording.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.people import User


class PeopleScreen(PeopleList):
    """All known users, by name; for non-administrators those who share a project."""

    ACTIONS = PEOPLE
    CONCERNS = frozenset({"environment", "group", "token", "user"})
    BINDINGS = bindings(PEOPLE)
    OF_PAGE = frozenset({"groups"})
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, max_width=64),
        Column("state", "State", state_of, 0, min_width=11),
        Column("full", "Full name", lambda row: row.full_name, 2, max_width=40),
        Column("roles", "Roles", roles_of, 1, max_width=60, floor=24),
        Column("groups", "Groups", lambda row: ", ".join(row.groups), 3, max_width=40),
        Column("used", "Token used", lambda row: "never" if row.last_used_at is None else ago(row.last_used_at), 1),
        Column("email", "E-mail", lambda row: Cell(row.email, "dim"), 5, max_width=40),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 4),
    )
    EMPTY = Empty("Nobody is known here", ("n makes somebody known.",), action="create")

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Environments", Place("environments")), ("People", None))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.users(page_token=token)

        return fetch

    def open_row(self, row: User) -> None:
        self.program.open(Place("person", {"user": row.name}))

    def row_why_not(self, action: str, row: User | None) -> str | None:
        if action in ("lock", "delete") and row is not None and row.administrator:
            return f"{row.name} owns this installation"
        return None

    # -- actions ------------------------------------------------------------------------------------

    def do_create(self) -> None:
        edit_person(self, None)

    def do_edit(self) -> None:
        edit_person(self, self.current)

    def do_lock(self) -> None:
        lock_person(self, self.current)

    def do_delete(self) -> None:
        delete_person(self, self.current)

    def do_roles(self) -> None:
        choose_environment(self, user=self.current.name)

    def do_groups(self) -> None:
        self.program.jump(Place("groups"))
