"""Whether a machine user has access to its storage, in words."""

from __future__ import annotations

from datetime import datetime

from registry_tui.wording.text import safe
from registry_tui.wording.words import ago


def access_said(access: str, tried_at: datetime | None, problem: str | None, next_step: str) -> str:
    """The found access and when it was tried; without access, how to get it."""
    if access == "not needed":
        return f"{access}: the environment's credentials count"
    words = access
    if problem is not None:
        words = f"{access} before; it could not be tried {ago(tried_at)}: {safe(problem, 200)}"
    elif tried_at is not None:
        words = f"{access} (tried {ago(tried_at)})"
    return words if access == "granted" else f"{words}: {next_step}"
