"""Names in forms."""

from __future__ import annotations

import re

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def name_problem(name: str, longest: int = 40) -> str | None:
    """Why a name of an environment, workspace or project is not possible, or None."""
    if not name:
        return "type a name"
    if not 2 <= len(name) <= longest:
        return f"a name has 2 to {longest} characters"
    if not _NAME.fullmatch(name):
        return "a name has lowercase letters, digits, and hyphens inside"
    return None
