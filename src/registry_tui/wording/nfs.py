"""A registry's existing NFS, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.wording.text import safe
from registry_tui.wording.words import ago

if TYPE_CHECKING:
    from registry_tui.schemas.registries import NfsStatus

#: Characters of a command: more than any has, since a cut one would name another path.
_COMMAND = 1 << 16


def nfs_said(status: NfsStatus) -> str:
    """The state of the NFS on the service's machine; where replicas cannot read from it, why, and how to fix it."""
    if status.mounted:
        tried = "not tried yet" if status.tried_at is None else f"tried {ago(status.tried_at)}"
        return f"mounted at {safe(status.folder, 200)} ({tried}); replicas read model files there"
    text = f"{status.state.label}: {safe(status.detail, 400)}" if status.detail else status.state.label
    if status.mount_command:
        text += f". Run there: {safe(status.mount_command, _COMMAND)}"
    return f"{text}. Until then each host fetches the model files that it serves"


def status_with_nfs(label: str, status: NfsStatus | None) -> str:
    """A registry's status for lists, with the problem of its NFS."""
    return label if status is None or status.mounted else f"{label}, {status.state.label}"
