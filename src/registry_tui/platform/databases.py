"""SQLite's refusals in words, by their result codes (https://sqlite.org/rescode.html), never by their text."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

#: Primary result codes.
_BUSY, _LOCKED = 5, 6
_PERM, _READONLY, _CANTOPEN, _NOLFS = 3, 8, 14, 22
_IOERR, _FULL = 10, 13
_CORRUPT, _NOTADB = 11, 26


@dataclass(frozen=True)
class DatabaseFault:
    """The problem with a database, and its remedy."""

    detail: str
    action: str
    #: Whether trying again cannot help.
    final: bool


def database_fault(error: BaseException, name: str = "The service's database") -> DatabaseFault | None:
    """Why SQLite refused, from its error or one that wraps it; None when something else is wrong."""
    cause = _cause(error)
    if cause is None:
        return None
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == _FULL:
        return DatabaseFault("The disk is full: nothing was changed", "Free some space and try again", final=False)
    if code == _IOERR:
        return DatabaseFault(
            f"{name} cannot be read or written: the disk reports an error",
            "Look at the machine's disk, then start the platform again with `registry-tui up`",
            final=False,
        )
    if code in (_BUSY, _LOCKED):
        return DatabaseFault(f"{name} was busy for too long", "Try again", final=False)
    if code in (_PERM, _READONLY, _CANTOPEN, _NOLFS):
        return DatabaseFault(
            f"{name} cannot be opened for writing",
            "Make the file and its folder yours and writable, then run `registry-tui up` again",
            final=True,
        )
    if code in (_CORRUPT, _NOTADB):
        return DatabaseFault(
            f"{name} is damaged",
            "Stop the platform with `registry-tui down`, put back the file from a backup (with those beside it that "
            "begin with its name), then run `registry-tui up`",
            final=True,
        )
    return None


def _cause(error: BaseException) -> sqlite3.Error | None:
    """The SQLite error at the bottom: SQLAlchemy and MLflow wrap it."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        if isinstance(at, sqlite3.Error):
            return at
        seen.add(id(at))
        original = getattr(at, "orig", None)
        at = original if isinstance(original, BaseException) else (at.__cause__ or at.__context__)
    return None
