"""A version's files that tests unpack into a folder of an NFS, and the worker that does it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from registry_tui.service.adapters import nfs_worker
from registry_tui.service.adapters.nfs_folder import MODULE, NfsFolder

CONTENT = {"MLmodel": b"flavors: {}\n", "code/deep/model.py": b"", "data.bin": bytes(range(256)) * 5000}
PATH = ["registry-tui-r", "model", "version-digest"]


def listed(content: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in content.items()
    ]


def unpack(
    folder: NfsFolder,
    content: Mapping[str, bytes] = CONTENT,
    path: Sequence[str] = PATH,
    pieces: Iterable[bytes] | None = None,
    **more: Any,
) -> bool:
    files = listed(content)
    sent = list(content.values()) if pieces is None else pieces
    return folder.unpack(path, files, json.dumps({"files": files}), sent, **{"needed": 1, **more})


def holds(folder: NfsFolder, path: Sequence[str] = PATH) -> bool:
    manifest = json.dumps({"files": listed(CONTENT)}).encode()
    return folder.holds(path, listed(CONTENT), hashlib.sha256(manifest).hexdigest())


def patched(code: str) -> list[str]:
    """The worker, in which some code ran first."""
    return [
        sys.executable,
        "-c",
        f"import os, errno\nfrom {MODULE} import *\nimport {MODULE} as worker\n{code}\nmain()",
    ]


def made(folder: Path, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True)
    folder.chmod(mode)
    return folder.resolve()


def everything(folder: Path) -> dict[str, tuple[int, int]]:
    found = [folder, *folder.rglob("*")]
    return {str(each): (each.lstat().st_mode, each.lstat().st_size) for each in found}


def published(share: Path) -> list[Path]:
    """The folders of versions that others see."""
    return [
        version
        for top in share.iterdir()
        if top.is_dir()
        for model in top.iterdir()
        if model.name != nfs_worker.UNFINISHED
        for version in model.iterdir()
    ]


def newest_worker() -> psutil.Process:
    """The worker that this process has started last."""
    workers = [each for each in psutil.Process().children() if MODULE in each.cmdline()]
    return max(workers, key=lambda each: each.create_time())
