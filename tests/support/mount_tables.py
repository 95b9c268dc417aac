"""Texts of /proc/self/mountinfo with an NFS, for machines whose kernel cannot mount one."""

from __future__ import annotations

import os
import re
from pathlib import Path


def mount_table(*nfs: str) -> str:
    """A root, and these mounts of NFS on it."""
    return "\n".join(["1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw", *nfs, ""])


def nfs_line(
    source: str, point: Path | str, version: str = "4.1", *, number: int = 90, options: str = "rw,relatime"
) -> str:
    """The line that a kernel writes for an NFS."""
    kind = "nfs" if version == "3" else "nfs4"
    shown, at = _escaped(source), _escaped(str(point))
    return (
        f"{number} 1 0:{number} / {at} {options} shared:{number} - {kind} {shown} rw,vers={version},hard,addr=10.0.0.4"
    )


def replace_table(file: Path, text: str) -> None:
    """Writes a table at once, as the kernel shows one."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(file)


def _escaped(text: str) -> str:
    return re.sub(r"[ \t\n\\]", lambda found: f"\\{ord(found[0]):03o}", text)
