"""Keeps SQLite's statistics of MLflow's database true.

Without them SQLite sorts 100 000 runs by a metric for minutes, because it joins the wrong way round; with them in less
than a second. It does not measure by itself.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from registry_tui.platform.database_changes import SqliteChanges

_logger = logging.getLogger(__name__)

#: Tables that grow with runs; their rows are never numbered again, so the highest number is about the size.
_TABLES = ("runs", "metrics", "latest_metrics", "params", "tags", "logged_models", "model_versions")

#: Rows that SQLite reads of each index (https://sqlite.org/lang_analyze.html, "approximate ANALYZE"): the write lock is
#: held for milliseconds, however large the table is.
_ANALYSIS_LIMIT = 1000

#: Seconds between checks, and the growth since the last analysis that requires another one.
_LOOK_EVERY = 5.0
_GROWTH = 1.5
_AT_LEAST_ROWS = 200


def size(database: sqlite3.Connection) -> int:
    """About how many rows the growing tables have, without counting them. Raises sqlite3.Error."""
    present = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    highest = (
        database.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] for table in _TABLES if table in present
    )
    return sum(rows or 0 for rows in highest)


def analyse(path: Path) -> int:
    """Measures the tables and returns their size. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as database:
        rows = size(database)
        database.execute(f"PRAGMA analysis_limit = {_ANALYSIS_LIMIT}")
        database.execute("BEGIN IMMEDIATE")
        # A connection keeps the statistics that it read with the schema. Making their table again changes the
        # schema, so that every open connection, of whichever of MLflow's stores, reads them with its next statement.
        database.execute("DROP TABLE IF EXISTS sqlite_stat1")
        database.execute("ANALYZE")
        database.execute("COMMIT")
    return rows


def keep_analysed(path: Path) -> threading.Thread:
    """Analyses now and whenever the database has grown by half, in the background."""
    thread = threading.Thread(target=_watch, args=(path,), name="analyse", daemon=True)
    thread.start()
    return thread


def _watch(path: Path) -> None:
    pause = threading.Event()
    analysed: int | None = None
    changes = SqliteChanges(path)
    while True:
        try:
            stamp = changes.stamp()
            if changes.due(stamp):
                with closing(sqlite3.connect(path, timeout=20)) as database:
                    rows = size(database)
                if analysed is None or rows > analysed * _GROWTH + _AT_LEAST_ROWS:
                    analysed = analyse(path)
                changes.done(stamp)
        except sqlite3.Error as error:
            _logger.warning("The database's statistics stay as they are: %s", error)
        pause.wait(_LOOK_EVERY)
