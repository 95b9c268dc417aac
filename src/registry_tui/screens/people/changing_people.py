"""Actions on a user from the list and from the user's page: create, change, suspend, delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.depends_on import DependsOn
from registry_tui.screens.base.form import Form, row
from registry_tui.screens.base.name_field import NameField, named_row
from registry_tui.screens.base.user_names import everybody_but
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.people import User
    from registry_tui.screens.people.people_list import PeopleList


class PersonForm(Form[str]):
    """Creates a user, or changes the name and e-mail of one."""

    def __init__(self, person: User | None) -> None:
        super().__init__()
        self.person = person

    @property
    def edits(self) -> bool:
        return self.person is not None

    def title_text(self) -> str:
        return "Create user" if self.person is None else f"Change {self.person.name}"

    def compose_fields(self) -> Iterable[Widget]:
        if self.person is None:
            yield row("Name", Input(compact=True, id="name", placeholder="1 to 64 letters, digits and . _ @ + -"))
        known = self.person
        yield row("Full name", Input("" if known is None else known.full_name, compact=True, id="full", max_length=200))
        email = Input("" if known is None else known.email, compact=True, id="email", max_length=254)
        yield row("E-mail", email)
        if known is None:
            hint = "A new user has no role and no token: p gives roles, the person's page makes tokens."
            yield Static(hint, classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#name" if self.person is None else "#full").focus()

    @property
    def name_of(self) -> str:
        """The user's name."""
        return self.person.name if self.person is not None else self.query_one("#name", Input).value.strip()

    def problem_of(self) -> str | None:
        if not self.name_of:
            return "type a name"
        email = self.query_one("#email", Input).value.strip()
        if email and (email.count("@") != 1 or email.startswith("@") or email.endswith("@") or " " in email):
            return "e-mail: an address as ada@example.org"
        return None

    async def send(self) -> str:
        from registry_tui.schemas.people import UserChange

        client = self.program.client
        change = UserChange(
            full_name=self.query_one("#full", Input).value.strip(),
            email=self.query_one("#email", Input).value.strip(),
        )
        if self.person is None:
            return (await client.put_user(self.name_of, change)).name
        return (await client.change_user(self.name_of, change)).name


class DeletePerson(Form[str]):
    """Asks for a user's successor, who gets the user's resources, and deletes the user. The result is the successor's
    name."""

    OK = "Delete"
    WORK = "The deletion"

    def __init__(self, person: User) -> None:
        super().__init__()
        self.person = person

    def title_text(self) -> str:
        return f"Delete {self.person.name}"

    def compose_fields(self) -> Iterable[Widget]:
        lines = (
            f"Goes: {self.person.name}, with all tokens, API keys and roles. This cannot be undone.",
            "Stays: models, registries, projects and deployments; they go to somebody else.",
            "Suspending (!) refuses them everywhere too, and can be undone.",
        )
        for each in lines:
            yield Static(safe(each), classes="note", markup=False)
        yield DependsOn([reference("user", self.person.name)])
        find = everybody_but(self, self.person.name)
        yield named_row("Goes to", NameField(id="to", find=find, max_length=200, placeholder="a user's name"))

    def on_mount(self) -> None:
        self.query_one("#to").focus()

    def problem_of(self) -> str | None:
        to = self.query_one("#to", Input).value.strip()
        if not to:
            return "type the name of who gets what they own"
        return "somebody else has to get it" if to == self.person.name else None

    async def send(self) -> str:
        to = self.query_one("#to", Input).value.strip()
        await self.program.client.delete_user(self.person.name, to)
        return to


def edit_person(screen: PeopleList, person: User | None) -> None:
    """Opens the form that creates a user, or changes one."""
    words = "is known" if person is None else "is changed"

    def saved(name: str | None) -> None:
        screen.saved(None if name is None else f"{safe(name, 64)} {words}")

    screen.app.push_screen(PersonForm(person), saved)


def lock_person(screen: PeopleList, person: User) -> None:
    """Suspends a user after a question, or reactivates one."""
    from registry_tui.schemas.people import UserChange, UserState

    client, name = screen.client, person.name
    suspends = person.state is UserState.ACTIVE
    state = UserState.SUSPENDED if suspends else UserState.ACTIVE

    def change() -> None:
        words = f"{name}: {'suspend' if suspends else 'let in'}"
        done = f"{safe(name, 64)} is {'suspended' if suspends else 'active'}"
        screen.change(words, lambda: client.change_user(name, UserChange(state=state)), lambda _: screen.saved(done))

    if not suspends:
        change()
        return
    from registry_tui.screens.base.dialogs import Confirm

    lines = (
        f"{name} is refused at every door from now on: tokens, API keys, MLflow.",
        "Nothing of theirs is deleted; ! lets them in again.",
    )
    question = Confirm("Suspend user", lines, "Suspend", danger=True, about=reference("user", name))
    screen.app.push_screen(question, lambda ok: change() if ok else None)


def delete_person(screen: PeopleList, person: User) -> None:
    """Asks for a user's successor, and deletes the user."""

    def deleted(to: str | None) -> None:
        if to is not None:
            screen.saved(f"{safe(person.name, 64)} is deleted; {safe(to, 64)} owns their possessions")

    screen.app.push_screen(DeletePerson(person), deleted)
