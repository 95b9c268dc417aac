"""Words for stages of versions and for approvals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.wording.words import Cell

if TYPE_CHECKING:
    from registry_tui.schemas.promotion import Approval

#: As `schemas.promotion.MAX_COMMENT`.
_LONGEST = 2000
_STATES = {
    "pending": Cell("○ pending", "busy"),
    "approved": Cell("✓ approved", "good"),
    "rejected": Cell("✗ rejected", "bad"),
    "withdrawn": Cell("– withdrawn", "dim"),
}


def approval_state(approval: Approval) -> Cell:
    """The state of an approval, and whether it waits for who reads it."""
    if "approve" in approval.decisions:
        return Cell("◆ for you", "warn")
    return _STATES.get(approval.state, Cell(f"? {approval.state}", "dim"))


def purpose_words(purpose: str) -> str:
    """What an approval lets a version do: `stage:Production` as `enter Production`."""
    kind, _, name = purpose.partition(":")
    if kind == "stage":
        return f"enter {name}"
    return f"{kind} {name}".strip()


def comment_problem(text: str) -> str | None:
    """Why a comment is too long, or None."""
    return f"the comment has {len(text)} characters, {_LONGEST} at most" if len(text) > _LONGEST else None
