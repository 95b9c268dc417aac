"""New files in folders that other people may write, too: never over an existing file, and never through a link.

One rule for all code that saves data from elsewhere. Only the standard library is imported.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path


def partial_of(target: Path) -> Path:
    """A name next to a file for use while it is written; it is random, so nobody can put a link there beforehand."""
    return target.with_name(f".{os.urandom(16).hex()}.part")


def require_free(target: Path) -> None:
    """Raises FileExistsError when something has this name, also a link that leads nowhere."""
    if os.path.lexists(target):
        raise _exists(target)


def publish(partial: Path, target: Path) -> None:
    """Gives a file that was written its name. Raises FileExistsError when something has that name, OSError."""
    try:
        os.link(partial, target, follow_symlinks=False)
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError:
        # Not every file system has hard links; there the name is taken first, which is as exclusive.
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError as error:
            raise _exists(target) from error
        try:
            partial.replace(target)
        except OSError:
            # Nothing but the name was taken; it would keep the next try from it.
            target.unlink(missing_ok=True)
            raise
    else:
        partial.unlink()


def _exists(target: Path) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "The file already exists; choose another name", str(target))
