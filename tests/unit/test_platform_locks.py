"""A lock is held by one process at a time, and released when its block or its process ends."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from registry_tui.platform import locks
from registry_tui.platform.errors import Busy
from registry_tui.platform.lifecycle import _only_one
from registry_tui.platform.locks import Locked, only_one
from registry_tui.platform.paths import Home

HOLD = """
import sys
from pathlib import Path
from registry_tui.platform.locks import only_one
with only_one(Path(sys.argv[1]), 10, "busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_another_process_waits_and_then_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.run.mkdir(parents=True)
    with holder(home.run / "lifecycle.lock") as process:
        with pytest.raises(Locked, match="somebody else"), only_one(home.run / "lifecycle.lock", 0.1, "somebody else"):
            raise AssertionError("the lock was held twice")
        with pytest.raises(Busy, match="starting or stopping"), _only_one(home, 0.1):
            raise AssertionError("the lock was held twice")
        process.communicate()
    with _only_one(home, 0.1):
        pass


def test_a_lock_is_free_once_its_process_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path) as process:
        threading.Timer(0.2, process.kill).start()
        with only_one(path, 300, "busy"):
            assert process.wait(300) != 0


def test_what_waits_for_the_backup_of_a_stopped_platform_is_told_so_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    home.run.mkdir(parents=True)
    monkeypatch.setattr(locks, "_SOON", 0.0)
    with holder(home.run / "lifecycle.lock") as lifecycle, holder(home.backup_lock) as backup:
        with pytest.raises(Busy, match="backup of this platform"), _only_one(home, 300):
            raise AssertionError("the lock was held twice")
        backup.communicate()
        with pytest.raises(Busy, match="starting or stopping"), _only_one(home, 0.1):
            raise AssertionError("the lock was held twice")
        lifecycle.communicate()
