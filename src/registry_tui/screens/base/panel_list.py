"""A list with a side panel that follows the cursor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget

from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.facts import Fitted
from registry_tui.widgets.virtual_table import VirtualTable


class PanelListScreen(ListScreen):
    """Subclasses also provide `show_panel`; the page keeps whether the panel is open when it is left."""

    def compose_content(self) -> Iterable[Widget]:
        yield Awaited(id="facts")
        *bar, table = super().compose_content()
        yield from bar  # across, as the panel leaves the list little room
        with Horizontal(id="split"):
            with Vertical(id="list"):
                yield table
            with VerticalScroll(id="panel"):
                yield Fitted(id="panel-text")

    def on_mount(self) -> None:
        self.query_one("#panel").display = bool(self.place.state.get("panel"))

    def leave(self) -> None:
        super().leave()
        self.place.state["panel"] = self.panel_open

    def show_panel(self, row: Any) -> None:
        """Shows a row in the panel, which is open."""
        raise NotImplementedError

    @property
    def panel_open(self) -> bool:
        return bool(self.query_one("#panel").display)

    @property
    def panel_text(self) -> Fitted:
        """The text widget of the panel."""
        return self.query_one("#panel-text", Fitted)

    def open_row(self, row: Any) -> None:
        self.query_one("#panel").display = True
        self.row_changed(row)

    def do_back(self) -> None:
        if self.panel_open:
            self.query_one("#panel").display = False
        else:
            super().do_back()

    def row_changed(self, row: Any) -> None:
        if self.panel_open and row is not None:
            self.show_panel(row)

    @on(VirtualTable.Loaded, "#table")
    def _panel_again(self) -> None:
        self.row_changed(self.current)
