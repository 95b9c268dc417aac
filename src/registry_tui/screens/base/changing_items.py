"""Common to the pages of runs and of experiments: the question before deleting, sending a change, and its outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from textual.widget import Widget
from textual.widgets import Static

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.dialogs import Confirm
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import ItemChanges
    from registry_tui.screens.base.frame import FrameScreen
    from registry_tui.widgets.virtual_table import VirtualTable

#: Names that a question or an outcome lists.
LISTED = 5
#: Changes the items with these IDs.
Change = Callable[[list[str]], Awaitable["ItemChanges"]]
#: Is called with the outcome while the page is there.
Then = Callable[["ItemChanges"], None]

_DONE = {"change": "Changed", "delete": "Deleted", "restore": "Restored"}


def chosen(table: VirtualTable[Any]) -> list[Any]:
    """The marked rows, else the one under the cursor."""
    if table.marked:
        return list(table.marked.values())
    return [] if table.current is None else [table.current]


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(safe(name, 40) for name in names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown} and {len(names) - LISTED} more"


class DeleteItems(Confirm):
    """Asks before items are deleted, with their number; starts on Cancel.

    `learn` requests more details from the service; its lines are shown when they arrive, and the question does not
    wait.
    """

    def __init__(
        self,
        noun: str,
        items: Sequence[tuple[str, str]],
        lines: Sequence[str],
        about: Sequence[str],
        learn: Callable[[], Awaitable[Sequence[str]]] | None = None,
    ) -> None:
        number, names = counted(len(items), noun), [name for _, name in items]
        goes = f"Goes: {number}: {listed(names)}."
        super().__init__(f"Delete {number}", (goes, *lines), "Delete", danger=True, about=about)
        self._learn = learn

    def compose_more(self) -> Iterable[Widget]:
        yield Static("", classes="note", id="more", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one("#more").display = False
        if self._learn is not None:
            self.work_on(self._show_more(self._learn), "more")

    async def _show_more(self, learn: Callable[[], Awaitable[Sequence[str]]]) -> None:
        lines = await learn()
        more = self.query_one("#more", Static)
        more.update("\n\n".join(safe(line, 400) for line in lines))
        more.display = bool(lines)


def ask_to_delete(screen: FrameScreen, question: DeleteItems, go: Callable[[], None]) -> None:
    """Opens the question before items are deleted; `go` is called on its OK."""
    screen.app.push_screen(question, lambda ok: go() if ok else None)


def send(
    screen: FrameScreen,
    verb: str,
    noun: str,
    items: Sequence[tuple[str, str]],
    change: Change,
    then: Then,
) -> None:
    """Sends a change of items, given by ID and name, and shows its outcome; `then` gets it while the page is there."""
    names = [name for _, name in items]

    async def ask() -> ItemChanges:
        from registry_tui.client.parts import in_parts

        return await in_parts([id_ for id_, _ in items], change)

    def answered(changes: ItemChanges) -> None:
        show_outcome(screen, verb, noun, changes)
        then(changes)

    # Two runs may have the same name, and their changes would then have the same words.
    of = listed(names) if len(items) > 1 else f"{listed(names)} ({items[0][0][:8]})"
    screen.change(f"{verb} {counted(len(names), noun)} {of}", ask, answered)


def show_outcome(screen: FrameScreen, verb: str, noun: str, changes: ItemChanges) -> None:
    """How many items were changed, and why others were not."""
    done = len(changes.items) - len(changes.failed)
    if not changes.failed:
        screen.flash(f"{_DONE[verb]} {counted(done, noun)}")
        return
    problems = []
    for each in changes.failed[:LISTED]:
        assert each.problem is not None
        action = f". {each.problem.action}" if each.problem.action else ""
        problems.append(safe(f"{each.name or each.id}: {each.problem.detail}{action}", 400))
    if len(changes.failed) > LISTED:
        problems.append(f"and {len(changes.failed) - LISTED} more")
    failed = len(changes.failed)
    first = f"{_DONE[verb]} {counted(done, noun)}; {failed} {'was' if failed == 1 else 'were'} left unchanged:"
    screen.app.notify("\n".join([first, *problems]), severity="warning", markup=False, timeout=12)


def unmark_changed(table: VirtualTable[Any], changes: ItemChanges) -> None:
    """Unmarks the changed rows; failed ones, and rows marked in the meantime, stay marked."""
    failed = {each.id for each in changes.failed}
    changed = {each.id for each in changes.items} - failed
    table.unmark(lambda row: row.id in changed)
