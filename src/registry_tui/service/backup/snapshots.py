"""A home's SQLite databases as they all were at one moment, while the platform runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from registry_tui.platform.databases import database_fault
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home

#: Seconds that a database may be held by others, and times that all of them are tried.
_PATIENCE, _TRIES = 5.0, 12
#: Pages of a database that are copied in one step.
_PAGES = 4096


class CannotBackUp(PlatformError):
    """A platform cannot be backed up."""


def files_of(home: Home) -> dict[str, Path]:
    """A home's databases on SQLite, by their names in a backup."""
    return {
        "service.db": home.service_database,
        "workflows.db": home.workflows_database,
        "mlflow.db": home.mlflow_database,
        "auth.db": home.mlflow_auth_database,
    }


@contextmanager
def one_moment(home: Home) -> Iterator[Mapping[str, sqlite3.Connection]]:
    """Connections that all read the same moment; writers wait only until they are opened.

    Raises CannotBackUp.
    """
    files = files_of(home)
    if missing := [name for name, path in files.items() if not path.exists()]:
        raise CannotBackUp(
            f"This home has no databases yet ({', '.join(missing)})", action="Start it once: `registry-tui up`"
        )
    with ExitStack() as stack:
        readers = {name: stack.enter_context(closing(_opened(path))) for name, path in files.items()}
        for left in reversed(range(_TRIES)):
            try:
                _stand_still(files, readers)
                break
            except sqlite3.OperationalError as error:
                if left == 0:
                    raise CannotBackUp(
                        f"The databases are written to without a pause: {error}", action="Try again later"
                    ) from error
        yield readers


def copy(reader: sqlite3.Connection, target: Path) -> None:
    """Writes a connection's snapshot as a database of its own. Raises CannotBackUp where there is no room for it."""
    try:
        with closing(sqlite3.connect(target)) as there:
            reader.backup(there, pages=_PAGES)
    except sqlite3.Error as error:
        if (fault := database_fault(error, f"The copy {target}")) is None:
            raise
        raise CannotBackUp(fault.detail, action=fault.action) from error


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)


def _stand_still(files: Mapping[str, Path], readers: Mapping[str, sqlite3.Connection]) -> None:
    """Begins to read everywhere while nobody writes anywhere."""
    with ExitStack() as stack:
        for path in files.values():
            writer = stack.enter_context(closing(_opened(path)))
            writer.execute("BEGIN IMMEDIATE")
        for reader in readers.values():
            reader.execute("BEGIN")
            # A transaction begins to see with its first question.
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
