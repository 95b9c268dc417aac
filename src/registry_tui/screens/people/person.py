"""A user: state, roles and groups, and below them the tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.content import Content
from textual.widget import Widget

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.named_for_days import NamedForDays
from registry_tui.screens.base.tones import styled
from registry_tui.screens.people.changing_people import edit_person, lock_person
from registry_tui.screens.people.giving_roles import choose_environment
from registry_tui.screens.people.people_list import PeopleList
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.people import PERSON
from registry_tui.terminal.commands import Place
from registry_tui.widgets.facts import AwaitedFacts, facts
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.people import roles_of, state_of, token_state
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, absolute, ago, both

if TYPE_CHECKING:
    from registry_tui.schemas.people import NewUserToken, User, UserToken

#: Cells before the facts' values.
_INDENT = 12


class PersonScreen(PeopleList):
    """One user, by default the signed-in one, with tokens, the newest first."""

    ACTIONS = PERSON
    CONCERNS = frozenset({"environment", "group", "project", "token", "user"})
    BINDINGS = bindings(PERSON)
    CSS_PATH = "../../styles/people/people.tcss"
    OF_PAGE = frozenset({"edit", "lock", "roles", "view"})
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Token", lambda row: row.name, 0, max_width=40),
        Column("state", "State", token_state, 0, min_width=9),
        Column("begins", "Begins", lambda row: Cell(row.prefix, "dim"), 1),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 2),
        Column("expires", "Expires", lambda row: absolute(row.expires_at)[:10], 1),
        Column("used", "Last used", lambda row: "never" if row.last_used_at is None else ago(row.last_used_at), 1),
    )
    EMPTY = Empty(
        "No token",
        (
            "n makes one: with it, registry-tui login and programs show the service who they are.",
            "In a script: registry-tui tokens create NAME",
        ),
        action="create",
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.person: User | None = None

    def compose_content(self) -> Iterable[Widget]:
        yield AwaitedFacts(id="facts")
        yield from super().compose_content()

    def crumbs(self) -> tuple[Crumb, ...]:
        name = self.place.args.get("user") or (self.person.name if self.person is not None else "yourself")
        return (("Environments", Place("environments")), ("People", Place("people")), (name, None))

    async def prepare(self) -> None:
        name = self.place.args.get("user")
        self.person = person = await (self.client.user(name) if name else self.client.whoami())
        self.query_one("#facts", AwaitedFacts).show(lambda room: _facts(person, room))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        assert self.person is not None
        # By the requested name: the name in a response is only displayed.
        client, name = self.client, self.place.args.get("user") or self.person.name

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.tokens(name, page_token=token)

        return fetch

    def key_of(self, row: UserToken) -> str:
        return row.id

    def copied(self, row: UserToken) -> str:
        return row.id

    def page_why_not(self, action: str) -> str | None:
        if self.person is None:
            return "the person is not known yet"
        if action == "lock" and self.person.administrator:
            return f"{safe(self.person.name, 64)} owns this installation"
        return None

    def why_not(self, action: str) -> str | None:
        if action == "create":
            return self.page_why_not(action)
        return super().why_not(action)

    def row_why_not(self, action: str, row: UserToken | None) -> str | None:
        if action == "revoke" and row is not None and row.revoked_at is not None:
            return "it is revoked already"
        return None

    # -- actions ------------------------------------------------------------------------------------

    @property
    def menu_of(self) -> str:
        return "" if self.person is None else self.person.name

    def do_view(self) -> None:
        """The selected token, else the user."""
        from registry_tui.screens.base.viewer import View

        shown = self.current or self.person
        assert shown is not None
        self.app.push_screen(View(shown.name, shown.model_dump_json(indent=2)))

    def do_edit(self) -> None:
        edit_person(self, self.person)

    def do_lock(self) -> None:
        assert self.person is not None
        lock_person(self, self.person)

    def do_roles(self) -> None:
        assert self.person is not None
        choose_environment(self, user=self.person.name)

    def do_create(self) -> None:
        assert self.person is not None
        self.app.push_screen(NewToken(self.person.name), self._made)

    def _made(self, made: NewUserToken | None) -> None:
        if made is not None:
            self.refresh_data()
            show_token(self.app, made)

    def do_revoke(self) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        found: UserToken = self.current
        assert self.person is not None
        client, user = self.client, self.person.name
        words = f"{found.name}: revoke"
        lines = (f"Whoever shows the token {found.name} ({found.prefix}…) is refused from now on.",)

        def answered(ok: bool | None) -> None:
            if ok:
                send = lambda: client.revoke_token(user, found.id)  # noqa: E731
                self.change(words, send, lambda _: self.saved(f"{safe(found.name, 60)} is revoked"))

        about = reference("token", user, found.id)
        self.app.push_screen(Confirm("Revoke token", lines, "Revoke", danger=True, about=about), answered)


def _facts(person: User, room: int) -> Content:
    projects = ", ".join(f"{each.project_name} ({each.role.value})" for each in person.projects)
    known = [
        ("Full name", person.full_name),
        ("E-mail", person.email),
        ("Roles", roles_of(person) or "none"),
        ("Groups", ", ".join(person.groups)),
        ("Projects", projects),
        ("Token used", "never" if person.last_used_at is None else both(person.last_used_at)),
        ("CRN", person.crn),
    ]
    parts = [(f"{safe(person.name, 64)}  ", "bold"), styled(state_of(person)), ("\n", "")]
    parts += facts(known, _INDENT, room)
    *listed, (last, style) = parts
    return Content.assemble(*listed, (last.rstrip("\n"), style))


def show_token(app: App[Any], made: NewUserToken) -> None:
    """Shows a new token, which is visible only once."""
    from registry_tui.screens.base.viewer import View

    token = made.user_token
    note = (
        f"The token {token.name} of {token.user}, good until {absolute(token.expires_at)[:10]}. "
        "It is shown only now: copy it with c and keep it somewhere safe."
    )
    app.push_screen(View("Token", made.token, note=note))


class NewToken(NamedForDays["NewUserToken"]):
    """The purpose of a token, and its validity."""

    PLACEHOLDER = "what it is for: laptop, ci …"
    LONGEST_NAME = 100
    AFTERWARDS = "the token is shown when it is there"

    def __init__(self, user: str) -> None:
        super().__init__()
        self.user = user

    def title_text(self) -> str:
        return f"New token of {self.user}"

    async def send(self) -> NewUserToken:
        from registry_tui.schemas.people import UserTokenCreate

        return await self.program.client.create_token(self.user, UserTokenCreate(name=self.named, days=self.days))

    def answered_late(self, result: NewUserToken) -> None:
        """The token is shown anyway: it cannot be seen later."""
        show_token(self.app, result)
