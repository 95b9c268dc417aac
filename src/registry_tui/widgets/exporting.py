"""Tables and documents as files: plain functions, streamed row by row, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from registry_tui.contracts import new_files
from registry_tui.widgets.table_layout import Column
from registry_tui.wording.words import Cell

#: First characters that make a spreadsheet read text as a formula (OWASP, CSV Injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r")

#: Signs before a state's word on the screen.
GLYPHS = "●○◐◌✓✗ "


def as_yaml(text: str) -> str:
    """JSON as YAML. Raises ValueError when it is not JSON."""
    import yaml

    # YAML writes a float NaN as `.nan`; Python's JSON reads both.
    return str(yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True, width=1000))


def occurrences(text: str, wanted: str) -> list[tuple[int, int]]:
    """(line, column) of every occurrence of a text, ignoring case; empty for an empty text."""
    wanted = wanted.casefold()
    if not wanted:
        return []
    found = []
    for number, line in enumerate(text.split("\n")):
        folded, at = line.casefold(), -1
        while (at := folded.find(wanted, at + 1)) >= 0:
            found.append((number, at))
    return found


def exact(column: Column[Any], row: Any) -> Any:
    """A column's value as exact as the row has it: a date rather than “3 min ago”, else the displayed text."""
    for name in (column.sort, column.key):
        value = getattr(row, name, None) if name is not None and name.isidentifier() else None
        if isinstance(value, str | int | float | date) and not isinstance(value, Enum):
            return value
    cell = column.cell(row)
    text = cell.text if isinstance(cell, Cell) else cell
    return text.lstrip(GLYPHS)


def csv_text(value: Any) -> str:
    """A value of a CSV file. Text that a spreadsheet would read as a formula gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool | int | float):
        return str(value)
    text = str(value)
    if text.startswith(FORMULA) and not _is_number(text):
        return f"'{text}"
    return text


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


class TableWriter:
    """Writes rows as CSV (the columns as shown) or, for `.json`, with all fields of each."""

    def __init__(self, path: Path, columns: Sequence[Column[Any]]) -> None:
        """Raises FileExistsError: existing files are never overwritten. The rows appear under the name at `finish`."""
        new_files.require_free(path)
        self._path = path
        self._columns = columns
        self._partial = new_files.partial_of(path)
        self._json = path.suffix.lower() == ".json"
        self._file = self._partial.open("x", encoding="utf-8", newline="")
        self.rows = 0
        self._file.write("[" if self._json else csv_line(column.title for column in columns))

    def write(self, rows: Iterable[Any]) -> None:
        """Adds rows."""
        for row in rows:
            if self._json:
                self._file.write((",\n" if self.rows else "\n") + row.model_dump_json())
            else:
                self._file.write(csv_line(exact(column, row) for column in self._columns))
            self.rows += 1

    def finish(self) -> None:
        """Gives the file its name. Raises FileExistsError when that exists by now, OSError."""
        self._file.write("\n]\n" if self._json else "")
        self._file.close()
        new_files.publish(self._partial, self._path)

    def give_up(self) -> None:
        """Removes the unfinished file, when `finish` was not reached."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


def rows_text(rows: Sequence[Mapping[str, object]], *, as_json: bool) -> str:
    """Rows of the same fields as a JSON array, or as CSV below their names."""
    if as_json:
        return json.dumps(rows, ensure_ascii=False, indent=1, default=str) + "\n"
    return "".join(csv_line(line) for line in ([*rows[0]], *(row.values() for row in rows))) if rows else ""


def csv_line(values: Iterable[Any]) -> str:
    """One record (RFC 4180), with its line end."""
    line = io.StringIO()
    csv.writer(line).writerow([csv_text(value) for value in values])
    return line.getvalue()
