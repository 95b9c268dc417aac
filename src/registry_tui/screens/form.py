"""What forms share: labelled rows, hints while typing, OK that waits for the service and keeps the input."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, ClassVar, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Label, Static, TextArea

from registry_tui.screens.dialogs import Dialog, title
from registry_tui.widgets.text import safe

Result = TypeVar("Result")


def row(label: str, *widgets: Widget) -> Horizontal:
    """One line of a form."""
    return Horizontal(Label(label, markup=False), *widgets, classes="row")


def whole(text: str) -> int | None:
    """The number that is typed, or None when it is none: `str.isdigit` also takes what `int` does not, as ²."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


class Tick(Checkbox):
    """A checkbox that also shows without colours whether it is ticked."""

    def __init__(self, label: str, value: bool = False, *, id: str) -> None:
        super().__init__(Content(label), value, compact=True, id=id)

    @property
    def _button(self) -> Content:
        style = self.get_visual_style("toggle--button")
        return Content.assemble(("[", style), ("x" if self.value else " ", style), ("]", style))


class Lines(TextArea):
    """A field for a text of several lines: enter gives the form, alt+enter begins a line, tab goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("alt+enter,ctrl+j", "new_line", "New line", show=False)]

    def __init__(self, text: str = "", *, id: str, placeholder: str = "") -> None:
        super().__init__(
            text,
            compact=True,
            soft_wrap=True,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder=placeholder,
            id=id,
        )

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Given())
        else:
            await super()._on_key(event)

    class Given(Message):
        """Enter was pressed."""

    def action_new_line(self) -> None:
        self.insert("\n")


class Form(Dialog[Result]):
    """Subclasses give `TITLE_TEXT`, `compose_fields`, `problem_of` and `send`."""

    TITLE_TEXT = ""
    OK = "OK"
    #: Whether the form says beside its fields what is wrong there.
    TELLS_ITSELF: ClassVar[bool] = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="box form") as box:
            box.border_title = title(self.title_text())
            with VerticalScroll(classes="fields", can_focus=False):
                yield from self.compose_fields()
            yield Static("", id="problem", classes="problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self.OK, id="ok", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one("#problem").display = False
        self.check()

    # -- for subclasses -----------------------------------------------------------------------------

    def title_text(self) -> str:
        """The words on the box."""
        return self.TITLE_TEXT

    def compose_fields(self) -> Iterable[Widget]:
        """The rows of the form."""
        return ()

    def problem_of(self) -> str | None:
        """Why OK is not possible with what was typed so far, or None."""
        return None

    def send(self) -> Coroutine[Any, Any, Result]:
        """Asks the service; what it answers closes the form."""
        raise NotImplementedError

    # -- underneath ---------------------------------------------------------------------------------

    def check(self) -> None:
        """OK is possible once nothing is wrong with the input."""
        self.query_one("#ok", Button).disabled = self.problem_of() is not None

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _typed(self, event: Input.Changed | TextArea.Changed) -> None:
        self.check()
        # Not while the form fills its fields.
        if event.control.has_focus and not self.TELLS_ITSELF:
            self.tell(self.problem_of())

    @on(Input.Submitted)
    @on(Lines.Given)
    def _submitted(self) -> None:
        self._ok()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "ok":
            self._ok()
        elif event.button.id == "cancel":
            self.action_leave()

    def _ok(self) -> None:
        why = self.problem_of()
        if why is not None:
            self.complain(why)
            return
        self.query_one("#ok", Button).disabled = True
        self.query_one("#problem").display = False
        self.work_on(self._send(), "send")

    async def _send(self) -> None:
        try:
            self.sent(await self.send())
        finally:
            if self.is_attached:
                self.check()

    def sent(self, result: Result) -> None:
        """The service took it."""
        self.dismiss(result)

    def failed(self, error: Exception) -> None:
        """Says what is wrong in the form, which keeps its input."""
        from registry_tui.client import RegistryError

        if not isinstance(error, RegistryError):
            self.complain(f"{type(error).__name__}: {error}")
            return
        lines = [error.message, error.action or ""]
        problem = getattr(error, "problem", None)
        if problem is not None:
            lines += [
                f"{field.field}: {field.message}" for field in problem.errors if field.message not in error.message
            ]
        self.complain("\n".join(line for line in lines if line))

    def tell(self, problem: str | None) -> None:
        """Shows what is wrong with the input, or that nothing is any more."""
        if problem is None:
            self.query_one("#problem").display = False
        else:
            self.complain(problem)

    def complain(self, text: str) -> None:
        """Shows a problem above the buttons."""
        line = self.query_one("#problem", Static)
        line.update("\n".join(safe(part, 400) for part in text.splitlines()))
        line.display = True
