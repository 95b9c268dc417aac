"""A home that is half restored or half upgraded: nothing starts there, and nobody is admitted.

Only the standard library is imported, so that every part may use it.
"""

from __future__ import annotations

from registry_tui.platform.errors import HomeUnusable
from registry_tui.platform.paths import Home


def problem(home: Home) -> HomeUnusable | None:
    """Why nothing may start in a home: a restoration or an upgrade of it did not end."""
    if home.restoring_file.exists():
        return HomeUnusable(
            f"A restoration into {home.root} was cut off, or still goes on",
            action="Run `registry-tui restore` again: it begins from the start",
        )
    if home.upgrading_file.exists():
        return HomeUnusable(
            f"An upgrade of {home.root} was cut off, or still goes on",
            action="Run `registry-tui upgrade` again: it goes on, or first restores the state before",
        )
    return None


def require_finished(home: Home) -> None:
    """Raises HomeUnusable for a home that is half restored, or half upgraded."""
    if (found := problem(home)) is not None:
        raise found


class Doors:
    """Whether a part of a running platform admits people; not while an upgrade may still be rolled back.

    Their changes would be lost.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._open = False

    def problem(self) -> HomeUnusable | None:
        """Why nobody is admitted yet. Once open, doors stay open."""
        if self._open:
            return None
        found = problem(self._home)
        self._open = found is None
        return found
