"""The lineage of an object as a tree in a box: its origins and its dependents; enter goes to the selected one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from registry_tui.contracts.lineage_refs import parts_of
from registry_tui.schemas.lineage import Direction, LineageNode, NodeKind
from registry_tui.screens.base.dialogs import Dialog, title
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import PageCache, Rows
from registry_tui.widgets.tree_cache import TreeCache
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording.lineage import KINDS
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell

if TYPE_CHECKING:
    from registry_tui.screens.base.frame import FrameScreen

#: Kinds that end the tree in a direction.
_ENDS = {
    Direction.ORIGINS: (NodeKind.ENVIRONMENT, NodeKind.DATASET, NodeKind.COMMIT),
    Direction.DEPENDENTS: (NodeKind.KEY,),
}


@dataclass(frozen=True)
class Line:
    """A row of the tree: a node, its direction, and the names of the nodes above, which make its key unique."""

    node: LineageNode
    direction: Direction
    key: str

    @property
    def opens(self) -> bool:
        """Whether there may be more behind it."""
        return bool(self.node.ref) and self.node.kind not in _ENDS[self.direction]


COLUMNS: tuple[Column[Any], ...] = (
    Column("name", "Name", lambda row: row.node.name, 0, min_width=20, max_width=48),
    Column("kind", "Kind", lambda row: Cell(KINDS[row.node.kind], "dim"), 1),
    Column("relation", "How", lambda row: _relation(row), 0, max_width=24),
    Column("detail", "Detail", lambda row: _detail(row.node), 2, max_width=48),
)


def _relation(row: Line) -> Cell:
    arrow = "←" if row.direction is Direction.ORIGINS else "→"
    return Cell(f"{arrow} {row.node.relation}", "accent")


def _detail(node: LineageNode) -> Cell:
    if not node.gone:
        return Cell(node.detail, "dim")
    return Cell(", ".join(word for word in ("deleted", node.detail) if word), "warn")


class LineageBox(Dialog[Place]):
    """The origins (←) and the dependents (→) of an object; right opens a row, left closes it, enter goes there."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "go", "Go there", show=False)]

    def __init__(self, name: str, ref: str) -> None:
        super().__init__()
        self.named, self.ref = name, ref

    def compose(self) -> ComposeResult:
        with Vertical(classes="box view lineage") as box:
            box.border_title = title(f"Lineage of {self.named}", 90)
            words = "← it came from   → depends on it   right opens, left closes, enter goes there, esc closes"
            yield Static(words, classes="note", markup=False)
            yield VirtualTable(COLUMNS, id="lineage", empty=Empty("Nothing is known before it or behind it"))

    def on_mount(self) -> None:
        table = self.query_one("#lineage", VirtualTable)
        table.set_source(
            TreeCache(
                PageCache(self._both, _key), can_open=lambda row: row.opens, children=lambda row: self._below(row)
            )
        )
        table.focus()

    async def _both(self, token: str | None, backwards: bool) -> Rows[Line]:
        """The origins of the object, then its dependents."""
        way, _, inner = (token or f"{Direction.ORIGINS.value}|").partition("|")
        direction = Direction(way)
        found = await self._page(self.ref, direction, "", inner or None)
        if found.next_page_token is not None:
            return Rows(found.items, f"{way}|{found.next_page_token}")
        if direction is Direction.DEPENDENTS:
            return found
        if found.items:
            return Rows(found.items, f"{Direction.DEPENDENTS.value}|")
        return await self._both(f"{Direction.DEPENDENTS.value}|", backwards)

    def _below(self, row: Line) -> PageCache[Line]:
        async def fetch(token: str | None, backwards: bool) -> Rows[Line]:
            return await self._page(row.node.ref, row.direction, f"{row.key} ", token)

        return PageCache(fetch, _key)

    async def _page(self, ref: str, direction: Direction, above: str, token: str | None) -> Rows[Line]:
        found = await self.program.client.neighbours(ref, direction, page_token=token)
        lines = [
            Line(each, direction, f"{above}{direction.value}|{each.ref or each.name}|{each.relation}")
            for each in found.items
        ]
        total = len(lines) if found.next_page_token is None and token is None and above else None
        return Rows(lines, found.next_page_token, total)

    @on(VirtualTable.Opened, "#lineage")
    def _opened(self, event: VirtualTable.Opened) -> None:
        self._go(event.row)

    def action_go(self) -> None:
        row = self.query_one("#lineage", VirtualTable).current
        if row is not None:
            self._go(row)

    def _go(self, row: Line) -> None:
        place = place_of(row.node)
        if place is None:
            self.app.notify(f"{safe(row.node.name, 80)} has no page to go to", markup=False)
        else:
            self.dismiss(place)

    @on(VirtualTable.Failed, "#lineage")
    def _failed(self, event: VirtualTable.Failed) -> None:
        self.failed(event.error)


def _key(row: Line) -> str:
    return row.key


def place_of(node: LineageNode) -> Place | None:
    """The page of a node, if it has one that is still there."""
    if not node.ref:
        return None
    kind, named = parts_of(node.ref)
    if kind in ("version", "alias"):
        return Place("model", {"registry": named["registry"], "model": named["model"]})
    if kind == "key":
        return Place("keys")
    if kind == "environment":
        return Place("environments")
    if kind in ("dataset", "commit", "logged-model"):
        return None
    return Place(kind, named)


def show_lineage(screen: FrameScreen, name: str, ref: str) -> None:
    """Opens the box; the chosen node is opened as a page."""

    def chosen(place: Place | None) -> None:
        if place is not None:
            screen.program.open(place)

    screen.app.push_screen(LineageBox(name, ref), chosen)
