"""The terminal's current content, so that only differences are sent.

Textual writes whole screens whenever their layout changes, four or five times while a place opens, and whole regions
when a widget is painted again. Over a slow line that takes seconds; most of it is on the screen already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip

from registry_tui.terminal.textual_private import ChopsUpdate, CompositorUpdate, LayoutUpdate

if TYPE_CHECKING:
    from rich.console import Console

    from registry_tui.widgets.sixels import Sixels

#: A line as it is sent: neighbouring segments of one style are merged.
Line = list[Segment]


class Shown:
    """The lines that were written last, by their number from the top."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}
        self._sixels: Sixels | None = None

    @property
    def sixels(self) -> Sixels:
        """The images that are drawn over the lines; most terminals never see one."""
        if self._sixels is None:
            from registry_tui.widgets.sixels import Sixels

            self._sixels = Sixels()
        return self._sixels

    def forget(self) -> None:
        """Drops the known content: after a change of the terminal's size, or after another program used it."""
        self._lines.clear()

    def only_changes(self, update: CompositorUpdate) -> CompositorUpdate:
        """The same update, reduced to the necessary writes. It counts as written when it is rendered."""
        if isinstance(update, LayoutUpdate) and update.region.offset == (0, 0):
            return _Changes(self, dict(enumerate(_join(strips) for strips in update.strips)))
        if isinstance(update, ChopsUpdate):
            lines = self._with_chops(update)
            if lines is not None:
                return _Changes(self, lines)
            for y, _, _ in update.spans:
                self._lines.pop(y, None)
        else:
            self.forget()
        return update

    def _with_chops(self, update: ChopsUpdate) -> dict[int, Line] | None:
        """The whole lines that result from a partial update, or None when the rest of a line is unknown."""
        spans: dict[int, list[tuple[int, int]]] = {}
        for y, first, last in update.spans:
            spans.setdefault(y, []).append((first, last))
        found: dict[int, Line] = {}
        for y, changed in spans.items():
            line = self._complete(y, _pieces(update.chops[y], update.chop_ends[y], changed))
            if line is None:
                return None
            found[y] = line
        return found

    def _complete(self, y: int, pieces: Sequence[tuple[int, Strip | None]]) -> Line | None:
        if all(strip is not None for _, strip in pieces):
            return _join(strip for _, strip in pieces)
        if y not in self._lines:
            return None
        before = Strip(self._lines[y]).divide([end for end, _ in pieces])
        return _join(old if strip is None else strip for (_, strip), old in zip(pieces, before, strict=True))

    def write(self, lines: Mapping[int, Line], console: Console) -> str:
        """The sequences that turn the current content into these lines."""
        written: list[str] = []
        for y in sorted(lines):
            line, before = lines[y], self._lines.get(y, [])
            if line == before:
                continue
            same = _same_at_start(line, before)
            rest = line[same:]
            # An equal end stays if it is at the same place, which it is in lines of one width.
            left = _same_at_start(rest[::-1], before[same:][::-1])
            if before and Segment.get_line_length(line) == Segment.get_line_length(before):
                rest = rest[: len(rest) - left]
            x = Segment.get_line_length(line[:same])
            if self._sixels is not None:
                rest = self._sixels.blanked(rest, x, y)
            written.append(f"\x1b[{y + 1};{x + 1}H{Strip(rest).render(console)}")
            self._lines[y] = line
        if self._sixels is not None:
            written.append(self._sixels.drawn())
        return "".join(written)


class _Changes(CompositorUpdate):
    def __init__(self, shown: Shown, lines: Mapping[int, Line]) -> None:
        self._shown, self._new = shown, lines

    def render_segments(self, console: Console) -> str:
        return self._shown.write(self._new, console)


def _pieces(
    chops: Mapping[int, Strip | None], ends: Sequence[int], changed: Sequence[tuple[int, int]]
) -> list[tuple[int, Strip | None]]:
    """The cell behind each piece's last, and its current content, None where unknown.

    Outside the changed spans a piece may hold the content *behind* a widget: only those that touch the changed region
    are drawn, and backgrounds touch every region.
    """
    return [
        (end, strip if any(first < end and x < last for first, last in changed) else None)
        for (x, strip), end in zip(chops.items(), ends, strict=False)
    ]


def _join(strips: Iterable[Strip | None]) -> Line:
    return list(Segment.simplify(segment for strip in strips if strip is not None for segment in strip if segment.text))


def _same_at_start(one: Sequence[Segment], other: Sequence[Segment]) -> int:
    """The length of the common prefix, in segments."""
    count = 0
    for mine, its in zip(one, other, strict=False):
        if mine != its:
            break
        count += 1
    return count
