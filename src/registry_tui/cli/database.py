"""`database`: the location of the platform's rows."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.contracts.counts import counted
from registry_tui.platform import extras
from registry_tui.platform.paths import Home

app = session.new_app("Where the platform keeps its rows.")


@app.command()
def move(
    url: Annotated[str, typer.Argument(metavar="URL", help="postgresql://USER@HOST:PORT/DATABASE")],
    yes: session.YesOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """Bring a stopped platform's rows from SQLite to PostgreSQL, and compare every table's rows and sum.

    The files of SQLite stay as they are. When it fails or is cut off, the platform still has its rows in them.

    Example: registry-tui database move postgresql://registry@db.example/registry
    """
    extras.require("platform")
    from registry_tui.platform.database_choice import Choice
    from registry_tui.service import moving

    home = Home.resolve()
    session.confirm(f"Move the rows of {home.root} to this database?", yes=yes)
    for moved in moving.bring_rows(home, Choice(url)):
        if as_json:
            tables = {table.table: {"rows": table.rows, "checksum": f"{table.checksum:016x}"} for table in moved.tables}
            print(json.dumps({"part": moved.part, "rows": moved.rows, "tables": tables}), flush=True)
        else:
            counts = f"{counted(moved.rows, 'row')}, {counted(len(moved.tables), 'table')}"
            output.note(f"{moved.part}: the same there ({counts})")
    if not as_json:
        output.note("Start the platform with `registry-tui up`")
