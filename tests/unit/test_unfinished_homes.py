"""A home that is half restored or half upgraded says so, and lets nobody in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry_tui.cli.main import app
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home


def restoring(home: Home) -> Path:
    return home.restoring_file


def upgrading(home: Home) -> Path:
    return home.upgrading_file


@pytest.mark.parametrize(("file", "remedy"), [(restoring, "registry-tui restore"), (upgrading, "registry-tui upgrade")])
def test_status_names_what_did_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Callable[[Home], Path], remedy: str
) -> None:
    home = Home(tmp_path)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path))
    assert remedy not in CliRunner().invoke(app, ["status"]).output
    file(home).write_text("{}")
    assert remedy in CliRunner().invoke(app, ["status"]).output
