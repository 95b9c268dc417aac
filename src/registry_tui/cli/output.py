"""The output of commands: tables for people, JSON for scripts. Data goes to stdout, everything else to stderr.

Text from outside is made safe: control characters never reach the terminal, except in JSON, which escapes them itself.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import typer
from pydantic import BaseModel, TypeAdapter
from rich.cells import cell_len

from registry_tui.platform.paths import Home
from registry_tui.schemas.base import MAX_PAGE_SIZE, Page
from registry_tui.terminal.links import linked
from registry_tui.terminal.preferences import load_preferences
from registry_tui.wording import text, words

Item = TypeVar("Item")
#: Items requested at a time; also the rows that a table's widths are measured from.
PAGE = 200
#: Minimum cells of a flexible column on a narrow terminal.
NARROWEST = 12


@dataclass(frozen=True)
class Column(Generic[Item]):
    """A column of a table: its title, and how to get its value from an item.

    Numbers are right-aligned; flexible columns are cut first where the terminal is narrow.
    """

    title: str
    value: Callable[[Item], object]
    right: bool = False
    flexible: bool = False


class Fetch(Protocol):
    """Fetches one page of a list."""

    def __call__(self, *, page_size: int, page_token: str | None) -> Awaitable[Page[Any]]: ...


def cell(value: object) -> str:
    """One line of harmless text for a value."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, datetime):
        return words.absolute(value)
    if isinstance(value, float):
        return words.number(value)
    if isinstance(value, Mapping):
        return text.safe(", ".join(f"{key}={each}" for key, each in value.items())) or "-"
    if isinstance(value, (list, tuple)):
        return text.safe(", ".join(str(each) for each in value)) or "-"
    first, _, more = str(value).strip().partition("\n")
    return text.safe(f"{first} …" if more else first) or "-"


async def print_list(
    fetch: Fetch,
    columns: Sequence[Column[Any]] | Callable[[Sequence[Any]], Sequence[Column[Any]]],
    *,
    as_json: bool,
    limit: int | None = None,
    empty: str = "Nothing found",
) -> None:
    """Prints a list page by page, as a table or as a JSON array: at most `limit` items, all when it is None.

    `columns` may be chosen from the first page's items.
    """
    table: Table | None = None
    token: str | None = None
    count = 0
    while True:
        wanted = PAGE if limit is None else min(MAX_PAGE_SIZE, limit - count)
        page = await fetch(page_size=wanted, page_token=token)
        items = page.items if limit is None else page.items[: limit - count]
        if as_json:
            for index, item in enumerate(items):
                write(("[\n  " if count + index == 0 else ",\n  ") + _json(item, indent=None))
            flush()
        elif items:
            if table is None:
                table = Table(columns(items) if callable(columns) else columns)
            table.print(items)
        count += len(items)
        token = page.next_page_token
        if token is None or (limit is not None and count >= limit):
            break
    if as_json:
        write("\n]\n" if count else "[]\n")
        flush()
    elif count == 0:
        note(empty)
    if token is not None:
        note(f"There are more than these {count}")


def with_links(shown: str) -> str:
    """The text with addresses as links on a terminal that supports them, unless disabled in the settings."""
    if "://" not in shown or not sys.stdout.isatty():
        return shown
    return linked(shown) if load_preferences(Home.resolve()).links else shown


