"""A field for the name of something, with a list of the matching names below it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from registry_tui.contracts.matching import best, match
from registry_tui.screens.base.form import row
from registry_tui.widgets.awaited import LOADING
from registry_tui.wording.text import fit, safe

if TYPE_CHECKING:
    from textual.timer import Timer

    from registry_tui.screens.base.asking import Asking

#: Names in the list, and seconds without a key before the service is queried.
MOST, PAUSE = 50, 0.2


@dataclass(frozen=True)
class Choice:
    """A name that can be chosen, with a few words about it."""

    name: str
    note: str = ""


#: Returns names that may fit a text; more than fit do no harm. Raises RegistryError.
Find = Callable[[str], Awaitable[Iterable[Choice]]]


def at_once(choices: Sequence[Choice]) -> Find:
    """For names that are known without a request."""

    async def find(_: str) -> Sequence[Choice]:
        return choices

    return find


def once(ask: Callable[[], Awaitable[Sequence[Choice]]]) -> Find:
    """For names that come with one request, sent when the field is first used."""
    known: list[Sequence[Choice]] = []

    async def find(_: str) -> Sequence[Choice]:
        if not known:
            known.append(await ask())
        return known[0]

    return find


def named_row(label: str, field: NameField, *between: Widget) -> Vertical:
    """A row of a form with a field for a name, and its list; `between` goes below the field, above the list."""
    return Vertical(row(label, field), *between, field.choices, classes="named")


class NameField(Input):
    """↓ ↑ choose from the list, tab and enter take the chosen name, → takes the first, esc closes the list.

    The form is neither left nor sent meanwhile. Keys pressed before the response are applied when it arrives: ↓ and
    enter after "Wine" take the first model of that name, however slow the service is.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "choose(1)", "Next", show=False),
        Binding("up", "choose(-1)", "Previous", show=False),
        Binding("tab", "take", "Take", show=False),
        Binding("escape", "close", "Close the list", show=False),
    ]

    def __init__(self, value: str = "", *, find: Find, must_exist: bool = False, **options: Any) -> None:
        """`must_exist`: only listed names are valid, so the best match is chosen automatically."""
        super().__init__(value, compact=True, **options)
        self.choices = NameList(self)
        self._find, self._must_exist = find, must_exist
        self._known: dict[str, Choice] = {}
        #: Texts that were queried; the names in the list, and the text they are for; the text that was last taken from
        #: the list, or for which it was closed.
        self._answered: set[str] = set()
        self._offered: list[Choice] = []
        self._listed_for = ""
        self._taken: str | None = None
        #: How often ↓ was pressed, and whether enter was, before the names were there.
        self._steps, self._enter = 0, False
        self._pause: Timer | None = None

    # -- asking -------------------------------------------------------------------------------------

    @property
    def _asking(self) -> Asking:
        from registry_tui.screens.base.asking import Asking

        screen = self.screen
        assert isinstance(screen, Asking)
        return screen

    def ask_soon(self) -> None:
        """Queries the service for the typed text, after a pause without keys."""
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE, self.ask_now, name="names")

    def ask_now(self) -> None:
        """Queries the service for the typed text, behind a request in flight."""
        if self._pause is not None:
            self._pause.stop()
            self._pause = None
        if self.value not in self._answered:
            self._asking.ask(self._question, f"names-{self.id}")

    async def _question(self) -> None:
        typed = self.value
        if typed in self._answered:
            return
        try:
            found = await self._find(typed)
        except Exception:
            self._forget_keys()
            self.show_choices()
            raise
        self._known.update((choice.name, choice) for choice in found)
        self._answered.add(typed)
        if self.is_attached:
            self.show_choices()

    def forget(self) -> None:
        """Drops the names, because they belong to another object now; the next use requests the new ones."""
        self._known.clear()
        self._answered.clear()
        self._offer([])

    # -- the list -----------------------------------------------------------------------------------

    def show_choices(self) -> None:
        """Lists the matches, and applies the keys pressed before the names were there."""
        if not self.has_focus:
            self._offer([])
            return
        typed, answered = self.value, self.value in self._answered
        waits = self._steps > 0
        if typed == self._taken and not waits:
            self._offer([])
            return
        found = best(typed, self._known.values(), lambda choice: choice.name, MOST)
        # Nothing to choose: everything when nothing was typed, and the typed name alone.
        useless = (not typed and not waits) or [choice.name for choice in found] == [typed]
        if found and not useless:
            # A response that arrives after a choice does not change it.
            before = self.chosen if typed == self._listed_for else None
            self._offer(found)
            self._listed_for = typed
            if before is not None and any(choice.name == before.name for choice in found):
                self.choices.highlighted = [choice.name for choice in found].index(before.name)
            elif waits:
                self._choose_waited()
            elif answered and self.means(found[0], typed):
                self.choices.highlighted = 0
        elif waits and not answered:
            self._offer([], f"names: {LOADING}")
        else:
            self._forget_keys()
            self._offer([])

    def means(self, best: Choice, typed: str) -> bool:
        """Whether the best match is chosen automatically."""
        return self._must_exist and best.name != typed

    def _choose_waited(self) -> None:
        self.choices.highlighted = min(self._steps, len(self._offered)) - 1
        enter = self._enter
        self._forget_keys()
        if enter:
            self.action_take()

    def _forget_keys(self) -> None:
        self._steps, self._enter = 0, False

    def _offer(self, choices: list[Choice], words: str = "") -> None:
        self._offered = choices
        self.choices.fill(choices, self.value, words)

    @property
    def chosen(self) -> Choice | None:
        """The name in the list that is chosen now."""
        at = self.choices.highlighted
        return self._offered[at] if at is not None and at < len(self._offered) else None

    # -- keys ---------------------------------------------------------------------------------------

    def on_focus(self) -> None:
        # A prefilled value is rarely changed: queried only once a key is pressed.
        if not self.value:
            self.ask_now()

    def on_blur(self) -> None:
        self._forget_keys()
        self._offer([])

    @on(Input.Changed)
    def _typed(self) -> None:
        if self.value != self._taken:
            self._taken = None
        self._forget_keys()
        self.show_choices()
        if self.has_focus and self.value not in self._answered:
            self.ask_soon()

    def action_choose(self, by: int) -> None:
        if self._offered:
            at, count = self.choices.highlighted, len(self._offered)
            self.choices.highlighted = (0 if by > 0 else count - 1) if at is None else (at + by) % count
        elif by > 0 or self._steps:
            self._steps = max(1, self._steps + by)
            self.ask_now()
            self.show_choices()

    def action_take(self) -> None:
        """Takes the chosen name; tab goes on when none is chosen."""
        if self._steps:
            self._enter = True
        elif self.chosen is not None:
            self.take(self.chosen.name)
        else:
            raise SkipAction

    def take(self, name: str) -> None:
        """Replaces the typed text with a name."""
        self._taken = self.value = name
        self.cursor_position = len(name)
        self._offer([])

    def action_cursor_right(self, select: bool = False) -> None:
        at_end = self.cursor_position == len(self.value) and not select
        if at_end and self._offered:
            self.take((self.chosen or self._offered[0]).name)
        else:
            super().action_cursor_right(select)

    async def action_submit(self) -> None:
        if self._steps or self.chosen is not None:
            self.action_take()
        else:
            self._offer([])
            await super().action_submit()

    def action_close(self) -> None:
        if not self._offered and not self._steps:
            raise SkipAction
        # A response that arrives later does not open the list again.
        self._taken = self.value
        self._forget_keys()
        self._offer([])


