"""Parts that tests fork look as parts that anybody starts."""

from __future__ import annotations

import os
import sys

import psutil
import pytest

from registry_tui.platform import supervisor
from registry_tui.platform.children import isolated
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, PART_VARIABLE
from support.platforms import Platform


@pytest.mark.parametrize("part", ["mlflow", "service"])
def test_a_forked_part_shows_its_own_command_and_variables(platform: Platform, part: str) -> None:
    process = psutil.Process(platform.pid(part))
    shown = process.environ()
    assert (shown[PART_VARIABLE], shown[ENVIRONMENT_VARIABLE]) == (part, str(platform.home.root))
    assert "PADDING" not in shown and not {name for name in shown if name.startswith("PYTEST_")}
    assert [word for word in process.cmdline() if word] == isolated(supervisor.PARTS[part])
    assert process.ppid() == supervisor.pid(platform.home)
    assert process.exe() == os.path.realpath(sys.executable)


@pytest.mark.parametrize("part", ["mlflow", "service"])
def test_a_forked_part_holds_no_file_of_its_parents(platform: Platform, part: str) -> None:
    ours = {os.path.realpath(platform.home.root), str(platform.home.run)}
    for file in psutil.Process(platform.pid(part)).open_files():
        assert file.path.startswith(tuple(ours)), file.path
