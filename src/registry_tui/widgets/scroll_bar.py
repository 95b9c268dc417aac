"""The scrollbar of long tables: every page draws it again, so it is drawn once for each kind of cell, not for each
line."""

from __future__ import annotations

from rich.style import Style
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip

from registry_tui.widgets.line_filters import filtered


class TableScrollBar(ScrollBar):
    """Textual's vertical scrollbar, one cell wide."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """A strip of one cell for each line of the crop."""
        bar = self.render()
        if not isinstance(bar, ScrollBarRender) or not isinstance(bar.style, Style):
            return super().render_lines(crop)
        behind, thumb = bar.style.bgcolor, bar.style.color
        if behind is None or thumb is None:
            return super().render_lines(crop)
        cells = self.renderer.render_bar(
            size=self.size.height,
            virtual_size=bar.virtual_size,
            window_size=bar.window_size,
            position=bar.position,
            back_color=behind,
            bar_color=thumb,
        ).segments
        filters, background = self.get_line_filters(), self.background_colors[1]
        drawn: dict[int, Strip] = {}
        for cell in cells:
            if id(cell) not in drawn:
                drawn[id(cell)] = filtered(Strip([cell], 1), filters, background)
        return [drawn[id(cells[y])] for y in crop.line_range]
