"""The other side of `tui.py`: Textual's DataTable with a given number of rows, made here, without a server.

`o` adds the rows, `f` leaves one row, `s` sorts; its columns are those of the program's runs.
"""

from __future__ import annotations

import random
import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable

COLUMNS = ["Run", "Status", "Started", *(f"p{n}" for n in range(3)), *(f"m{n}" for n in range(4)), "Took", "User"]


class Other(App[None]):
    BINDINGS = [("o", "fill", "Fill"), ("f", "filter", "Filter"), ("s", "sort", "Sort")]

    def __init__(self, count: int) -> None:
        super().__init__()
        self.animation_level = "none"
        noise = random.Random(1)
        self.rows = [
            (
                f"run-{number} ",
                "✓ finished",
                "2026-01-01",
                *(str(noise.randrange(100)) for _ in range(3)),
                *(f"{noise.random():.5g}" for _ in range(4)),
                "5.0 s",
                "ann",
            )
            for number in reversed(range(count))
        ]

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        self.query_one(DataTable).add_columns(*COLUMNS)

    def action_fill(self) -> None:
        self.query_one(DataTable).add_rows(self.rows)

    def action_filter(self) -> None:
        table = self.query_one(DataTable)
        table.clear()
        table.add_rows([row for row in self.rows if row[0] == "run-7 "])

    def action_sort(self) -> None:
        table = self.query_one(DataTable)
        table.sort(key=lambda row: int(row[0][4:]))
        table.move_cursor(row=0, animate=False)


if __name__ == "__main__":
    Other(int(sys.argv[1])).run()
