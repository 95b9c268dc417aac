"""Which widgets are drawn after a change: those visible there, on the changed lines."""

from __future__ import annotations

from collections.abc import Iterable

from textual.geometry import Region
from textual.strip import Strip

from registry_tui.terminal.textual_private import DrawingCompositor


class _Covered:
    """The columns of each line that are drawn already."""

    def __init__(self) -> None:
        self._spans: dict[int, list[tuple[int, int]]] = {}

    def add(self, part: Region) -> None:
        """Counts a part as drawn."""
        for y in part.line_range:
            first, last = part.column_span
            apart = []
            for start, end in self._spans.get(y, ()):
                if start > last or end < first:
                    apart.append((start, end))
                else:
                    first, last = min(first, start), max(last, end)
            self._spans[y] = [*apart, (first, last)]

    def hides(self, part: Region) -> bool:
        """Whether a part is fully drawn already. Adjacent spans are merged, so a line of it must be within one span."""
        first, last = part.column_span
        return all(
            any(start <= first and last <= end for start, end in self._spans.get(y, ())) for y in part.line_range
        )


class SeenCompositor(DrawingCompositor):
    """Draws the same as Textual's, which also draws hidden widgets, and those that only share a line with the change.

    That is an eighth of the work of a page in a long table.
    """

    def drawn(self, crop: Region | None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        whole = self.size.region
        crop = whole if crop is None else crop
        lines = Region(whole.x, crop.y, whole.width, crop.height)
        covered = _Covered()
        for widget, (region, clip) in self.visible_widgets.items():
            if not region.intersection(clip).overlaps(crop):
                continue
            # All columns: where widgets are cut is where others begin, which need not be where the change does.
            part = region.intersection(clip).intersection(lines)
            if covered.hides(part):
                continue
            yield region, part, widget.render_lines(part.translate((-region.x, -region.y)))
            if part.contains_region(crop):
                # Widgets are opaque: nothing behind this one is visible.
                return
            covered.add(part)
