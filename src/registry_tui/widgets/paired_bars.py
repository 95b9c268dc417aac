"""Two distributions over the same bins as bars, a line for each bin: the shared part, and the excess of one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from registry_tui.wording.text import safe, shortened

#: Cells of a label at most, and of the two shares behind it.
_LABEL, _SHARES = 15, 10
#: Cells of a bar at least, and at most.
_LEAST, _MOST = 4, 60


def paired_bars(
    labels: Sequence[str], one: Sequence[float], other: Sequence[float], room: int
) -> list[tuple[str, str]]:
    """Texts with their styles, for `Content.assemble`.

    Bars are full where both distributions reach; behind that, `▀` is the first's alone and `▄` the second's, so that
    they differ without colours. The longest bar fills the room.
    """
    shown = [shortened(safe(each, 60), _LABEL) for each in labels]
    width = max(map(cell_len, shown), default=0)
    cells = min(_MOST, max(_LEAST, room - width - _SHARES - 1))
    largest = max((*one, *other), default=0.0) or 1.0
    parts: list[tuple[str, str]] = []
    for label, first, second in zip(shown, one, other, strict=True):
        ends = round(first / largest * cells), round(second / largest * cells)
        both = min(ends)
        parts += [
            (" " * (width - cell_len(label)) + label, ""),
            (f"{first:>5.0%}{second:>4.0%} ", "$foreground-muted"),
            ("█" * both, "$foreground-muted"),
            ("▀" * (ends[0] - both), "$primary"),
            ("▄" * (ends[1] - both), "$warning"),
            ("\n", ""),
        ]
    return parts[:-1]
