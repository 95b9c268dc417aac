"""A list whose rows can be opened: each open row has a list of its own below it, fetched by pages like the first.

    TreeCache(
        PageCache(fetch, key),                                  # the rows at the top
        can_open=lambda row: row.children > 0,
        children=lambda row: PageCache(fetch_below(row), key),  # the list below a row, made when it is opened
    )

It is shown as a `PageCache` is (`VirtualTable.set_source`). Opening inserts rows below, closing forgets them. Keys must
be unique in the whole tree. Rows inside may be opened in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from registry_tui.widgets.page_cache import PageCache, PageLike, Step

Row = TypeVar("Row")


@dataclass(frozen=True)
class Branch:
    """A row's place in a tree."""

    depth: int
    can_open: bool
    is_open: bool


@dataclass
class _Open(Generic[Row]):
    """An open row: its place in its own list, and the rows below it."""

    key: str
    index: int
    below: TreeCache[Row]


class TreeCache(Generic[Row]):
    """A tree of which only some pages are in memory; see the module for how to create one."""

    is_tree: ClassVar[Literal[True]] = True

    def __init__(
        self, rows: PageCache[Row], *, can_open: Callable[[Row], bool], children: Callable[[Row], PageCache[Row]]
    ) -> None:
        self.rows = rows
        self.key = rows.key
        self._can_open = can_open
        self._children = children
        self._open: list[_Open[Row]] = []
        self._first, self._last = 0, 0

    # -- as a PageCache -----------------------------------------------------------------------------

    @property
    def total(self) -> int | None:
        """All rows at the top with those below open ones; None while the top's total is not known."""
        total = self.rows.total
        return None if total is None else total + self._inserted

    @property
    def height(self) -> int:
        """Rows that can be shown, with one for those still to come."""
        return self.rows.height + self._inserted

    @property
    def started(self) -> bool:
        return self.rows.started

    @property
    def seen(self) -> int:
        """Rows at the top walked over so far."""
        return self.rows.seen

    @property
    def from_end(self) -> bool:
        return self.rows.from_end

    @property
    def seeking(self) -> bool:
        return self.rows.seeking

    def row(self, index: int) -> Row | None:
        """The row at an index of the display, or None while it is not here."""
        cache, at = self._locate(index)
        return cache.rows.row(at)

    def demand(self, first: int, last: int) -> None:
        """Sets the rows in view; `next_step` serves them first."""
        self._first, self._last = max(0, first), max(0, last)
        self.rows.demand(self._own_index(self._first), self._own_index(self._last))
        for start, each in self._spans():
            if first < start + each.below.height and last >= start:
                each.below.demand(first - start, last - start)

    def next_step(self) -> Step[Row] | None:
        """The page to fetch now, below open rows in view first."""
        for start, each in self._spans():
            if self._first < start + each.below.height and self._last >= start:
                step = each.below.next_step()
                if step is not None:
                    return step
        return self.rows.next_step()

    def accept(self, step: Step[Row], answer: PageLike[Row]) -> int:
        """Adds a fetched page. Returns by how many rows the view moved down, when rows were put before it."""
        if step.cache is self.rows:
            moved = self.rows.accept(step, answer)
            for each in self._open:
                each.index += moved
            self._find_again()
            return moved
        for start, each in self._spans():
            if each.below._holds(step.cache):
                before = each.below.height
                inside = each.below.accept(step, answer)
                return each.below.height - before if start + before <= self._first else inside
        return 0

    def go_to_start(self) -> None:
        """Counts from the start again; open rows close when they were counted from the end."""
        if self.from_end:
            self._open = []
        self.rows.go_to_start()

    def go_to_end(self) -> bool:
        """Goes to the end without loading the rows in between; open rows close when it is counted from there."""
        if self.total is None and not self.from_end:
            self._open = []
        return self.rows.go_to_end()

    def stop_seeking(self) -> None:
        self.rows.stop_seeking()

    def refresh(self) -> None:
        """Makes every page stale, those below open rows too."""
        self.rows.refresh()
        for each in self._open:
            each.below.refresh()

    def trim(self) -> None:
        """Keeps only the pages in view."""
        self.rows.trim()
        for each in self._open:
            each.below.trim()

    def find(self, key: str, near: int) -> int | None:
        """Where the row with this key is now, among the rows in memory."""
        for start, each in self._spans():
            found = each.below.find(key, max(0, near - start))
            if found is not None:
                return start + found
        found = self.rows.find(key, self._own_index(near))
        return None if found is None else self._display_index(found)

    def loaded_rows(self) -> list[Row]:
        """The rows in memory, in order of the lists."""
        found = self.rows.loaded_rows()
        for each in self._open:
            found.extend(each.below.loaded_rows())
        return found

    # -- the tree -----------------------------------------------------------------------------------

    @property
    def levels(self) -> int:
        """How many levels are shown."""
        return 1 + max((each.below.levels for each in self._open), default=0)

    def branch(self, index: int) -> Branch | None:
        """The place in the tree of the row at an index of the display, or None while it is not here."""
        depth, cache, at = 0, self, index
        while (inside := cache._below(at)) is not None:
            depth, cache, at = depth + 1, inside[0], inside[1]
        at = cache._own_index(at)
        row = cache.rows.row(at)
        if row is None:
            return None
        return Branch(depth, self._can_open(row), any(each.index == at for each in cache._open))

    def parent(self, index: int) -> int | None:
        """The display index of the row above which this one was inserted, or None at the top."""
        inside = self._below(index)
        if inside is None:
            return None
        deeper = inside[0].parent(inside[1])
        start = index - inside[1]
        return start - 1 if deeper is None else start + deeper

    def expand(self, index: int) -> int | None:
        """Opens the row at an index of the display; returns how many rows were added, None when it cannot be opened or
        is open."""
        cache, at = self._locate(index)
        row = cache.rows.row(at)
        if row is None or not self._can_open(row) or any(each.index == at for each in cache._open):
            return None
        below = TreeCache(self._children(row), can_open=self._can_open, children=self._children)
        cache._open.append(_Open(self.key(row), at, below))
        cache._open.sort(key=lambda each: each.index)
        return below.height

    def collapse(self, index: int) -> int | None:
        """Closes the row at an index of the display; returns minus how many rows were removed, None when it is not
        open."""
        cache, at = self._locate(index)
        closed = next((each for each in cache._open if each.index == at), None)
        if closed is None:
            return None
        cache._open.remove(closed)
        return -closed.below.height

    # -- positions of rows --------------------------------------------------------------------------

    @property
    def _inserted(self) -> int:
        return sum(each.below.height for each in self._open)

    def _spans(self) -> Iterator[tuple[int, _Open[Row]]]:
        """Each open row with the display index of the first row below it."""
        inserted = 0
        for each in self._open:
            yield each.index + 1 + inserted, each
            inserted += each.below.height

    def _below(self, index: int) -> tuple[TreeCache[Row], int] | None:
        """The inserted list that contains a display index, and the index in it."""
        for start, each in self._spans():
            if index < start:
                return None
            if index < start + each.below.height:
                return each.below, index - start
        return None

    def _own_index(self, index: int) -> int:
        """The row of the top list that is at a display index, or whose open part contains it."""
        inserted = 0
        for start, each in self._spans():
            if index < start:
                break
            if index < start + each.below.height:
                return each.index
            inserted += each.below.height
        return index - inserted

    def _display_index(self, own: int) -> int:
        return own + sum(each.below.height for each in self._open if each.index < own)

    def _locate(self, index: int) -> tuple[TreeCache[Row], int]:
        """The tree whose own list contains a display index, and the index in that list."""
        cache, at = self, index
        while (inside := cache._below(at)) is not None:
            cache, at = inside
        return cache, cache._own_index(at)

    def _holds(self, cache: PageCache[Row]) -> bool:
        return cache is self.rows or any(each.below._holds(cache) for each in self._open)

    def _find_again(self) -> None:
        """Follows open rows that moved; those that no longer exist close."""
        kept = []
        for each in self._open:
            row = self.rows.row(each.index)
            if row is not None and self.key(row) != each.key:
                found = self.rows.find(each.key, each.index)
                if found is None:
                    continue
                each.index = found
            if each.index < self.rows.height:
                kept.append(each)
        self._open = sorted(kept, key=lambda each: each.index)