class NameList(OptionList, can_focus=False):
    """The names below their field; the field keeps the keys."""

    def __init__(self, field: NameField) -> None:
        super().__init__(compact=True, classes="names")
        self._field = field
        self.display = False

    def fill(self, choices: Sequence[Choice], typed: str, words: str = "") -> None:
        """Lists names, none of them chosen; or words, when they are not known yet."""
        if not self.option_count and not choices and not words:
            return
        self.clear_options()
        width = min(44, max((Content(safe(choice.name, 200)).cell_length for choice in choices), default=0))
        self.add_options([_option(choice, typed, width) for choice in choices])
        if words and not choices:
            self.add_option(Option(Content.styled(words, "$foreground-muted"), disabled=True))
        self.highlighted = None
        self.display = self.option_count > 0
        if self.display:
            self.call_after_refresh(self.scroll_visible, animate=False)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._field.take(self._field._offered[event.option_index].name)
        self._field.focus()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        event.prevent_default()


def _option(choice: Choice, typed: str, width: int) -> Option:
    name = safe(choice.name, 200)
    content = Content(fit(name, width) if choice.note else name)
    found = match(typed, choice.name)
    if found is not None and name == choice.name:
        for at in found[2]:
            if at < len(content):
                content = content.stylize("bold underline", at, at + 1)
    note = f"  {safe(choice.note, 60)}" if choice.note else ""
    return Option(Content.assemble(content, (note, "$foreground-muted")))
