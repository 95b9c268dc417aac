"""The form for a named object that is valid for some days: an API key, a token."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Input

from registry_tui.screens.base.form import Form, Result, row, whole


class NamedForDays(Form[Result]):
    """A name and a validity. Subclasses provide `TITLE_TEXT` or `title_text`, `PLACEHOLDER`, and `send`."""

    PLACEHOLDER = ""
    #: Characters that the name may have; 0 leaves that to the service.
    LONGEST_NAME = 0

    def compose_fields(self) -> Iterable[Widget]:
        name = Input(compact=True, id="name", placeholder=self.PLACEHOLDER, max_length=self.LONGEST_NAME)
        yield row("Name", name)
        yield row("Good for days", Input("365", compact=True, id="days", type="integer"))

    def on_mount(self) -> None:
        self.query_one("#name").focus()

    def problem_of(self) -> str | None:
        if not self.named:
            return "type a name"
        return None if 1 <= (whole(self._days) or 0) <= 3650 else "days: a number from 1 to 3650"

    @property
    def named(self) -> str:
        """The typed name."""
        return self.query_one("#name", Input).value.strip()

    @property
    def days(self) -> int:
        """The typed days, once `problem_of` finds no problem."""
        return int(self._days)

    @property
    def _days(self) -> str:
        return self.query_one("#days", Input).value
