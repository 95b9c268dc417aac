"""One transfer at a time for each registration at a stock server, also where its client sends the request again.

A client waits two minutes for a response (`MLFLOW_HTTP_REQUEST_TIMEOUT`), then sends its request again, several times
and to any of the server's processes, while the files of a large model are on their way. Those requests wait, and get
the version of the first one.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from registry_tui.mlflow_plugin.elsewhere import calls

if sys.platform != "win32":
    import fcntl

#: Seconds of a transfer during which clients may have timed out: an identical request within so many seconds after its
#: end counts as theirs (MLflow's longest pause between two attempts, and the attempt before it).
LONG, KEPT = 110.0, 300.0


class Turn:
    """The turn of one request, with the version made by an earlier identical request."""

    def __init__(self, file: IO[str] | None, asked: float) -> None:
        self._file = file
        self._began = time.time()
        #: The number of its version; None: the request is a different one, or has to be run again.
        self.version = None if file is None else _kept(file, asked)

    def made(self, version: str) -> None:
        """Saves the version for an identical request that waits or comes again."""
        if self._file is None:
            return
        now = time.time()
        # The version exists: a full disk must not turn its response into an error.
        with suppress(OSError):
            self._file.seek(0)
            self._file.truncate()
            json.dump({"version": version, "ended": now, "took": now - self._began}, self._file)
            self._file.flush()


@contextmanager
def turn(asked: float, *request: object) -> Iterator[Turn]:
    """Waits until no process of this account runs the same request; `asked` (Unix time) is when this one came.

    Raises MlflowException, OSError.
    """
    if sys.platform == "win32":
        yield Turn(None, asked)
        return
    folder = _folder()
    _clear(folder)
    name = hashlib.sha256(json.dumps(request, default=str).encode()).hexdigest()
    with _locked(folder / f"{name}.json") as file:
        yield Turn(file, asked)


def _kept(file: IO[str], asked: float) -> str | None:
    file.seek(0)
    try:
        kept = json.load(file)
        version, ended, took = str(kept["version"]), float(kept["ended"]), float(kept["took"])
    except (ValueError, TypeError, KeyError):
        # New, or its process ended while it wrote.
        return None
    waited = ended >= asked
    return version if waited or (took >= LONG and 0 <= time.time() - ended <= KEPT) else None


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"registry-tui-turns-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise calls.invalid(f"{folder} must be a folder of the server's account alone: remove it")
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    while True:
        with path.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Somebody may have removed it before it was locked.
            if _is_at(path, file):
                yield file
                return


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False


def _clear(folder: Path) -> None:
    """Removes expired files."""
    for path in folder.glob("*.json"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT:
                with path.open("a+", encoding="utf-8") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
