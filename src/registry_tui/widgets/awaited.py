"""Content that is still loading, or failed to load, is described in words: no empty space, no "nothing".

Texts and lists of options are here; tables (`table_view.py`) and charts (`chart.py`) are `Awaiting` too.
"""

from __future__ import annotations

from typing import Self

from textual.content import Content
from textual.visual import VisualType
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

LOADING = "loading …"
NOT_LOADED = "not loaded; ctrl+r asks again"
#: In a box, which loads when it opens.
NOT_LOADED_HERE = "not loaded; close this and open it again"


def loading(words: str = LOADING) -> Content:
    """The words in the style of a panel."""
    return Content.assemble((words, "$foreground-muted"))


class Awaiting:
    """A widget that shows a response of the service."""

    @property
    def waits(self) -> bool:
        """Whether the response is pending."""
        raise NotImplementedError

    def wait(self, words: str) -> None:
        """Shows the state of the request, until the response arrives."""
        raise NotImplementedError


class Awaited(Awaiting, Static):
    """A text that is loaded: the first `update` replaces the words."""

    def __init__(self, *, id: str, classes: str | None = None) -> None:
        super().__init__(loading(), id=id, classes=classes, markup=False)
        self.here, self._words = False, LOADING

    @property
    def waits(self) -> bool:
        return not self.here and self._words == LOADING

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        self.here = True
        super().update(content, layout=layout)

    def wait(self, words: str) -> None:
        self._words = words
        if not self.here:
            super().update(loading(words))


class AwaitedList(Awaiting, OptionList):
    """Options that are loaded: the first `clear_options` removes the words."""

    def __init__(self, *, id: str) -> None:
        super().__init__(Option(loading(), disabled=True), id=id, compact=True)
        self.here, self._words = False, LOADING

    @property
    def waits(self) -> bool:
        return not self.here and self._words == LOADING

    def clear_options(self) -> Self:
        self.here = True
        super().clear_options()
        return self

    def wait(self, words: str) -> None:
        self._words = words
        if not self.here:
            self.replace_option_prompt_at_index(0, loading(words))


def say_waiting(within: Widget, words: str) -> None:
    """Sets the words of all widgets in a place that still wait."""
    for widget in within.walk_children(Widget):
        if isinstance(widget, Awaiting):
            widget.wait(words)