class Table:
    """Aligned columns, with widths from the first rows; output into a pipe is never cut."""

    def __init__(self, columns: Sequence[Column[Any]]) -> None:
        self.columns = columns
        self.widths: list[int] = []
        self.terminal = sys.stdout.isatty()

    def print(self, items: Sequence[Any]) -> None:
        """Prints rows, below the titles when they are the first."""
        rows = [[cell(column.value(item)) for column in self.columns] for item in items]
        if not self.widths:
            self._measure(rows)
            titles = self._line([column.title for column in self.columns])
            write(f"\x1b[1m{titles}\x1b[0m\n" if self.terminal and not os.environ.get("NO_COLOR") else f"{titles}\n")
        for row in rows:
            write(f"{with_links(self._line(row))}\n")
        flush()

    def _measure(self, rows: Sequence[Sequence[str]]) -> None:
        titles = [column.title for column in self.columns]
        self.widths = [max(map(cell_len, values)) for values in zip(titles, *rows, strict=True)]
        if not self.terminal:
            return
        flexible = [index for index, column in enumerate(self.columns) if column.flexible]
        over = sum(self.widths) + 2 * (len(self.widths) - 1) - shutil.get_terminal_size().columns
        self._narrow(flexible, over)

    def _narrow(self, flexible: Sequence[int], over: int) -> None:
        """Takes so many cells from the widest of these columns; there may be thousands, with long texts."""
        found = Counter(self.widths[index] for index in flexible)
        level, wide = max(found, default=0), 0
        # Columns of this width and more are cut to one less, until that is enough.
        while over > 0 and level > NARROWEST:
            wide += found[level]
            if wide > over:
                break
            level, over = level - 1, over - wide
        for index in flexible:
            if self.widths[index] >= level:
                cut = over > 0 and level > NARROWEST
                self.widths[index], over = (level - 1, over - 1) if cut else (level, over)

    def _line(self, cells: Sequence[str]) -> str:
        shown = []
        for column, width, value in zip(self.columns, self.widths, cells, strict=True):
            if self.terminal and column.flexible:
                shown.append(text.fit(value, width))
            else:
                padding = " " * max(0, width - cell_len(value))
                shown.append(padding + value if column.right else value + padding)
        return "  ".join(shown).rstrip()


def print_one(value: BaseModel, fields: Mapping[str, object], *, as_json: bool) -> None:
    """Prints one resource: its fields for people, all of it as JSON for scripts."""
    if as_json:
        print_json(value)
        return
    width = max(map(len, fields))
    for name, each in fields.items():
        lines = text.safe_lines(each).splitlines() if isinstance(each, str) and "\n" in each else [cell(each)]
        write(f"{name:<{width}}  {with_links(lines[0])}\n")
        for line in lines[1:]:
            write(f"{'':<{width}}  {with_links(line)}\n")
    flush()


def print_json(value: object) -> None:
    """Prints one value as JSON."""
    write(f"{_json(value, indent=2)}\n")
    flush()


def _json(value: object, indent: int | None) -> str:
    if isinstance(value, BaseModel):
        return value.model_dump_json(indent=indent)
    return TypeAdapter(Any).dump_json(value, indent=indent).decode()


def write(data: str) -> None:
    """Writes to stdout; a closed pipe ends the command quietly."""
    try:
        sys.stdout.write(data)
    except BrokenPipeError:
        _reader_is_gone()
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding
        sys.stdout.write(data.encode(encoding, "replace").decode(encoding))


def write_bytes(data: bytes) -> None:
    """Writes bytes to stdout unchanged."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _reader_is_gone()


def flush() -> None:
    """Flushes stdout."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_is_gone()


def _reader_is_gone() -> NoReturn:
    # Python flushes once more at its end, which needs a valid target.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(0)


def note(message: str) -> None:
    """A message for people, on stderr."""
    print(text.safe_lines(message), file=sys.stderr, flush=True)


class Status:
    """One line on stderr with the progress: rewritten on a terminal, a line for each change elsewhere."""

    def __init__(self) -> None:
        self._last = ""
        self._live = sys.stderr.isatty()

    def count(self, message: str, number: int) -> None:
        """Shows a message about a number that grows. Off a terminal, it gets a line when the number has doubled."""
        self.show(message, key=str(number.bit_length()))

    def show(self, message: str, *, key: str | None = None) -> None:
        """Shows a message. Off a terminal, messages with the `key` of the one before are left out."""
        shown = text.safe(message)
        if self._live:
            width = max(20, shutil.get_terminal_size().columns - 1)
            shown = shown if cell_len(shown) <= width else text.fit(shown, width)
            if shown != self._last:
                print(f"\r\x1b[K{shown}", end="", file=sys.stderr, flush=True)
                self._last = shown
        elif (key or shown) != self._last:
            print(shown, file=sys.stderr, flush=True)
            self._last = key or shown

    def close(self) -> None:
        """Clears the line, so that the next output starts on a clean one."""
        if self._live and self._last:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        self._last = ""
