"""The base of all forms: labelled rows, hints while typing, OK that waits for the service and keeps the input."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Label, OptionList, Select, Static, TextArea

from registry_tui.screens.base.changes import SAFE_AGAIN
from registry_tui.screens.base.dialogs import Dialog, title
from registry_tui.terminal.textual_private import BoxedTick
from registry_tui.widgets.awaited import NOT_LOADED_HERE, say_waiting
from registry_tui.wording.mistakes import unexpected
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from textual.timer import Timer

    from registry_tui.client import Intent

Result = TypeVar("Result")

#: The response to OK if a form begins with the present values, and they are unchanged.
NOTHING_CHANGED = "Nothing is changed: type what is to be different; esc leaves"


def row(label: str, *widgets: Widget) -> Horizontal:
    """One line of a form."""
    return Horizontal(Label(label, markup=False), *widgets, classes="row")


def whole(text: str) -> int | None:
    """The typed number, or None if it is not a number: `str.isdigit` also accepts characters that `int` rejects, such
    as ²."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


#: In a text of several lines; Textual's own key, ctrl+z, suspends the program.
UNDO = Binding("ctrl+underscore", "undo", "Undo", show=False)


class Tick(BoxedTick, Checkbox):
    """A checkbox that also shows without colours whether it is ticked."""

    def __init__(self, label: str, value: bool = False, *, id: str) -> None:
        super().__init__(Content(label), value, compact=True, id=id)

    def box(self) -> Content:
        style = self.get_visual_style("toggle--button")
        return Content.assemble(("[", style), ("x" if self.value else " ", style), ("]", style))


