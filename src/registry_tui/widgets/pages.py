"""Tabs that stay on the chosen pane."""

from __future__ import annotations

from textual.widgets import TabbedContent, TabPane


class Pages(TabbedContent):
    """Tabs that change only by an explicit choice.

    Textual's also switch to a pane when a widget in it gets the focus; with keys typed quickly, that message arrives
    after the next tab was chosen, and would switch back.
    """

    def neighbour(self, by: int) -> str:
        """ID of the pane `by` places after the one in view (before it, when negative), around the ends."""
        order = [str(pane.id) for pane in self.query(TabPane)]
        return order[(order.index(self.active) + by) % len(order)]

    def on_tab_pane_focused(self, event: TabPane.Focused) -> None:
        event.stop()
        event.prevent_default()
