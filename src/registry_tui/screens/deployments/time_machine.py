"""The state of a deployment at a chosen time, who deployed it, and the runs before and after."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Static

from registry_tui.contracts.moments import parse_moment
from registry_tui.screens.base.dialogs import Dialog, title
from registry_tui.wording import served as words
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import ServedAt

#: The format of a time in the field.
_WRITTEN = "%Y-%m-%d %H:%M:%S"


class TimeMachine(Dialog[None]):
    """Asks for a time and shows the state then, as `deployments at` does; it goes from change to change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "earlier", "Earlier", show=False),
        Binding("pagedown", "later", "Later", show=False),
    ]

    def __init__(self, deployment: str, name: str, moment: datetime) -> None:
        super().__init__()
        self.deployment, self.named, self.first = deployment, name, moment
        self.found: ServedAt | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="box view") as box:
            box.border_title = title(f"Versions that {self.named} served", 90)
            note = "A moment such as 2026-11-20 14:03, or how long ago: 2h, 3d, 1w. Enter asks."
            yield Static(note, classes="note", markup=False)
            yield Input(_written(self.first), compact=True, id="moment")
            yield Static("", classes="problem", id="problem", markup=False)
            yield Static("", id="served", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Earlier", id="earlier", compact=True)
                yield Button("Later", id="later", compact=True)
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        self.query_one("#moment").focus()
        self._ask()

    @on(Input.Submitted, "#moment")
    def _ask(self) -> None:
        self._problem("")
        try:
            given = parse_moment(self.query_one("#moment", Input).value)
        except ValueError as error:
            self._problem(str(error))
            return
        self.query_one("#served", Static).update("asking …")
        self.work_on(self._look(given), "served")

    async def _look(self, given: datetime | timedelta) -> None:
        client = self.program.client
        moment = client.clock.now() - given if isinstance(given, timedelta) else given
        self.found = found = await client.served_at(self.deployment, moment)
        self.query_one("#served", Static).update("\n\n".join(safe(line, 1000) for line in words.sentences(found)))
        for way, change in (("earlier", self._change_before()), ("later", self._change_after())):
            self.query_one(f"#{way}", Button).disabled = change is None

    def failed(self, error: Exception) -> None:
        self.query_one("#served", Static).update("")
        self._problem(str(error))

    def _problem(self, message: str) -> None:
        problem = self.query_one("#problem", Static)
        problem.update(safe(message, 400))
        problem.display = bool(message)

    def _change_before(self) -> datetime | None:
        """The time at which the previous version began to serve."""
        before = None if self.found is None else self.found.before
        return None if before is None else before.began_at

    def _change_after(self) -> datetime | None:
        """The time at which the next version began to serve."""
        after = None if self.found is None else self.found.after
        return None if after is None else after.began_at

    @on(Button.Pressed, "#earlier")
    def action_earlier(self) -> None:
        self._go(self._change_before())

    @on(Button.Pressed, "#later")
    def action_later(self) -> None:
        self._go(self._change_after())

    def _go(self, moment: datetime | None) -> None:
        if moment is not None:
            self.query_one("#moment", Input).value = _written(moment)
            self._ask()

    @on(Button.Pressed, "#close")
    def _close(self) -> None:
        self.dismiss(None)


def _written(moment: datetime) -> str:
    """The field has whole seconds; a version that began within one served at its end."""
    return (moment + timedelta(seconds=1)).astimezone().strftime(_WRITTEN)
