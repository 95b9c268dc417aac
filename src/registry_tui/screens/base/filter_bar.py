"""The line above a list that narrows it: texts and choices; only the active ones are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Label

from registry_tui.wording.text import safe

#: Seconds without a key before a list is fetched again.
PAUSE = 0.15


@dataclass(frozen=True)
class Filter:
    """One way to narrow a list: a text, or one of `choices` (value, word)."""

    name: str
    label: str
    choices: tuple[tuple[str, str], ...] | None = None
    placeholder: str = ""
    #: Filters while typing; query languages wait for enter.
    live: bool = True


class Choice(Widget, can_focus=True):
    """One of a few values. Enter, space or a click lists them."""

    DEFAULT_CSS = """
    Choice {
        width: auto;
        height: 1;
        min-width: 8;
        &:focus { text-style: reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space,down", "list", "Choose", show=False)]

    value: reactive[str] = reactive("")
    choices: reactive[tuple[tuple[str, str], ...]] = reactive((), layout=True)

    class Changed(Message):
        def __init__(self, choice: Choice, value: str) -> None:
            super().__init__()
            self.choice, self.value = choice, value

    def __init__(
        self, label: str, choices: tuple[tuple[str, str], ...], value: str = "", *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.label = label
        self.set_reactive(Choice.choices, choices)
        self.set_reactive(Choice.value, value)

    @property
    def word(self) -> str:
        return next((word for value, word in self.choices if value == self.value), self.value)

    def render(self) -> Content:
        return Content.assemble((f"{safe(self.word, 28)} ▾", ""))

    def get_content_width(self, *_: object) -> int:
        return self.render().cell_length

    def watch_value(self) -> None:
        self.refresh(layout=True)

    def on_click(self, event: events.Click) -> None:
        self.focus()
        self.action_list()

    def action_list(self) -> None:
        from registry_tui.screens.base.dialogs import Menu, MenuItem

        items = [MenuItem(value, word) for value, word in self.choices]
        self.app.push_screen(Menu(self.label, items, self.value), self._chosen)

    def _chosen(self, value: str | None) -> None:
        if value is not None and value != self.value:
            self.value = value
            self.post_message(self.Changed(self, value))


class FilterBar(Horizontal):
    """Posts `Changed` with all values when one of them changes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back to the list", show=False)]

    class Changed(Message):
        def __init__(self, values: dict[str, str]) -> None:
            super().__init__()
            self.values = values

    class Left(Message):
        """The list should get the focus back."""

    def __init__(self, filters: tuple[Filter, ...], values: Mapping[str, str] | None = None) -> None:
        super().__init__(id="filters", classes="bar")
        self.filters = filters
        self.values: dict[str, str] = {known.name: (values or {}).get(known.name, "") for known in filters}
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        for known in self.filters:
            yield Label(known.label)
            if known.choices is None:
                yield Input(self.values[known.name], placeholder=known.placeholder, compact=True, id=f"f-{known.name}")
            else:
                yield Choice(known.label, (("", "any"), *known.choices), self.values[known.name], id=f"f-{known.name}")
                yield Label("  ")
        yield Label("", classes="count", id="count", markup=False)

    def show_count(self, text: str) -> None:
        """How many rows the list has."""
        label = self.query_one("#count", Label)
        if str(label.content) != text:
            label.update(text)

    def set_choices(self, name: str, choices: tuple[tuple[str, str], ...]) -> None:
        """Offers other values."""
        self.query_one(f"#f-{name}", Choice).choices = (("", "any"), *choices)

    def focus_first(self) -> None:
        """Gives the keys to the first text."""
        self.screen.set_focus(self.query_one(f"#f-{self.filters[0].name}"))

    @property
    def narrowed(self) -> bool:
        """Whether anything is filtered."""
        return any(self.values.values())

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        name = (event.input.id or "")[2:]
        known = next(known for known in self.filters if known.name == name)
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if known.live and self.values[name] != event.value:
            self._timer = self.set_timer(PAUSE, lambda: self._set(name, event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._set((event.input.id or "")[2:], event.value)
        self.post_message(self.Left())

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self._set((event.choice.id or "")[2:], event.value)

    def _set(self, name: str, value: str) -> None:
        if self.values[name] != value:
            self.values[name] = value
            self.post_message(self.Changed(dict(self.values)))

    def action_leave(self) -> None:
        self.post_message(self.Left())
