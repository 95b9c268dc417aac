"""Parts that tests fork look as parts that anybody starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from registry_tui.platform import supervisor
from registry_tui.platform.children import isolated
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, PART_VARIABLE
from support import forked_platforms
from support.platforms import Platform, running_platform


@pytest.fixture(scope="module")
def forked() -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "launched", forked_platforms.launched)
        with running_platform() as platform:
            yield platform


@pytest.mark.parametrize("part", ["mlflow", "service"])
def test_a_forked_part_shows_its_own_command_and_variables(forked: Platform, part: str) -> None:
    process = psutil.Process(forked.pid(part))
    shown = process.environ()
    # The room that the process had which this one was forked from.
    assert len(Path(f"/proc/{process.pid}/environ").read_bytes()) > forked_platforms.ROOM
    assert (shown[PART_VARIABLE], shown[ENVIRONMENT_VARIABLE]) == (part, str(forked.home.root))
    assert "PADDING" not in shown and not {name for name in shown if name.startswith("PYTEST_")}
    assert [word for word in process.cmdline() if word] == isolated(supervisor.PARTS[part])
    assert process.ppid() == supervisor.pid(forked.home)
    assert process.exe() == os.path.realpath(sys.executable)


@pytest.mark.parametrize("part", ["mlflow", "service"])
def test_a_forked_part_holds_no_file_of_its_parents(forked: Platform, part: str) -> None:
    ours = {os.path.realpath(forked.home.root), str(forked.home.run)}
    for file in psutil.Process(forked.pid(part)).open_files():
        assert file.path.startswith(tuple(ours)), file.path
