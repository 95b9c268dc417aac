"""A row of a form that takes several names: each is added to a list below the field, and can be removed there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from registry_tui.contracts.matching import SPREAD, match
from registry_tui.screens.base.form import row
from registry_tui.screens.base.name_field import Choice, Find, NameField
from registry_tui.terminal.keys import box_bindings
from registry_tui.widgets.facts import beside


class _PickField(NameField):
    """A name that is taken from the list leaves the field, which is ready for the next."""

    class Picked(Message):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def means(self, best: Choice, typed: str) -> bool:
        found = match(typed, best.name)
        # A name that is not known yet can be given too: a match of scattered letters is another name.
        return super().means(best, typed) and found is not None and found[0] != SPREAD

    def take(self, name: str) -> None:
        super().take("")
        self.post_message(self.Picked(name))


class _Given(OptionList):
    """The names that were given."""

    BINDINGS = box_bindings("names")

    def action_remove(self) -> None:
        """Takes the selected name out."""
        names = self.parent
        if isinstance(names, Names) and self.highlighted is not None:
            names.remove_name(self.highlighted)


class Names(Vertical):
    """Enter adds the typed or chosen name; the text still in the field is `left_over`."""

    class Changed(Message):
        """Names were added or removed."""

    def __init__(
        self,
        label: str,
        names: Sequence[str],
        *,
        id: str,
        find: Find | None = None,
        whole: Callable[[str], str] = str,
        **options: Any,
    ) -> None:
        """`find` completes names; `whole` returns the full name for the typed text."""
        super().__init__(id=id, classes="named")
        self._label, self._find, self._whole, self._options = label, find, whole, options
        self._names = list(names)
        self._field: Input | None = None

    def compose(self) -> ComposeResult:
        id_ = f"{self.id}-field"
        if self._find is not None:
            field = _PickField(id=id_, find=self._find, must_exist=True, **self._options)
            yield row(self._label, field)
            yield field.choices
            self._field = field
        else:
            self._field = Input(id=id_, compact=True, **self._options)
            yield row(self._label, self._field)
        yield _Given(id=f"{self.id}-given", classes="given", compact=True, markup=False)

    def on_mount(self) -> None:
        self._show()

    def on_resize(self) -> None:
        self.call_later(self._show)

    def focus_field(self) -> None:
        """Focuses the field."""
        self.query_one(f"#{self.id}-field").focus()

    @property
    def given(self) -> list[str]:
        """The names in the list."""
        return list(self._names)

    @property
    def left_over(self) -> str:
        """The typed text that is not added yet."""
        return self._field.value.strip() if self._field is not None else ""

    def remove_name(self, position: int) -> None:
        """Takes a name out; the field gets the focus when none is left."""
        if position < len(self._names):
            del self._names[position]
            self._show()
            self.post_message(self.Changed())
            if not self._names:
                self.focus_field()

    def _add(self, name: str) -> None:
        self._names = list(dict.fromkeys([*self._names, self._whole(name)]))
        self._show()
        self.post_message(self.Changed())

    def _show(self) -> None:
        listed = self.query_one(_Given)
        at = listed.highlighted
        listed.clear_options()
        room = max(12, self.size.width - 20)
        listed.add_options([Option(Content(beside(name, room, 0))) for name in self._names])
        listed.display = bool(self._names)
        if self._names:
            listed.highlighted = min(at or 0, len(self._names) - 1)

    @on(_PickField.Picked)
    def _picked(self, event: _PickField.Picked) -> None:
        event.stop()
        self._add(event.name)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        name = event.value.strip()
        if name:
            # With nothing typed, enter submits the form.
            event.stop()
            event.input.value = ""
            self._add(name)
