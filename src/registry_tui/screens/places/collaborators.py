"""The users of a project and their roles: list, add, change, remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.dialogs import Confirm, Dialog, title
from registry_tui.screens.base.form import Form, row
from registry_tui.screens.base.name_field import NameField, named_row
from registry_tui.screens.base.user_names import every_user
from registry_tui.terminal.commands import Place
from registry_tui.terminal.keys import box_bindings, box_keys
from registry_tui.terminal.permitted import refusal
from registry_tui.widgets.awaited import NOT_LOADED_HERE, AwaitedList, say_waiting
from registry_tui.wording.text import padded, safe

if TYPE_CHECKING:
    from registry_tui.schemas.places import Collaborator, Project

#: Roles with their rights, as the service has them.
ROLES = (
    ("viewer", "reads runs and models"),
    ("contributor", "also logs runs, registers and deploys models"),
    ("admin", "also says who works here, and deletes the project"),
)


class Collaborators(Dialog[None]):
    """The list; its keys are shown below it."""

    BINDINGS = box_bindings("collaborators")

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project
        self.people: Sequence[Collaborator] = ()

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = title(f"Collaborators of {self.project.name}", 60)
            box.border_subtitle = box_keys("collaborators", self.program.preferences.preset)
            yield AwaitedList(id="people")
            yield Static("", id="problem", classes="problem", markup=False)

    def on_mount(self) -> None:
        self.query_one("#problem").display = False
        self.query_one("#people").focus()
        self.work_on(self._learn(), "learn")

    async def _learn(self) -> None:
        self.people = (await self.program.client.collaborators(self.project.id)).items
        people = self.query_one("#people", OptionList)
        at = people.highlighted or 0
        people.clear_options()
        width = min(32, max((cell_len(safe(each.user, 60)) for each in self.people), default=0))
        words = dict(ROLES)
        for each in self.people:
            text = Content.assemble(
                (f"{padded(safe(each.user, 60), width)}  ", "bold"),
                (f"{each.role.value:<13}", "$accent"),
                (words.get(each.role.value, ""), "$foreground-muted"),
            )
            people.add_option(Option(text, id=each.user))
        people.highlighted = min(at, len(self.people) - 1) if self.people else None

    @property
    def chosen(self) -> Collaborator | None:
        at = self.query_one("#people", OptionList).highlighted
        return self.people[at] if at is not None and at < len(self.people) else None

    def failed(self, error: Exception) -> None:
        from registry_tui.client import RegistryError

        say_waiting(self, NOT_LOADED_HERE)
        self._complain(*(error.message, error.action or "") if isinstance(error, RegistryError) else [str(error)])

    def _complain(self, *lines: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update("\n".join(safe(line, 300) for line in lines if line))
        problem.display = True

    def _may(self, action: str) -> bool:
        """Whether the signed-in user may run it; otherwise shows why not."""
        me = self.program.me
        why = None if me is None else refusal(me, Place("collaborators"), action, self.project)
        if why is not None:
            self.program.look_at_me()
            self._complain(f"not now, {why}")
        return why is None

    def action_add(self) -> None:
        if not self._may("add"):
            return
        self.app.push_screen(SetCollaborator(self.project, None), self._changed)

    @on(OptionList.OptionSelected, "#people")
    def action_change(self) -> None:
        if self.chosen is not None and self._may("change"):
            self.app.push_screen(SetCollaborator(self.project, self.chosen), self._changed)

    def action_remove(self) -> None:
        chosen = self.chosen
        if chosen is None or not self._may("remove"):
            return
        lines = (
            f"{chosen.user} can no longer enter {self.project.name}.",
            "Their runs and versions stay, and stay theirs.",
        )

        def answered(ok: bool | None) -> None:
            if ok:
                client, user = self.program.client, chosen.user
                words = f"{self.project.name}: remove {user}"
                send = lambda: client.remove_collaborator(self.project.id, user)  # noqa: E731
                self.change(words, send, lambda _: self._changed(user))

        about = reference("collaborator", self.project.id, chosen.user)
        self.app.push_screen(Confirm("Remove collaborator", lines, "Remove", danger=True, about=about), answered)

    def action_export(self) -> None:
        from registry_tui.screens.base.save import ExportRows, file_name

        rows = [each.model_dump(mode="json") for each in self.people]
        self.app.push_screen(ExportRows(file_name(f"collaborators-of-{self.project.name}"), rows))

    def _changed(self, user: str | None) -> None:
        if user is not None:
            self.query_one("#problem").display = False
            self.work_on(self._learn(), "learn")


class SetCollaborator(Form[str]):
    """Grants a user a role; for administrators an unknown one is created."""

    def __init__(self, project: Project, known: Collaborator | None) -> None:
        super().__init__()
        self.project, self.known = project, known

    @property
    def edits(self) -> bool:
        return self.known is not None

    def title_text(self) -> str:
        return "Add collaborator" if self.known is None else f"Role of {self.known.user}"

    def compose_fields(self) -> Iterable[Widget]:
        if self.known is None:
            user = NameField(id="user", find=every_user(self), max_length=200, placeholder="a user's name")
            yield named_row("User", user)
        roles = [(f"{role}: {words}", role) for role, words in ROLES]
        now = "contributor" if self.known is None else self.known.role.value
        yield row("Role", Select(roles, value=now, allow_blank=False, compact=True, id="role"))

    def on_mount(self) -> None:
        self.query_one("#user" if self.known is None else "#role").focus()

    @property
    def user(self) -> str:
        return self.known.user if self.known is not None else self.query_one("#user", Input).value.strip()

    def problem_of(self) -> str | None:
        return None if self.user else "type a user's name"

    async def send(self) -> str:
        from registry_tui.schemas.places import CollaboratorChange, Role

        change = CollaboratorChange(role=Role(str(self.query_one("#role", Select).value)))
        return (await self.program.client.set_collaborator(self.project.id, self.user, change)).user
