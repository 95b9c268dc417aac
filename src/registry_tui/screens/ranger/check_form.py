"""Checks whether the policies grant a user access to a path, and which policy decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Static, TextArea

from registry_tui.screens.base.form import Form, Tick, row
from registry_tui.screens.base.name_field import NameField, named_row
from registry_tui.screens.ranger.people import MachineUsers, people_of
from registry_tui.widgets.facts import beside
from registry_tui.wording.command_lines import as_typed
from registry_tui.wording.command_parts import line
from registry_tui.wording.policies import asked_resource, verdicts
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.ranger import RangerService, ServiceDefinition
    from registry_tui.wording.policies import Verdict

#: Cells before the reason of a verdict: the permission and the decision.
_INDENT = 18


class CheckForm(Form[Sequence["Verdict"]]):
    """Stays open with the result, so that the next check is a changed field and enter."""

    OK = "Check"
    #: Nothing is changed: leaving the form cancels the request.
    SENDS = False

    def __init__(self, service: RangerService, definition: ServiceDefinition) -> None:
        super().__init__()
        self.service, self.definition = service, definition
        self.machine_users = MachineUsers()
        self._people = people_of(self, self.service, self.machine_users)
        #: The values that the displayed result is about.
        self._answered: tuple[object, ...] | None = None

    def title_text(self) -> str:
        return f"Check access by {self.service.name}"

    def compose_fields(self) -> Iterable[Widget]:
        hint = "a person, or a machine user by its last part"
        yield named_row("User", NameField(id="user", find=self._people, must_exist=True, placeholder=hint))
        bucket = safe(self.service.configs.get("bucket", ""), 60)
        yield row("Path", Input(compact=True, id="path", placeholder=f"below {bucket}, e.g. modelregistry/x"))
        ticks = [
            Tick((access.label or access.name).lower(), True, id=f"access-{number}")
            for number, access in enumerate(self.definition.access_types)
        ]
        yield row("Permissions", *ticks)
        yield Static("", id="answer", classes="note", markup=False)

    def on_mount(self) -> None:
        self.query_one("#cancel", Button).label = "Close"
        self.query_one("#answer").display = False
        self.query_one("#user").focus()

    # -- the check ----------------------------------------------------------------------------------

    @on(Input.Changed)
    @on(TextArea.Changed)
    @on(Checkbox.Changed)
    def _asked_otherwise(self) -> None:
        """Hides the result of another check."""
        if self._answered is not None and self.values() != self._answered:
            self._show(None)

    @property
    def _user(self) -> str:
        return self.machine_users.whole(self.query_one("#user", NameField).value.strip())

    @property
    def _path(self) -> str:
        return self.query_one("#path", Input).value.strip()

    @property
    def _permissions(self) -> list[str]:
        known = enumerate(self.definition.access_types)
        return [access.name for number, access in known if self.query_one(f"#access-{number}", Tick).value]

    def problem_of(self) -> str | None:
        if not self._user:
            return "type who asks"
        if not self._path:
            return "type a path"
        return None if self._permissions else "tick a permission"

    async def send(self) -> Sequence[Verdict]:
        client, environment = self.program.client, self.service.configs.get("environment", self.service.name)
        self._show(Content.styled("asking …", "$foreground-muted"))
        asked = self.values()
        try:
            # The last part of a machine user's name may be typed before its whole name is known.
            await self._people("")
            user = self._user
            if asked == self.values() and self.query_one("#user", NameField).value.strip() != user:
                self.query_one("#user", NameField).take(user)
                asked = self.values()
            resource = asked_resource(self.definition, self.service, self._path)
            answer = await client.check_access(self.service.name, user, resource, self._permissions)
            found = verdicts(answer, await client.policies(environment))
        except Exception:
            self._show(None)
            raise
        self._answered = asked
        return found

    # -- the policies' verdict ----------------------------------------------------------------------

    def sent(self, result: Sequence[Verdict]) -> None:
        """Shows the result, unless the fields were changed meanwhile."""
        if self.values() != self._answered:
            self._show(None)
            return
        room = max(20, self.query_one(".fields").size.width - _INDENT)
        lines = [
            Content.assemble(
                (f"{safe(each.permission, 9):<10}", "bold"),
                (f"{each.words:<{_INDENT - 10}}", "$success" if each.allowed else "$error"),
                beside(safe(each.reason, 200), room, _INDENT),
            )
            for each in result
        ]
        self._show(Content("\n").join(lines), self._answered)

    def _show(self, answer: Content | None, about: tuple[object, ...] | None = None) -> None:
        self._answered = about
        shown = self.query_one("#answer", Static)
        shown.update(answer or "")
        shown.display = answer is not None
        self.fit()
        if answer is not None:
            shown.scroll_visible(animate=False)

    def _copy_question(self) -> None:
        some = [] if len(self._permissions) == len(self.definition.access_types) else self._permissions
        asked = [("--user", self._user), *(("--permission", each) for each in some), ("--service", self.service.name)]
        words = line("ranger policies check", [self._path], asked)
        text = as_typed([words])
        self.program.copy_text(text, lambda message: self.app.notify(f"{message}:\n{safe(text, 2_000)}", markup=False))

    def action_copy_code(self) -> None:
        """Copies the command line of the same check."""
        if (why := self.problem_of()) is not None:
            self.complain(f"not copied: {why}")
        else:
            self.tell(None)
            self._copy_question()
