"""Words for stages of versions and for approvals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from registry_tui.wording.words import NOTHING, Cell, Tone, ago

if TYPE_CHECKING:
    from registry_tui.schemas.models import ModelVersion
    from registry_tui.schemas.promotion import Approval, ProtectedAlias, StageEntry

#: As `schemas.promotion.MAX_COMMENT`.
_LONGEST = 2000
_TONES: dict[str, Tone] = {
    "Rejected": "bad",
    "Retired": "dim",
    "OnHold": "warn",
    "PendingApproval": "busy",
    "Approved": "good",
}
_SHORT = {"PendingApproval": "asked", "OnHold": "on hold", "Rejected": "rejected", "Retired": "retired"}
_STATES = {
    "pending": Cell("○ pending", "busy"),
    "approved": Cell("✓ approved", "good"),
    "rejected": Cell("✗ rejected", "bad"),
    "withdrawn": Cell("– withdrawn", "dim"),
}


def approval_state(approval: Approval) -> Cell:
    """The state of an approval, and whether it waits for the reader."""
    if "approve" in approval.decisions:
        return Cell("◆ for you", "warn")
    return _STATES.get(approval.state, Cell(f"? {approval.state}", "dim"))


def purpose_words(purpose: str) -> str:
    """The purpose of an approval: `stage:Production` as `enter Production`."""
    kind, _, name = purpose.partition(":")
    if kind == "stage":
        return f"enter {name}"
    return f"{kind} {name}".strip()


def comment_problem(text: str) -> str | None:
    """Why a comment is too long, or None."""
    return f"the comment has {len(text)} characters, {_LONGEST} at most" if len(text) > _LONGEST else None


def stage_cell(version: ModelVersion) -> Cell:
    """A version's stage; and its status unless that is the usual one."""
    status = version.stage_status.value if version.stage_status is not None else ""
    suffix = "" if status in ("", "InProgress", "Approved") else f" {_SHORT.get(status, status)}"
    if version.stage.value == "None":
        return Cell(suffix.strip(), "busy") if suffix else NOTHING
    return Cell(f"{version.stage.value}{suffix}", _TONES.get(status, ""))


def stage_change(entry: StageEntry) -> str:
    """One change of a version's stage, in a line."""
    comment = f": {entry.comment}" if entry.comment else ""
    moved = f"{entry.from_stage.value} → {entry.to_stage.value}"
    return f"{ago(entry.at)}  {moved}, {entry.status.value}, by {entry.user}{comment}"


_GROUP = "group "


def protected_lines(aliases: Iterable[ProtectedAlias]) -> list[str]:
    """Each protected alias with the users who may move it, as it is typed: `champion: ann, group releasers`."""
    return [
        f"{each.alias}: {', '.join([*each.users, *(f'{_GROUP}{name}' for name in each.groups)])}" for each in aliases
    ]


def protected_of(text: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Aliases with their users and groups, parsed from typed lines. Raises ValueError with a message for people."""
    found: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
    for typed in filter(None, (each.strip() for each in text.splitlines())):
        alias, colon, named = (part.strip() for part in typed.partition(":"))
        if not colon or not alias:
            raise ValueError(f"{typed!r} protects no alias: write champion: ann, group releasers")
        if any(alias == each[0] for each in found):
            raise ValueError(f"the alias {alias} is there twice")
        names = [each.strip() for each in named.split(",") if each.strip()]
        groups = tuple(each.removeprefix(_GROUP).strip() for each in names if each.startswith(_GROUP))
        found.append((alias, tuple(each for each in names if not each.startswith(_GROUP)), groups))
    return found
