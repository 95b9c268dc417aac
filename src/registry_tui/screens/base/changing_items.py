"""What changing runs and changing experiments share on pages: the question before deleting, and the outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import ItemChanges
    from registry_tui.screens.base.frame import FrameScreen
    from registry_tui.widgets.virtual_table import VirtualTable

#: Names that a question or an outcome lists.
LISTED = 5


def chosen(table: VirtualTable[Any]) -> list[Any]:
    """The marked rows, else the one under the cursor."""
    if table.marked:
        return list(table.marked.values())
    return [] if table.current is None else [table.current]


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(safe(name, 40) for name in names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"


def ask_to_delete(
    screen: FrameScreen, noun: str, names: Sequence[str], lines: Sequence[str], go: Callable[[], None]
) -> None:
    """Asks before `names` are deleted, with their number; starts on Cancel."""
    from registry_tui.screens.base.dialogs import Confirm

    goes = (f"Goes: {counted(len(names), noun)}: {listed(names)}.", *lines)

    def answered(ok: bool | None) -> None:
        if ok:
            go()

    screen.app.push_screen(Confirm(f"Delete {counted(len(names), noun)}", goes, "Delete", danger=True), answered)


def send(
    screen: FrameScreen,
    verb: str,
    noun: str,
    names: Sequence[str],
    ask: Callable[[], Awaitable[ItemChanges]],
    then: Callable[[], None],
) -> None:
    """Sends a change of several items and shows its outcome; `then` is called while the screen is there."""

    def answered(changes: ItemChanges) -> None:
        show_outcome(screen, verb, noun, changes)
        then()

    screen.change(f"{verb} {counted(len(names), noun)} {listed(names)}", ask, answered)


def show_outcome(screen: FrameScreen, verb: str, noun: str, changes: ItemChanges) -> None:
    """How many items were changed, and why others were not."""
    done = len(changes.items) - len(changes.failed)
    if changes.failed:
        problems = [
            f"{each.name or each.id}: {each.problem.detail}" for each in changes.failed if each.problem is not None
        ]
        more = f"\nand {len(problems) - LISTED} more" if len(problems) > LISTED else ""
        text = "\n".join(safe(line, 300) for line in problems[:LISTED])
        left = f"{verb}: {done} done, {len(changes.failed)} left as they were\n"
        screen.app.notify(left + text + more, severity="warning", markup=False, timeout=12)
    else:
        screen.flash(f"{verb}: {counted(done, noun)} done")
