"""Groups of users, which get roles in environments together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.widget import Widget
from textual.widgets import Input

from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.form import Form, Lines, row
from registry_tui.screens.people.giving_roles import choose_environment
from registry_tui.screens.people.people_list import PeopleList
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.people import GROUPS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.people import Group


class GroupsScreen(PeopleList):
    """All groups, by name."""

    ACTIONS = GROUPS
    CONCERNS = frozenset({"group", "user"})
    BINDINGS = bindings(GROUPS)
    OF_PAGE = frozenset({"people"})
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, max_width=64),
        Column("count", "People", lambda row: str(len(row.members)), 0, right=True),
        Column("members", "Members", lambda row: ", ".join(row.members), 1, max_width=60),
        Column("description", "Description", lambda row: Cell(row.description, "dim"), 2, max_width=60),
        Column("creator", "Creator", lambda row: row.creator, 4),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 3),
    )
    EMPTY = Empty("No group yet", ("n creates one: its members get roles in environments together.",), action="create")

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Environments", Place("environments")), ("Groups", None))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.groups(page_token=token)

        return fetch

    def copied(self, row: Group) -> str:
        return row.name

    def open_row(self, row: Group) -> None:
        self.program.open(Place("group", {"group": row.name}))

    # -- actions ------------------------------------------------------------------------------------

    def do_create(self) -> None:
        self.app.push_screen(GroupForm(None), self._made)

    def do_edit(self) -> None:
        self.app.push_screen(GroupForm(self.current), self._made)

    def _made(self, name: str | None) -> None:
        self.saved(None if name is None else f"Group {safe(name, 64)} is saved")

    def do_roles(self) -> None:
        choose_environment(self, group=self.current.name)

    def do_people(self) -> None:
        self.program.jump(Place("people"))

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        found: Group = self.current
        client, name = self.client, found.name
        lines = (
            f"Group {name} goes, with the roles that its {counted(len(found.members), 'member')} had by it.",
            "The people stay.",
        )

        def answered(ok: bool | None) -> None:
            if ok:
                done = f"Group {safe(name, 64)} is deleted"
                self.change(f"{name}: delete", lambda: client.delete_group(name), lambda _: self.saved(done))

        about = reference("group", name)
        self.app.push_screen(Confirm("Delete group", lines, "Delete", danger=True, about=about), answered)


class GroupForm(Form[str]):
    """Creates a group, or changes the description of one; the result is its name."""

    def __init__(self, group: Group | None) -> None:
        super().__init__()
        self.group = group

    @property
    def edits(self) -> bool:
        return self.group is not None

    def title_text(self) -> str:
        return "Create group" if self.group is None else f"Change group {self.group.name}"

    def compose_fields(self) -> Iterable[Widget]:
        if self.group is None:
            yield row("Name", Input(compact=True, id="name", placeholder="1 to 64 letters, digits and . _ @ + -"))
        yield row("Description", Lines("" if self.group is None else self.group.description, id="description"))

    def on_mount(self) -> None:
        self.query_one("#name" if self.group is None else "#description").focus()

    def problem_of(self) -> str | None:
        return None if self.group_name else "type a name"

    @property
    def group_name(self) -> str:
        """The group's name."""
        return self.group.name if self.group is not None else self.query_one("#name", Input).value.strip()

    async def send(self) -> str:
        from registry_tui.schemas.people import GroupChange

        change = GroupChange(description=self.query_one("#description", Lines).text)
        return (await self.program.client.put_group(self.group_name, change)).name
