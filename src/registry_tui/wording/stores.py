"""Stores that environments bring along, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from registry_tui.schemas.store_access import access_held
from registry_tui.wording.text import safe
from registry_tui.wording.words import ago

if TYPE_CHECKING:
    from registry_tui.schemas.stores import EnvironmentStore, StoreProblem, StoreReport

#: The name of each kind.
KINDS = {"s3": "S3", "azure": "Azure Blob", "google": "Google Cloud Storage", "directory": "directory"}


def checked_said(store: EnvironmentStore) -> str:
    """The result of the last trial of a store, and its age."""
    when = "not tried since the service started" if store.checked_at is None else f"tried {ago(store.checked_at)}"
    words = "can be used" if store.usable else "cannot be used"
    found = "; ".join(safe(each.text, 300) for each in store.notes)
    return f"{words} ({when}): {found}" if found else f"{words} ({when})"


def store_lines(store: EnvironmentStore) -> list[str]:
    """A store in full: its kind and address, how the service signs in, and the findings there."""
    where = f" at {safe(store.endpoint, 200)}" if store.endpoint else ""
    return [
        f"{KINDS.get(store.kind, store.kind)}: {safe(store.uri, 300)}{where}",
        f"Access: {safe(access_held(store), 400)}",
        f"Run artifacts of new projects: {'there too' if store.artifacts else 'in the embedded store'}",
        "",
        checked_said(store).partition(": ")[0],
        *problem_lines(store.notes),
    ]


def report_lines(report: StoreReport) -> list[str]:
    """The findings of a trial of a store that is not in use yet."""
    head = f"{safe(report.uri, 300) or 'The store'} {'can be used' if report.usable else 'cannot be used'}"
    return [head, *problem_lines(report.problems)]


def problem_lines(problems: Sequence[StoreProblem]) -> list[str]:
    """Each finding, with how to fix it; non-fatal ones are marked as notes."""
    lines = []
    for each in problems:
        lines.append(f"- {'' if each.fatal else 'note: '}{safe(each.text, 400)}")
        if each.action:
            lines.append(f"  {safe(each.action, 400)}")
    return lines
