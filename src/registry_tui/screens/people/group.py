"""The members of a group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.form import Form
from registry_tui.screens.base.name_field import NameField, named_row
from registry_tui.screens.base.user_names import every_user
from registry_tui.screens.people.giving_roles import choose_environment
from registry_tui.screens.people.people_list import PeopleList
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.people import GROUP
from registry_tui.terminal.commands import Place
from registry_tui.widgets.facts import AwaitedFacts, beside
from registry_tui.widgets.page_cache import Fetch, Rows
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.text import safe
from registry_tui.wording.words import both

if TYPE_CHECKING:
    from registry_tui.schemas.people import Group, GroupMember


class GroupScreen(PeopleList):
    """A group with its members, by name."""

    ACTIONS = GROUP
    CONCERNS = frozenset({"group", "user"})
    BINDINGS = bindings(GROUP)
    CSS_PATH = "../../styles/people/people.tcss"
    OF_PAGE = frozenset({"roles", "view"})
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (Column("name", "Member", lambda row: row.name, 0),)
    EMPTY = Empty("Nobody is in this group yet", ("n adds somebody.",), action="create")

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.group: Group | None = None

    def compose_content(self) -> Iterable[Widget]:
        yield AwaitedFacts(id="facts")
        yield from super().compose_content()

    def crumbs(self) -> tuple[Crumb, ...]:
        above: tuple[Crumb, ...] = (("Environments", Place("environments")), ("Groups", Place("groups")))
        return (*above, (self.place.args["group"], None))

    async def start(self) -> None:
        from registry_tui.client import Refused

        try:
            await super().start()
        except Refused as error:
            self.query_one("#facts", AwaitedFacts).update("")
            self.list_failed(error)

    async def prepare(self) -> None:
        self.group = group = await self.client.group(self.place.args["group"])
        self.query_one("#facts", AwaitedFacts).show(lambda room: _facts(group, room))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        # They are in the response about the group, which `prepare` requested.
        async def fetch(token: str | None, backwards: bool) -> Any:
            from registry_tui.schemas.people import GroupMember

            found = [] if self.group is None else [*self.group.members, *self.group.machine_users]
            return Rows([GroupMember(name=each) for each in found], total=len(found))

        return fetch

    def copied(self, row: GroupMember) -> str:
        return row.name

    def open_row(self, row: GroupMember) -> None:
        if self.group is not None and row.name in self.group.machine_users:
            self.flash(f"{safe(row.name, 64)} is a machine user: the Details of its Model Registry show it")
            return
        self.program.open(Place("person", {"user": row.name}))

    def page_why_not(self, action: str) -> str | None:
        return "the group is not known yet" if self.group is None else None

    # -- actions ------------------------------------------------------------------------------------

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        assert self.group is not None
        self.app.push_screen(View(self.group.name, self.group.model_dump_json(indent=2)))

    def do_create(self) -> None:
        group = self.place.args["group"]

        def added(user: str | None) -> None:
            self.saved(None if user is None else f"{safe(user, 64)} is in {safe(group, 64)}")

        self.app.push_screen(AddMember(group), added)

    def do_roles(self) -> None:
        choose_environment(self, group=self.place.args["group"])

    def do_delete(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        client, group, user = self.client, self.place.args["group"], self.current.name
        given = "roles" if self.group is None or user not in self.group.machine_users else "storage access"
        lines = (f"{user} leaves the group {group}, and loses the {given} by it from the next request on.",)

        def answered(ok: bool | None) -> None:
            if ok:
                done = f"{safe(user, 64)} is not in {safe(group, 64)} any more"
                send = lambda: client.remove_member(group, user)  # noqa: E731
                self.change(f"{group}: remove {user}", send, lambda _: self.saved(done))

        about = reference("member", group, user)
        self.app.push_screen(Confirm("Remove member", lines, "Remove", danger=True, about=about), answered)


def _facts(group: Group, room: int) -> Content:
    made = f"made {both(group.created_at)} by {group.creator}"
    return Content.assemble(
        (safe(group.name, 80), "bold"),
        (f"\n{beside(group.description, room, 0)}" if group.description else "", ""),
        (f"\n{beside(made, room, 0)}", "$foreground-muted"),
    )


class AddMember(Form[str]):
    """Adds a user to a group; the result is the user's name."""

    def __init__(self, group: str) -> None:
        super().__init__()
        self.group = group

    def title_text(self) -> str:
        return f"Add to group {self.group}"

    def compose_fields(self) -> Iterable[Widget]:
        yield named_row(
            "User", NameField(id="user", find=every_user(self), max_length=200, placeholder="a user's name")
        )

    def on_mount(self) -> None:
        self.query_one("#user").focus()

    @property
    def _user(self) -> str:
        return self.query_one("#user", Input).value.strip()

    def problem_of(self) -> str | None:
        return None if self._user else "type a user's name"

    async def send(self) -> str:
        user = self._user
        await self.program.client.add_member(self.group, user)
        return user
