"""Leftovers of a killed process in a directory that is a store."""

from __future__ import annotations

import os
import time
from pathlib import Path

from registry_tui.service.stores.directory import Directory


def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / ".registry-tui-unfinished"
    folder.mkdir()
    left, written = folder / "left", folder / "written"
    for file in (left, written):
        file.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(left, (two_days_ago, two_days_ago))
    Directory(tmp_path).put("a/b", b"1")
    assert not left.exists()
    assert written.read_bytes() == b"half"
    assert (tmp_path / "a" / "b").read_bytes() == b"1"
