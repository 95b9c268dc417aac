"""Settings from the file and the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry_tui.platform.paths import Home
from registry_tui.service.settings import load_settings


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert load_settings(home, {}).entitlements == ("ML_MODEL_REGISTRY",)
    home.config_file.write_text("[service]\nentitlements = []\nworkflow_threads = 3\n[other]\nx = 1\n")
    assert load_settings(home, {}).entitlements == ()
    found = load_settings(home, {"REGISTRY_TUI_ENTITLEMENTS": "A,B", "REGISTRY_TUI_HOME": "/x"})
    assert (found.entitlements, found.workflow_threads) == (("A", "B"), 3)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[service", "config.toml"),
        ("[service]\nworkflow_threds = 3", "workflow_threds"),
        ("[service]\npart_patience = 'x'", "part_patience"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, named: str) -> None:
    home = Home(tmp_path)
    home.config_file.write_text(text)
    with pytest.raises(ValueError, match=named):
        load_settings(home, {})
