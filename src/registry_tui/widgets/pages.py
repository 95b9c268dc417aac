"""Tabs that stay where they were sent."""

from __future__ import annotations

from textual.widgets import TabbedContent, TabPane


class Pages(TabbedContent):
    """Tabs, where only choosing one changes it.

    Textual's also turn to a pane when something in it gets the focus; with keys typed quickly, that message arrives
    after the next tab was chosen, and would go back.
    """

    def on_tab_pane_focused(self, event: TabPane.Focused) -> None:
        event.stop()
        event.prevent_default()