class Lines(TextArea):
    """A field for a text of several lines: enter submits the form, alt+enter begins a line, tab goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+enter,ctrl+j", "new_line", "New line", show=False),
        UNDO,
    ]

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

    def on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Given())

    class Given(Message):
        """Enter was pressed."""

    def action_new_line(self) -> None:
        self.insert("\n")


class Told(Static):
    """A text below the fields, which shrink or grow when its height changes."""

    def on_resize(self) -> None:
        if isinstance(self.screen, Form):
            self.screen.fit()


def value_of(widget: Widget) -> object:
    """The typed, ticked or chosen value of a field; None for widgets that cannot have the focus."""
    if isinstance(widget, TextArea):
        return widget.text
    if isinstance(widget, OptionList):
        return widget.highlighted if widget.can_focus else None
    return widget.value if isinstance(widget, Input | Checkbox | Select) else None


#: A box's share of the terminal's lines, the lines of its border and padding, the fields' share, and the least of them.
BOX_SHARE, BOX_EDGES, FIELDS_SHARE, LEAST_FIELDS = 0.94, 4, 0.66, 3


class Form(Dialog[Result]):
    """Subclasses provide `TITLE_TEXT`, `compose_fields`, `problem_of` and `send`.

    The input is sent once: until the response is there the form shows that it waits and takes no other input. It can be
    left in the meantime; the request continues, and a notification reports the outcome. After an error all input is
    still there, and sending the same again is the same intent (`client.Intent`).
    """

    TITLE_TEXT = ""
    OK = "OK"
    #: The name of the work that continues when the form is left while it sends.
    WORK = "The request"
    #: How the user learns the outcome.
    AFTERWARDS = "a message says how it ends"
    #: The word for the activity until the response arrives.
    SENDING = "Sending"
    #: Whether the form sends a request; others only return a value.
    SENDS: ClassVar[bool] = True
    #: Whether the form shows errors next to its fields.
    TELLS_ITSELF: ClassVar[bool] = False
    # Where a field has the keys, C is text.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+o,C", "copy_code", "Copy the command line", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._intent: Intent | None = None
        #: Since when a response has been awaited (`time.monotonic`), whether that is shown, and the widget that had the
        #: focus before.
        self._since = 0.0
        self._waiting: Timer | None = None
        self._focused: Widget | None = None
        #: Whether the input is being sent or processed.
        self.busy = False
        #: Whether the displayed problem is about the input, not about the outcome.
        self._about_input = False
        #: The fields' values when the displayed problem came up.
        self._complained_of: tuple[object, ...] = ()
        #: Whether the form was left while it was busy.
        self.left = False
        self._at_first: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        with Vertical(classes="box form") as box:
            box.border_title = title(self.title_text())
            with VerticalScroll(classes="fields", can_focus=False):
                yield from self.compose_fields()
            yield from self.compose_progress()
            sending = Told("", id="sending", classes="hint", markup=False)
            sending.display = False
            yield sending
            yield Told("", id="problem", classes="problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self.OK, id="ok", variant="primary", compact=True)

    def on_mount(self) -> None:
        self.query_one("#problem").display = False
        self._at_first = self.values()
        self.check()
        self.fit()

    def on_resize(self) -> None:
        self.fit()

    def fit(self) -> None:
        """Keeps progress, problem and buttons in view, after one of them became higher or lower."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        # A form that closes loses its widgets before it is detached itself.
        box = next(iter(self.query(".box")), None) if self.is_attached else None
        if box is None or not box.children:
            return
        fields, *below = box.children
        taken = sum(each.region.height + each.styles.margin.height for each in below if each.display)
        room = int(self.size.height * BOX_SHARE) - BOX_EDGES - taken
        fields.styles.max_height = None if room >= self.size.height * FIELDS_SHARE else max(LEAST_FIELDS, room)

    # -- for subclasses -----------------------------------------------------------------------------

    def title_text(self) -> str:
        """The words on the box."""
        return self.TITLE_TEXT

    def compose_fields(self) -> Iterable[Widget]:
        """The rows of the form."""
        return ()

    def compose_progress(self) -> Iterable[Widget]:
        """Widgets that show the progress, between the fields and the buttons."""
        return ()

    def problem_of(self) -> str | None:
        """Why OK is not possible with the current input, or None."""
        return None

    @property
    def edits(self) -> bool:
        """Whether the form begins with the present values, so that OK without a change sends nothing."""
        return False

    def send(self) -> Coroutine[Any, Any, Result]:
        """Sends the request; its result closes the form."""
        raise NotImplementedError

    def work(self) -> Coroutine[Any, Any, Result]:
        """The coroutine to run now: `send`, unless the form needs another request too."""
        return self.send()

    # -- underneath ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Enables OK when the input is valid and nothing is being sent."""
        why = self.problem_of()
        self.query_one("#ok", Button).disabled = self.busy or why is not None
        if self._about_input and why is None:
            self.tell(None)

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _typed(self, event: Input.Changed | TextArea.Changed) -> None:
        self.check()
        # Not while the form fills its fields.
        if event.control.has_focus and not self.complaint_holds():
            self.tell(None if self.TELLS_ITSELF else self.problem_of())

    @on(Checkbox.Changed)
    @on(Select.Changed)
    @on(OptionList.OptionHighlighted)
    def _choice_changed(self, event: Message) -> None:
        """Removes a complaint about the earlier choice; adds no new complaint."""
        self.check()
        control = event.control
        if (
            self.query_one("#problem").display
            and isinstance(control, Widget)
            and control.has_focus
            and not self.complaint_holds()
        ):
            self.tell(None if self.TELLS_ITSELF else self.problem_of())

    def complaint_holds(self) -> bool:
        """Whether the displayed problem is about the current values: it may arrive while a change is queued."""
        return self.query_one("#problem").display and self.values() == self._complained_of

    def values(self) -> tuple[object, ...]:
        """All typed, ticked and chosen values."""
        return tuple(value_of(widget) for widget in self.query("Input, TextArea, Checkbox, Select, OptionList"))

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
        if self.busy:
            return
        why = self.problem_of()
        if why is not None:
            self.complain(why)
            self._about_input = True
            return
        if self._unchanged:
            self.complain(NOTHING_CHANGED)
            return
        self.begin()

    @property
    def _unchanged(self) -> bool:
        return self.edits and self.values() == self._at_first

    def begin(self) -> None:
        """Sends the result of `work`; other input is blocked until the response arrives."""
        self.busy = True
        self.tell(None)
        if self.SENDS:
            self._show_sending()
            # A worker of the app, not of the form: leaving the form must not cancel the request.
            self.app.run_worker(self._send(), group="forms", exclusive=False, exit_on_error=False)
        else:
            self.query_one("#ok", Button).disabled = True
            self.work_on(self._send(), "send")

    async def _send(self) -> None:
        from registry_tui.client import Intent

        self._intent = self._intent or Intent()
        try:
            with self._intent:
                result = await self.work()
        except Exception as error:
            self._failed_sending(error)
        else:
            self.busy = False
            if self.left:
                self.answered_late(result)
            elif self.is_attached:
                self._end_sending()
                self.sent(result)
        finally:
            if self.busy:
                self.busy = False
                if self.is_attached and not self.left:
                    self._end_sending()

    def _failed_sending(self, error: Exception) -> None:
        from registry_tui.client import RegistryError, may_be_done

        if not may_be_done(error):
            self._intent = None
        if not self.left:
            if self.is_attached:
                self.failed(error)
        elif isinstance(error, RegistryError):
            self.program.report(error)
        else:  # it tried to update the form
            self.log.debug(error)

    def action_copy_code(self) -> None:
        """Copies the command line equivalent of OK."""
        why = self.problem_of() if self.SENDS else "no command does this"
        if why is None and self._unchanged:
            why = "nothing is changed"
        if self.busy or why is not None:
            self.complain(f"not copied: {why or 'it is being sent'}")
        else:
            self.work_on(self._copy_code(), "code")

    async def _copy_code(self) -> None:
        # Imported with the first copy, not with the first form.
        from registry_tui.screens.base.copy_code import copy_what_is_sent

        self.tell(None)
        self.app.notify(await copy_what_is_sent(self.program, self.send()), markup=False)

    def _show_sending(self) -> None:
        self._since, self._focused = time.monotonic(), self.focused
        # Textual would move the focus from a disabled widget to the next button, which leaves the form.
        self.set_focus(None)
        self.query_one(".fields").disabled = True
        ok = self.query_one("#ok", Button)
        ok.disabled, ok.label = True, f"{self.SENDING} …"
        self.query_one("#cancel", Button).label = "Leave"
        self._waiting = self.set_interval(1.0, self._tell_waiting, name="sending")

    def _tell_waiting(self) -> None:
        line = self.query_one("#sending", Static)
        waited = f"{time.monotonic() - self._since:.0f} s"
        if not line.display:
            self.fit()
        line.update(f"{self.SENDING.lower()} … {waited}\nesc leaves, it goes on: {self.AFTERWARDS}")
        line.display = True

    def answer_came(self) -> None:
        """The response came; the work it started may continue."""
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
            self.query_one("#sending").display = False
            self.fit()
            self.query_one("#ok", Button).label = self.OK

    def _end_sending(self) -> None:
        if not self.SENDS:
            self.check()
            return
        self.answer_came()
        self.query_one(".fields").disabled = False
        self.query_one("#cancel", Button).label = "Cancel"
        self.check()
        if self.focused is None:
            self.set_focus(self._focused or self.query_one("#ok"))
        self._focused = None

    def action_leave(self) -> None:
        """Leaves; a request in flight continues."""
        if self.busy and self.SENDS:
            self.left = True
            self.app.notify(f"{self.WORK} goes on; {self.AFTERWARDS}", markup=False)
        self.dismiss(None)

    def answered_late(self, result: Result) -> None:
        """The service accepted the request after the form was left."""
        self.app.notify(f"{safe(self.title_text(), 200)}: done", markup=False)
        self.program.frame.refresh_soon()

    def sent(self, result: Result) -> None:
        """The service accepted the request."""
        self.dismiss(result)

    def failed(self, error: Exception) -> None:
        """Shows the error in the form, which keeps its input."""
        from registry_tui.client import RegistryError, may_be_done

        say_waiting(self, NOT_LOADED_HERE)
        if not isinstance(error, RegistryError):
            self.complain(unexpected(error))
            return
        lines = [error.message, error.action or ""]
        if self.busy and self.SENDS and may_be_done(error):
            lines.append(SAFE_AGAIN)
        lines += [f"{field}: {words}" for field, words in self.elsewhere(error) if words not in error.message]
        self.complain("\n".join(line for line in lines if line))

    def elsewhere(self, error: Exception) -> Iterable[tuple[str, str]]:
        """The fields of an error's problem with their messages; the form itself shows none of them next to its
        fields.
        """
        problem = getattr(error, "problem", None)
        return [] if problem is None else [(each.field, each.message) for each in problem.errors]

    def tell(self, problem: str | None) -> None:
        """Shows a problem with the input, or removes it."""
        if problem is None:
            self.query_one("#problem").display = False
            self.fit()
        else:
            self.complain(problem)
        self._about_input = problem is not None

    def complain(self, text: str) -> None:
        """Shows a problem above the buttons."""
        line = self.query_one("#problem", Static)
        line.update("\n".join(safe(part, 400) for part in text.splitlines()))
        line.display = True
        self._about_input, self._complained_of = False, self.values()
        self.fit()
