"""Refusals of SQLite and PostgreSQL in words, by their codes, never by their text.

SQLite: result codes (https://sqlite.org/rescode.html). PostgreSQL: SQLSTATE (its manual's appendix "Error Codes").
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass

#: Primary result codes.
_BUSY, _LOCKED = 5, 6
_PERM, _READONLY, _CANTOPEN, _NOLFS = 3, 8, 14, 22
_IOERR, _FULL = 10, 13
_CORRUPT, _NOTADB = 11, 26

#: The server ends, starts, is too busy, or gives its work to another one: the connection or the next one fails.
_AWAY = frozenset({"57P01", "57P02", "57P03", "57P05", "53300", "25P03"})
#: It is a copy that only reads now, as a server is after another one took over.
_READ_ONLY = "25006"
#: Two transactions conflicted, or one waited for too long.
_IN_THE_WAY = frozenset({"40001", "55P03", "57014"})
_DEADLOCK = "40P01"
#: A running server refuses this user, password and database.
_REFUSED = "08004"
_WRONG_LOGIN = frozenset({_REFUSED, "28000", "28P01", "3D000"})
_DISK_FULL, _OUT_OF_MEMORY = "53100", "53200"
#: No right to use or make the schema and its tables.
_NO_RIGHT = frozenset({"42501", "3F000"})
_DAMAGED = frozenset({"XX001", "XX002"})
#: It has no free connection: a moment later it may have one.
_TOO_MANY = "53300"
#: A table cannot be changed or dropped: something that others made shows its columns.
_DEPENDED_ON = frozenset({"0A000", "2BP01"})


@dataclass(frozen=True)
class DatabaseFault:
    """The problem with a database, and its remedy."""

    detail: str
    action: str
    #: Whether trying again cannot help.
    final: bool


def database_fault(error: BaseException, name: str = "The service's database") -> DatabaseFault | None:
    """Why the database refused, from its error or one that wraps it; None when something else is wrong."""
    cause = _cause(error)
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(getattr(cause, "sqlite_errorcode", 0) & 0xFF, name)
    if cause is not None:
        return _of_postgresql(cause, name, cut_off=_is_cut_off(error))
    return None


def is_lost_connection(error: BaseException) -> bool:
    """Whether PostgreSQL cannot be reached now, so that the same is worth trying again."""
    cause = _cause(error)
    return cause is not None and not isinstance(cause, sqlite3.Error) and _is_away(getattr(cause, "sqlstate", None))


def without_nul(text: str) -> str:
    """A text as PostgreSQL can keep it: it takes every character but NUL, which becomes the picture of it."""
    return text.replace("\0", "\u2400")


def _is_away(code: str | None) -> bool:
    """Without a code, libpq found no server, or lost it. `platform/postgresql.py` handles refusals."""
    return code is None or code in _AWAY or (code.startswith("08") and code != _REFUSED)


def _of_sqlite(code: int, name: str) -> DatabaseFault | None:
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


def _of_postgresql(error: BaseException, name: str, *, cut_off: bool) -> DatabaseFault | None:
    code: str | None = getattr(error, "sqlstate", None)
    if code is None and not cut_off and type(error).__name__ != "OperationalError":
        return None  # a mistake in how the driver is used
    if code == _READ_ONLY:
        return DatabaseFault(
            f"{name} only reads now: the server is a copy of another one",
            "Name the server that writes in its address, or wait until this one takes over",
            final=False,
        )
    if code == _TOO_MANY:
        return DatabaseFault(
            f"The server of {_lowered(name)} has no free connection",
            "End some of its clients or raise its max_connections (a platform needs 20 at rest), then try again",
            final=False,
        )
    if code in _DEPENDED_ON:
        return DatabaseFault(
            f"A view, or something else that others made, shows columns of {_lowered(name)} that have to change",
            "Drop it, run `registry-tui up` again, and make it anew; PostgreSQL's own words say which it is",
            final=True,
        )
    if _is_away(code):
        return DatabaseFault(f"{name} cannot be reached", "See whether its server runs, then try again", final=False)
    if code in _WRONG_LOGIN:
        return DatabaseFault(
            f"The server of PostgreSQL refuses the user, the password or the database of {_lowered(name)}",
            "Correct its address with `registry-tui up --database URL`",
            final=True,
        )
    if code in _IN_THE_WAY:
        return DatabaseFault(f"{name} was busy for too long", "Try again", final=False)
    if code == _DEADLOCK:  # MLflow repeats a transaction for this word
        return DatabaseFault(f"{name} ended a deadlock of two requests", "Try again", final=False)
    if code == _DISK_FULL:
        return DatabaseFault(
            f"The disk of the server of {_lowered(name)} is full: nothing was changed",
            "Free some space there and try again",
            final=False,
        )
    if code == _OUT_OF_MEMORY:
        return DatabaseFault(f"The server of {_lowered(name)} has no memory left", "Try again", final=False)
    if code in _NO_RIGHT:
        return DatabaseFault(
            f"The user of {_lowered(name)} may not make or use its tables",
            "Give it the right: GRANT CREATE ON DATABASE … TO …",
            final=True,
        )
    if code in _DAMAGED:
        return DatabaseFault(f"{name} is damaged", "Restore it from a backup of the server", final=True)
    return None


def _lowered(name: str) -> str:
    return name[0].lower() + name[1:]


def _cause(error: BaseException) -> BaseException | None:
    """The database's error at the bottom: SQLAlchemy and MLflow wrap it."""
    kinds: tuple[type[BaseException], ...] = (sqlite3.Error,)
    if (driver := sys.modules.get("psycopg")) is not None:
        kinds += (driver.Error,)
    return next((each for each in _causes(error) if isinstance(each, kinds)), None)


def _is_cut_off(error: BaseException) -> bool:
    """Whether SQLAlchemy found the connection closed."""
    return any(getattr(each, "connection_invalidated", False) is True for each in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, then each one that the one before wraps."""
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        yield at
        seen.add(id(at))
        original = getattr(at, "orig", None)
        at = original if isinstance(original, BaseException) else (at.__cause__ or at.__context__)
