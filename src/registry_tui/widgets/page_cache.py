"""Pages of a list that is too long to load: fetched by token on demand, a bounded number cached.

A token names the page after the one it came with, so a list can only be walked page by page, from its start, and from
its end where the source supports reverse order. `PageCache` keeps both walks, every token seen (a short text a page)
and the rows of the most recently used pages. It is independent of widgets; the table calls `next_step` for the page to
fetch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, Protocol, TypeVar

Row = TypeVar("Row")
RowT = TypeVar("RowT", covariant=True)


class PageLike(Protocol[RowT]):
    """The protocol of `schemas.base.Page`, which needs no pydantic."""

    @property
    def items(self) -> Sequence[RowT]: ...
    @property
    def next_page_token(self) -> str | None: ...
    @property
    def total(self) -> int | None: ...


#: Fetches the page of a token (None: the first), in reversed order when the second argument is true.
Fetch = Callable[[str | None, bool], Awaitable[PageLike[Row]]]


@dataclass(frozen=True)
class Rows(Generic[Row]):
    """A page made of rows in memory."""

    items: Sequence[Row]
    next_page_token: str | None = None
    total: int | None = None


@dataclass(frozen=True)
class Step(Generic[Row]):
    """The page to fetch next, and the list that needs it."""

    cache: PageCache[Row]
    backwards: bool
    page: int
    token: str | None

    async def fetch(self) -> PageLike[Row]:
        """Fetches it from the source."""
        return await self.cache.fetch(self.token, self.backwards)


class _Walk(Generic[Row]):
    """The pages seen from one end of the list."""

    def __init__(self, limit: int) -> None:
        self.tokens: list[str | None] = [None]
        self.starts: list[int] = [0]
        self.end: int | None = None
        self.pages: OrderedDict[int, Sequence[Row]] = OrderedDict()
        self.stale: set[int] = set()
        self.limit = limit

    @property
    def known(self) -> int:
        """How many rows from this end have been seen."""
        return self.starts[-1] if self.end is None else self.end

    def page_of(self, index: int) -> int:
        """The page that contains a row, or the frontier."""
        return bisect_right(self.starts, index) - 1

    def row(self, index: int) -> Row | None:
        if index < 0 or index >= self.known:
            return None
        page = self.page_of(index)
        rows = self.pages.get(page)
        if rows is None:
            return None
        offset = index - self.starts[page]
        return rows[offset] if offset < len(rows) else None

    def missing(self, first: int, last: int) -> int | None:
        """The first page between two rows that is missing or stale."""
        if self.end is not None:
            last = min(last, self.end - 1)
        for page in range(self.page_of(max(0, first)), self.page_of(max(0, last)) + 1):
            if page not in self.pages or page in self.stale:
                return page
        return None

    def accept(self, page: int, rows: Sequence[Row], token: str | None, keep: range) -> None:
        if page >= len(self.tokens):
            return
        self.pages[page] = rows
        self.pages.move_to_end(page)
        self.stale.discard(page)
        end = self.starts[page] + len(rows)
        frontier = page == len(self.tokens) - 1
        following = None if frontier else (self.tokens[page + 1], self.starts[page + 1])
        if token is None:
            self._forget_after(page)
            self.end = end
        elif following != (token, end):
            self._forget_after(page)
            self.end = None
            self.tokens.append(token)
            self.starts.append(end)
        for old in list(self.pages):
            if len(self.pages) <= self.limit:
                break
            if old not in keep:
                del self.pages[old]

    def _forget_after(self, page: int) -> None:
        del self.tokens[page + 1 :], self.starts[page + 1 :]
        for later in [number for number in self.pages if number > page]:
            del self.pages[later]

    def pages_of(self, first: int, last: int) -> range:
        return range(self.page_of(max(0, first)), self.page_of(max(0, last)) + 1)


class PageCache(Generic[Row]):
    """A list of rows of which only some pages are in memory. Rows are identified by `key` over refreshes."""

    #: Distinguishes it from a `TreeCache` without importing that.
    is_tree: ClassVar[Literal[False]] = False

    def __init__(
        self, fetch: Fetch[Row], key: Callable[[Row], str], *, reversible: bool = False, max_pages: int = 24
    ) -> None:
        self.fetch = fetch
        self.key = key
        self.reversible = reversible
        self._forward: _Walk[Row] = _Walk(max_pages)
        self._backward: _Walk[Row] = _Walk(max_pages)
        self._total: int | None = None
        self._from_end = False
        self._seek_end = False
        self._first, self._last = 0, 0

    @property
    def total(self) -> int | None:
        """The number of rows, once the source returned it or an end was reached."""
        if self._total is not None:
            return self._total
        return self._forward.end if self._forward.end is not None else self._backward.end

    @property
    def height(self) -> int:
        """Rows that can be shown: all when the total is known, else those seen and one that stands for the rest."""
        total = self.total
        return total if total is not None else self._walk.known + 1

    @property
    def started(self) -> bool:
        """Whether the first page has arrived."""
        return bool(self._forward.pages or self._backward.pages)

    @property
    def seen(self) -> int:
        """Rows walked over so far, from the end in view."""
        return self._walk.known

    @property
    def from_end(self) -> bool:
        """Whether rows are counted from the end, because the total is unknown."""
        return self._from_end and self.total is None

    @property
    def seeking(self) -> bool:
        """Whether the end is being walked to."""
        return self._seek_end and self.total is None

    @property
    def _walk(self) -> _Walk[Row]:
        return self._backward if self._from_end else self._forward

    def row(self, index: int) -> Row | None:
        """The row at an index of the display, or None while it is not here."""
        total = self.total
        if total is not None:
            found = self._forward.row(index)
            return found if found is not None else self._backward.row(total - 1 - index)
        if self._from_end:
            return self._backward.row(self.height - 1 - index)
        return self._forward.row(index)

    def demand(self, first: int, last: int) -> None:
        """Sets the rows in view; `next_step` serves them first."""
        self._first, self._last = max(0, first), max(0, last)

    def go_to_start(self) -> None:
        """Counts from the start again."""
        self._from_end = self._seek_end = False

    def go_to_end(self) -> bool:
        """Goes to the end without loading the rows in between; False when it must be walked to, page by page."""
        if self.total is not None:
            return True
        if self.reversible:
            self._from_end = True
            return True
        self._seek_end = True
        return False

    def stop_seeking(self) -> None:
        self._seek_end = False

    def refresh(self) -> None:
        """Makes every page stale: those in view are fetched again, and shown as they were until then."""
        for walk in (self._forward, self._backward):
            walk.stale.update(walk.pages)

    def trim(self) -> None:
        """Keeps only the pages in view, while the list is not visible; tokens stay, so that every place can be found
        again."""
        first, last = self._first, self._last
        height = self.height
        for walk, keep in (
            (self._forward, self._forward.pages_of(first, last)),
            (self._backward, self._backward.pages_of(height - 1 - last, height - 1 - first)),
        ):
            for page in [page for page in walk.pages if page not in keep]:
                del walk.pages[page]

    def find(self, key: str, near: int) -> int | None:
        """Where the row with this key is now, among the rows in memory; the one closest to `near`."""
        best: int | None = None
        for index in self._loaded():
            row = self.row(index)
            if row is not None and self.key(row) == key and (best is None or abs(index - near) < abs(best - near)):
                best = index
        return best

    def loaded_rows(self) -> list[Row]:
        """The rows in memory, in order."""
        return [row for row in (self.row(index) for index in sorted(set(self._loaded()))) if row is not None]

    def _loaded(self) -> list[int]:
        total = self.height
        found: list[int] = []
        for page, rows in self._forward.pages.items():
            found.extend(range(self._forward.starts[page], self._forward.starts[page] + len(rows)))
        for page, rows in self._backward.pages.items():
            start = total - self._backward.starts[page] - len(rows)
            found.extend(range(max(0, start), start + len(rows)))
        return found if self._from_end or self.total is not None else [i for i in found if i < self._forward.known]

    def next_step(self) -> Step[Row] | None:
        """The page to fetch now: in view first, then half a screen ahead; None when no page is needed."""
        if self._seek_end and self.total is None:
            return self._step(False, len(self._forward.tokens) - 1)
        ahead = max(10, self._last - self._first + 1) // 2
        for first, last in ((self._first, self._last), (max(0, self._first - ahead), self._last + ahead)):
            step = self._missing(first, last)
            if step is not None:
                return step
        return None

    def _missing(self, first: int, last: int) -> Step[Row] | None:
        total = self.total
        if total is not None:
            last = min(last, max(0, total - 1))
            if self.reversible and self._nearer_the_end(first, last, total):
                page = self._backward.missing(total - 1 - last, total - 1 - first)
                return None if page is None else self._step(True, page)
        elif self._from_end:
            height = self.height
            page = self._backward.missing(height - 1 - last, height - 1 - first)
            return None if page is None else self._step(True, page)
        page = self._forward.missing(first, last)
        return None if page is None else self._step(False, page)

    def _nearer_the_end(self, first: int, last: int, total: int) -> bool:
        # An empty list is fetched from its start: new rows can only be seen there.
        if total == 0 or last < self._forward.known:
            return False
        return (total - 1 - first) - self._backward.known < last - self._forward.known

    def _step(self, backwards: bool, page: int) -> Step[Row]:
        walk = self._backward if backwards else self._forward
        page = min(page, len(walk.tokens) - 1)
        return Step(self, backwards, page, walk.tokens[page])

    def begin(self, page: PageLike[Row]) -> None:
        """Adds a first page that was fetched elsewhere."""
        self.accept(self._step(False, 0), page)

    def accept(self, step: Step[Row], answer: PageLike[Row]) -> int:
        """Adds a fetched page. Returns by how many rows the display moved down, when rows were put before it."""
        walk = self._backward if step.backwards else self._forward
        if step.page >= len(walk.tokens) or walk.tokens[step.page] != step.token:
            return 0
        counted_from_end = self.from_end
        before = self.height
        first, last = self._first, self._last
        if step.backwards:
            first, last = before - 1 - last, before - 1 - first
        if answer.total is not None:
            self._total = answer.total
        walk.accept(step.page, answer.items, answer.next_page_token, walk.pages_of(first, last))
        moved = self.height - before if counted_from_end and step.backwards else 0
        # The same rows stay in view, so that the rows before them are not fetched in turn, page after page.
        self._first, self._last = self._first + moved, self._last + moved
        return moved
