"""The private names of Textual that the program uses: all of them, here only.

`tests/support/private_names/` lists them with the reasons, and `tests/unit/test_private_names.py` compares the list
with the installed Textual. Where a name is missing, the public behaviour takes over: the program works, but draws or
sends more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual._compositor import ChopsUpdate, Compositor, CompositorUpdate, LayoutUpdate
from textual._styles_cache import StylesCache
from textual.app import App
from textual.cache import LRUCache
from textual.events import Mount
from textual.geometry import Region
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.strip import Strip

if TYPE_CHECKING:
    # Widgets that the first paint does not need.
    from textual.content import Content
    from textual.css.stylesheet import Stylesheet
    from textual.scrollbar import ScrollBar
    from textual.widget import Widget
    from textual.widgets import Input

__all__ = ["ChopsUpdate", "CompositorUpdate", "LayoutUpdate"]


class PaintingApp(App[None]):
    """An app that sends less than Textual would, and parses each screen's styles once."""

    def painted(self, update: CompositorUpdate) -> CompositorUpdate:
        """The update to send in place of an update of the terminal."""
        raise NotImplementedError

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        if isinstance(renderable, CompositorUpdate):
            renderable = self.painted(renderable)
        super()._display(screen, renderable)

    def _end_batch(self) -> None:
        super()._end_batch()
        if self.screen_stack and isinstance(self.screen, LowestScreen):
            self.screen.draw_first()

    def _load_screen_css(self, screen: Screen[Any]) -> None:
        """Adds the screen's styles to the parsed ones; Textual would parse all again, and style every widget."""
        for path in screen.css_path:
            if not self.stylesheet.has_source(str(path)):
                self.stylesheet.add_source(Path(path).read_text("utf-8"), read_from=(str(path), ""))
        # The program itself, from which all others inherit colours; they are styled when they are mounted.
        self.stylesheet.apply(self)
        super()._load_screen_css(screen)


def keep_parsed(stylesheet: Stylesheet, count: int) -> None:
    """Sets the size of the cache of parsed sources. Textual caches 64 (LRU): with more, each new screen would reparse
    all of them."""
    if hasattr(stylesheet, "_parse_cache"):
        stylesheet._parse_cache = LRUCache(count)


def forget_drawn() -> None:
    """Frees the lines of removed widgets: Textual's cache of two colours keeps the last 1024 widgets'."""
    clear = getattr(getattr(StylesCache, "get_inner_outer", None), "cache_clear", None)
    if clear is not None:
        clear()


class LeftEarly(MessagePump):
    """A screen that does not start if it is left before its parts are mounted: Textual then mounts none, and `on_mount`
    would not find them, which ends the program."""

    async def _dispatch_message(self, message: Message) -> None:
        left = getattr(self, "_closing", False) or getattr(self, "_pruning", False)
        if not (left and isinstance(message, Mount)):
            await super()._dispatch_message(message)


class LowestScreen(LeftEarly, Screen[None]):
    """A screen that may be the lowest of its stack and be switched there, with its own compositor."""

    _was_drawn = False

    def compose_with(self, compositor: Compositor) -> None:
        """Draws with this compositor from now on."""
        self._compositor = compositor

    def _compositor_refresh(self) -> None:
        # The program starts within a batch: Textual draws its first page there, but sends none of it.
        if self._was_drawn or not getattr(self.app, "_batch_count", 0):
            self._was_drawn = True
            super()._compositor_refresh()

    def draw_first(self) -> None:
        """Draws the page, unless it was drawn; a batch has ended."""
        if not self._was_drawn:
            self.call_later(self._compositor_refresh)

    def _pop_result_callback(self) -> None:
        # Textual gives its lowest screen none, and removes one from it when it is switched.
        if self._result_callbacks:
            super()._pop_result_callback()


class DrawingCompositor(Compositor):
    """A compositor whose subclass chooses which widgets are drawn."""

    def drawn(self, crop: Region | None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        """Each widget's region, the part of it to be drawn, and that part's lines, from the front to the back."""
        raise NotImplementedError

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        return self.drawn(crop)


class BoxedTick:
    """A checkbox whose box is drawn by a subclass. Without the private name, Textual's own box is shown."""

    def box(self) -> Content:
        """The box in its current state."""
        raise NotImplementedError

    @property
    def _button(self) -> Content:
        return self.box()


def suggestion_of(field: Input) -> str:
    """The completion that a field shows after its text; empty when there is none, or it is unknown."""
    return str(getattr(field, "_suggestion", ""))


def write_raw(app: App[Any], sequences: str) -> None:
    """Writes to the terminal, bypassing Textual's drawing; does nothing where there is no terminal."""
    driver = getattr(app, "_driver", None)
    if driver is not None:
        driver.write(sequences)


def keep_copied(app: App[Any], text: str) -> None:
    """Stores a copied text, which Textual's fields paste; does nothing where Textual stores it otherwise."""
    if hasattr(app, "_clipboard"):
        app._clipboard = text


def own_scroll_bar(widget: Widget, make: Callable[[], ScrollBar]) -> ScrollBar | None:
    """The widget's vertical scrollbar, created by `make`; None where Textual has to create its own."""
    start = getattr(widget.app, "_start_widget", None)
    if start is None or not hasattr(widget, "_vertical_scrollbar"):
        return None
    if widget._vertical_scrollbar is None:
        widget._vertical_scrollbar = bar = make()
        bar.display = False
        start(widget, bar)
    return widget._vertical_scrollbar
