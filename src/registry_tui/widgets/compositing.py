"""Which widgets are drawn when something changes: those that are seen there, on the lines that changed."""

from __future__ import annotations

from collections.abc import Iterable

from textual.geometry import Region
from textual.strip import Strip

from registry_tui.terminal.textual_private import DrawingCompositor


class SeenCompositor(DrawingCompositor):
    """Draws the same as Textual's, which also draws what lies behind, and what only shares a line with the change.

    That is an eighth of the work of a page in a long table.
    """

    def drawn(self, crop: Region | None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        whole = self.size.region
        crop = whole if crop is None else crop
        lines = Region(whole.x, crop.y, whole.width, crop.height)
        for widget, (region, clip) in self.visible_widgets.items():
            if not region.intersection(clip).overlaps(crop):
                continue
            # All columns: where widgets are cut is where others begin, which need not be where the change does.
            part = region.intersection(clip).intersection(lines)
            yield region, part, widget.render_lines(part.translate((-region.x, -region.y)))
            if part.contains_region(crop):
                # Widgets are opaque: nobody sees what is behind this one.
                return
