"""Saving a text, or all rows of a table, in a file; existing files are never overwritten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.form import Form, row
from registry_tui.widgets.exporting import TableWriter, rows_text
from registry_tui.widgets.page_cache import PageCache

if TYPE_CHECKING:
    from registry_tui.widgets.page_cache import Fetch
    from registry_tui.widgets.virtual_table import VirtualTable


class Save(Form[Path]):
    """Asks for a file name and writes a text into the file."""

    OK = "Save"
    SENDS = False

    def __init__(self, title: str, name: str, text: str) -> None:
        super().__init__()
        self._heading, self._suggested, self._text = title, file_name(name), text

    def title_text(self) -> str:
        return self._heading

    def compose_fields(self) -> Iterable[Widget]:
        yield row("File", Input(self._suggested, compact=True, id="file"))
        yield Static(f"in {Path.cwd()}, unless the name begins with /", classes="hint", markup=False)

    @property
    def path(self) -> Path:
        """The currently named file."""
        typed = self.query_one("#file", Input).value.strip()
        return Path.cwd() / Path(typed).expanduser() if typed else Path()

    def problem_of(self) -> str | None:
        if self.path == Path():
            return "Type a file's name"
        if self.path.exists():
            return f"{self.path} already exists; choose another name"
        return None if self.path.parent.is_dir() else f"There is no folder {self.path.parent}"

    def check(self) -> None:
        """Shows a problem with the name immediately."""
        super().check()
        why = self.problem_of()
        if why is not None and not self.complaint_holds():
            self.tell(why)

    def send(self) -> Coroutine[Any, Any, Path]:
        return asyncio.to_thread(self._write, self.path)

    def _write(self, path: Path) -> Path:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(self._text)
        return path

    def failed(self, error: Exception) -> None:
        if isinstance(error, OSError):
            self.complain(f"{error.filename or self.path}: {error.strerror or error}")
        else:
            super().failed(error)


class Export(Save):
    """Writes a list's rows page by page, all as filtered and sorted, or those marked."""

    OK = "Export"

    def __init__(
        self, table: VirtualTable[Any], name: str, told: Callable[[str], None], fetch: Fetch[Any] | None = None
    ) -> None:
        """`told` is called with the result; `fetch` fetches the rows, if not as the table does."""
        super().__init__("Export the table", f"{name}.csv", "")
        self._table, self._told, self._fetch = table, told, fetch

    def compose_fields(self) -> Iterable[Widget]:
        yield from super().compose_fields()
        marked = len(self._table.marked)
        self.choices = OptionList(
            Option("all rows as filtered and sorted", id="all"),
            Option(
                f"the {counted(marked, 'marked row')}" if marked else "no rows are marked",
                id="marked",
                disabled=not marked,
            ),
            id="rows",
            compact=True,
        )
        self.choices.highlighted = 1 if marked else 0
        yield row("Rows", self.choices)
        yield Static(
            ".csv has the columns of the table, .json everything that is known of each row",
            id="format",
            classes="hint",
            markup=False,
        )

    @on(OptionList.OptionSelected, "#rows")
    def _chosen(self) -> None:
        self._ok()

    def send(self) -> Coroutine[Any, Any, Path]:
        return self._export(self.path)

    async def _export(self, path: Path) -> Path:
        option = self.choices.highlighted_option
        marked = list(self._table.marked.values()) if option is not None and option.id == "marked" else None
        label = self.query_one("#format", Static)
        self.query_one("#cancel", Button).label = "Stop"
        writer = TableWriter(path, self._table.columns)
        try:
            async for rows in self._pages(marked):
                await asyncio.to_thread(writer.write, rows)
                label.update(f"{counted(writer.rows, 'row')} so far")
            writer.finish()
        finally:
            # Also when the form is left meanwhile: its work is cancelled then.
            writer.give_up()
        self._told(f"{counted(writer.rows, 'row')} saved in {path}")
        return path

    async def _pages(self, marked: Sequence[Any] | None) -> AsyncIterator[Sequence[Any]]:
        if marked is not None:
            yield marked
            return
        source = self._table.source
        fetch = self._fetch or (source.fetch if isinstance(source, PageCache) else None)
        assert fetch is not None
        token: str | None = None
        while True:
            page = await fetch(token, False)
            yield page.items
            token = page.next_page_token
            if token is None:
                return


class ExportRows(Save):
    """Writes a few rows that are all known, each with the same fields."""

    OK = "Export"

    def __init__(self, name: str, rows: Sequence[Mapping[str, object]]) -> None:
        super().__init__("Export the table", f"{name}.csv", "")
        self._rows = rows

    def compose_fields(self) -> Iterable[Widget]:
        yield from super().compose_fields()
        text = f"{counted(len(self._rows), 'row')}; .csv for spreadsheets, .json for programs"
        yield Static(text, classes="hint -below", markup=False)

    def _write(self, path: Path) -> Path:
        self._text = rows_text(self._rows, as_json=path.suffix.lower() == ".json")
        return super()._write(path)


def file_name(text: str, other: str = "-") -> str:
    """A file name derived from an object's name: letters, digits, dots and hyphens. It is neither hidden nor a
    folder's.

    `other` replaces every other character.
    """
    kept = "".join(character if character.isalnum() or character in "._-" else other for character in text)
    short = kept.strip(".-")[:100].encode(errors="ignore")[:200].decode(errors="ignore")
    return short or "registry-tui.txt"
