"""The field for MLflow's filter language: a list of the possible continuations, and a mark at a mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from textual import events, on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.suggester import Suggester, SuggestionReady
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from registry_tui.terminal.textual_private import suggestion_of
from registry_tui.widgets import filter_language
from registry_tui.wording.text import safe, safe_lines

#: The currently known keys, by kind.
Keys = Callable[[], Mapping[str, Iterable[str]]]


class FilterLine(Vertical):
    """The field (`#filter`), a count next to it (`#count`), the list below it and the error."""

    DEFAULT_CSS = """
    FilterLine {
        height: auto;
        & > #choices {
            overlay: screen;
            display: none;
            width: auto;
            min-width: 24;
            max-width: 60;
            height: auto;
            max-height: 8;
            background: $surface;
            scrollbar-size-vertical: 1;
        }
        & > #wrong {
            display: none;
            height: auto;
            max-height: 5;
            color: $error;
            padding: 0 1;
        }
    }
    """

    def __init__(self, value: str, keys: Keys) -> None:
        super().__init__()
        self._value, self._keys = value, keys

    def compose(self) -> ComposeResult:
        with Horizontal(classes="bar"):
            yield Label("filter")
            yield FilterField(self._value, self._keys)
            yield Static("", classes="count", id="count")
        yield _Choices(id="choices", compact=True)
        yield Static("", id="wrong", markup=False)

    def complain(self, words: str, text: str = "") -> None:
        """Shows why the filter `text` was refused, and marks the place, unless the text has changed; without words,
        removes the error."""
        line = self.query_one("#wrong", Static)
        line.display = bool(words)
        if not words:
            return
        field = self.query_one(FilterField)
        field.choices.display = False
        found = filter_language.problem(field.value, self._keys())
        if found is None or field.value.strip() != text:
            line.update(safe_lines(words, 600))
            return
        field.cursor_position = found.position

        def point() -> None:
            # After the scrolling caused by the cursor, which is how far the text is shifted.
            before = field.cursor_screen_offset.x - line.content_region.x
            line.update(safe_lines(f"{' ' * max(0, before)}^\n{found.words}\n{words}", 900))

        if line.region.width:
            point()
        self.call_after_refresh(point)

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        if event.input.has_focus:
            self.complain("")


class FilterField(Input):
    """→ and tab take the completion, ↑ ↓ choose another, enter takes a chosen one or submits, esc closes the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "choose(1)", "Next", show=False),
        Binding("up", "choose(-1)", "Previous", show=False),
        Binding("tab", "take", "Complete", show=False),
        Binding("escape", "close", "Close", show=False),
    ]

    def __init__(self, value: str, keys: Keys) -> None:
        super().__init__(
            value,
            placeholder="metrics.rmse < 0.8 and params.alpha = '0.5'   → completes keys",
            compact=True,
            id="filter",
            suggester=_Keys(keys),
            select_on_focus=False,
        )
        self._keys = keys
        self._offered = filter_language.Choices(0, ())

    @property
    def choices(self) -> _Choices:
        """The list of possible continuations."""
        return self.screen.query_one(_Choices)

    @property
    def _open(self) -> bool:
        return bool(self.choices.display)

    def _offer(self) -> None:
        """Lists the possible continuations at the cursor."""
        self._offered = filter_language.choices(self.value[: self.cursor_position], self._keys())
        shown = bool(self._offered.texts)
        if shown:
            self.choices.fill(self._offered.texts, self.region.x + self._column(self._offered.start))
        self.choices.display = shown

    def know_more(self) -> None:
        """Offers and completes the typed text again: other keys are known now."""
        if not self.has_focus:
            return
        if self._open and self.choices.highlighted is None:
            self._offer()
        if found := filter_language.complete(self.value, self._keys()):
            self.post_message(SuggestionReady(self.value, found))

    def _column(self, index: int) -> int:
        """The column of a character in the field."""
        return max(0, Content(self.value[:index]).cell_length - int(self.scroll_offset.x))

    def on_focus(self) -> None:
        # The error should be read first.
        if not self.screen.query_one("#wrong").display:
            self._offer()

    def on_blur(self) -> None:
        self.choices.display = False

    @on(Input.Changed)
    def _changed(self) -> None:
        if self.has_focus:
            self._offer()

    def action_choose(self, by: int) -> None:
        if not self._open:
            if by > 0:
                self._offer()
            return
        at, count = self.choices.highlighted, self.choices.option_count
        self.choices.highlighted = (0 if by > 0 else count - 1) if at is None else (at + by) % count

    def action_take(self) -> None:
        """Takes the chosen text, else the first; without one, tab goes on to the next widget."""
        if not self._open:
            raise SkipAction
        self.take(self.choices.highlighted or 0)

    def take(self, index: int) -> None:
        """Replaces the typed text with an offered one."""
        start, text = self._offered.start, self._offered.texts[index]
        self.replace(text, start, self.cursor_position)
        self.cursor_position = start + len(text)

    def action_cursor_right(self, select: bool = False) -> None:
        at_end = self.cursor_position == len(self.value) and not select
        chosen = self._open and self.choices.highlighted is not None
        if self._open and at_end and (chosen or not suggestion_of(self)):
            self.action_take()
        else:
            super().action_cursor_right(select)

    async def action_submit(self) -> None:
        if self._open and self.choices.highlighted is not None:
            self.action_take()
            return
        self.choices.display = False
        await super().action_submit()

    def action_close(self) -> None:
        if not self._open:
            raise SkipAction
        self.choices.display = False


class _Choices(OptionList, can_focus=False):
    """Shows the possible continuations below the word that is typed."""

    def fill(self, texts: Iterable[str], x: int) -> None:
        """Offers texts, from a column of the screen on; none is chosen yet."""
        self.clear_options()
        self.add_options([Option(Content(safe(text, 56))) for text in texts])
        self.highlighted = None
        parent: Any = self.parent
        self.styles.offset = (x - parent.region.x, 0)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        field = self.screen.query_one(FilterField)
        field.take(event.option_index)
        field.focus()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        # The field keeps the keys.
        event.prevent_default()


class _Keys(Suggester):
    """Completes keys of the filter language from those that are known."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._known = keys

    async def get_suggestion(self, value: str) -> str | None:
        return filter_language.complete(value, self._known())
