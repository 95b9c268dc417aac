"""Whose rows a PostgreSQL database holds: the platform's ID is in the home and in the service's tables.

A home with another ID is refused, and a home that has its ID starts no new database: its rows are at another server
then. SQLite's files are in the home itself, and need no ID.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from registry_tui.platform.database_urls import for_psycopg, is_postgresql, shown
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.locks import only_one
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private

if TYPE_CHECKING:
    import psycopg

#: The key of the row in the table `installation`.
KEY = "home"
#: Behind an ID in the home's file until its row is known to be kept.
_NEW = "new"
#: Seconds that a process waits for another one of the same home.
_PATIENCE = 30.0


class ForeignRows(PlatformError):
    """A database holds another platform's rows, or none where this one's should be."""


def require_own(home: Home, url: str) -> None:
    """Refuses a database of other platforms before anything is changed there; `url` is the service's database.

    Raises ForeignRows, OSError, psycopg.Error.
    """
    if not is_postgresql(url):
        return
    with _connected(url) as connection:
        # The row before the file; `claim` writes them in the other order.
        _require(home, url, _row(connection), _kept(home))


def claim(home: Home, url: str) -> None:
    """Marks the service's migrated database as this home's, once. Raises as `require_own`."""
    if not is_postgresql(url):
        return
    with only_one(home.run / "database-owner.lock", _PATIENCE, "Another process marks the database"):
        kept = _kept(home)
        if kept is None:
            kept = str(uuid.uuid4()), _NEW
            with _connected(url) as connection:
                _require(home, url, _row(connection), None)
            write_private(home.installation_file, " ".join(kept))
        with _connected(url) as connection:
            if _require(home, url, _row(connection), kept) is None:
                add = "INSERT INTO installation (key, value) VALUES (%s, %s) ON CONFLICT DO NOTHING"
                connection.execute(add, (KEY, kept[0]))
                connection.commit()
                _require(home, url, _row(connection), kept)
        if kept[1] == _NEW:
            write_private(home.installation_file, kept[0])


def _require(home: Home, url: str, row: str | None, kept: tuple[str, str] | None) -> str | None:
    """Returns the row where home and database belong together. Raises ForeignRows."""
    if row is not None and (kept is None or kept[0] != row):
        raise ForeignRows(
            f"The database {shown(url)} holds the rows of another platform",
            action=f"Remove {home.databases_file} and name another database. If they are this platform's rows after "
            f"all, write {row} into {home.installation_file}",
        )
    if row is None and kept is not None and kept[1] != _NEW:
        raise ForeignRows(
            f"The database {shown(url)} has no rows of this platform, which had some before",
            action="Name the server that has them, or restore them there. If they are there, from an older backup say, "
            f"remove {home.installation_file}",
        )
    return row


def _kept(home: Home) -> tuple[str, str] | None:
    """The ID in the home, and whether its row is still to be kept (`_NEW`). Raises OSError."""
    try:
        words = home.installation_file.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return None
    return (words[0], words[1] if len(words) > 1 else "") if words else None


def _row(connection: psycopg.Connection[tuple[Any, ...]]) -> str | None:
    """The ID in the database; None also before the tables are made."""
    if connection.execute("SELECT to_regclass('installation')").fetchone() == (None,):
        return None
    found = connection.execute("SELECT value FROM installation WHERE key = %s", (KEY,)).fetchone()
    return None if found is None else str(found[0])


def _connected(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    # The driver is loaded where it is used.
    from registry_tui.platform.postgresql import connect

    return connect(for_psycopg(url))
