"""Why a part does not start, in words: written by the part itself, read by `up`, `status` and the screens."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from registry_tui.platform.database_urls import databases_of, is_postgresql, shown
from registry_tui.platform.databases import DatabaseFault, database_fault
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private

logger = logging.getLogger(__name__)

#: sysexits(3): the configuration is unusable. Another start would end in the same way.
UNUSABLE = 78
#: So many starts within so many seconds, without one that worked, count as failed.
_STARTS, _WITHIN = 4, 300.0
_KEPT = 20


@dataclass(frozen=True)
class Ending:
    """Why a part cannot work, and the remedy."""

    detail: str
    action: str


def reason_file(home: Home, part: str) -> Path:
    """The file with a part's reason."""
    return home.run / f"{part}.reason.json"


def starts_file(home: Home, part: str) -> Path:
    """The file with the times of a part's starts, kept until it works."""
    return home.run / f"{part}.starts.json"


def leave(home: Home, part: str, ending: Ending) -> None:
    """Saves the reason why a part cannot work, until it does."""
    with suppress(OSError):  # the disk may be the cause; the log has it as well
        reason = {"detail": ending.detail, "action": ending.action, "pid": os.getpid()}
        write_private(reason_file(home, part), json.dumps(reason))


def is_ending(home: Home, part: str, pid: int) -> bool:
    """Whether this process has left a reason and is about to end; it may still be seen running for a moment."""
    try:
        return bool(json.loads(reason_file(home, part).read_text(encoding="utf-8"))["pid"] == pid)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def works(home: Home, part: str) -> None:
    """Deletes the reason and the starts of a part that works now."""
    for file in (reason_file(home, part), starts_file(home, part)):
        with suppress(OSError):
            file.unlink(missing_ok=True)


def ending_of(home: Home, part: str) -> Ending | None:
    """Why a part does not work: its own reason, or that it ends again and again. None when unknown."""
    try:
        found = json.loads(reason_file(home, part).read_text(encoding="utf-8"))
        return Ending(str(found["detail"]), str(found["action"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    starts = [moment for moment in _starts(home, part) if moment > time.time() - _WITHIN]
    if len(starts) < _STARTS:
        return None
    return Ending(
        f"It has ended {len(starts) - 1} times within {round(time.time() - starts[0])} s",
        f"See `registry-tui logs {part}`, mend the cause, then run `registry-tui up` again",
    )


def note_start(home: Home, part: str) -> None:
    """Counts a start of a part."""
    with suppress(OSError):
        write_private(starts_file(home, part), json.dumps([*_starts(home, part), time.time()][-_KEPT:]))


@contextmanager
def explained(home: Home, part: str, *databases: str) -> Iterator[None]:
    """Saves the reason when a part's start fails, and ends the process with `UNUSABLE`.

    `databases`, by their names in `Databases`, are checked when one of them may be the cause. Unforeseen errors are
    raised unchanged.
    """
    note_start(home, part)
    try:
        yield
    except PlatformError as error:
        _end(home, part, Ending(error.message, error.action or f"See `registry-tui logs {part}`"), error)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        ending = Ending(
            f"It cannot use{where or ' a file of the home'}: {error.strerror or error}",
            f"Mend that, then run `registry-tui up` again; see `registry-tui logs {part}`",
        )
        _end(home, part, ending, error)
    except Exception as error:
        fault = database_ending(error, home, *databases)
        if fault is None:
            raise
        _end(home, part, Ending(fault.detail, f"{fault.action}; see `registry-tui logs {part}`"), error)


def database_ending(error: BaseException, home: Home, *databases: str) -> DatabaseFault | None:
    """The problem with one of a part's databases; None when the error is about something else. Raises Damaged."""
    known = databases_of(home)
    return database_fault(error, f"The database {_guilty([getattr(known, name) for name in databases])}")


def _guilty(urls: Sequence[str]) -> str:
    """The first database that SQLite does not open, as people know it."""
    for url in urls:
        if is_postgresql(url):
            return shown(url)
        try:
            with closing(sqlite3.connect(f"{Path(shown(url)).as_uri()}?mode=rw", uri=True, timeout=1)) as opened:
                sound = opened.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        except sqlite3.Error:
            return shown(url)
        if not sound:
            return shown(url)
    return shown(urls[0]) if urls else "of the part"


def _end(home: Home, part: str, ending: Ending, error: BaseException) -> None:
    logger.error("The part cannot start: %s (%s)", ending.detail, error)
    leave(home, part, ending)
    sys.exit(UNUSABLE)


def _starts(home: Home, part: str) -> list[float]:
    try:
        found = json.loads(starts_file(home, part).read_text(encoding="utf-8"))
        return [float(moment) for moment in found]
    except (OSError, ValueError, TypeError):
        return []
