"""The modules that the terminal program has loaded when it paints first, and its `:` commands."""

from __future__ import annotations

import subprocess
import sys

import pytest

from registry_tui.terminal.actions import ALL, EVERYWHERE, SECTIONS
from registry_tui.terminal.commands import COMMANDS, SCREENS, CommandError, parse

FIRST_PAINT = """
import sys
from registry_tui.app.app import RegistryApp
class Probe(RegistryApp):
    def _begin(self):
        print(*sys.modules, file=sys.__stdout__)
        self.exit()
Probe(start_platform=False).run(headless=True)
"""


def test_only_textual_is_loaded_before_the_first_paint() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_PAINT], capture_output=True, text=True, timeout=300, check=True)
    loaded = set(done.stdout.split())
    assert "textual.app" in loaded
    # Trees are on a later page.
    assert not loaded & {"registry_tui.widgets.tree_cache"}
    assert not loaded & {"httpx", "pydantic", "mlflow", "boto3", "sqlalchemy", "typer", "registry_tui.service"}


def test_no_key_means_two_things_on_a_screen() -> None:
    for screen, actions in ALL.items():
        shared = () if screen == "everywhere" else EVERYWHERE
        keys = [key for action in (*actions, *shared) for key in action.key.split(",")]
        keys += [number for number, _, _ in SECTIONS]
        assert len(keys) == len(set(keys)), f"{screen}: {sorted(keys)}"


def test_commands_are_parsed_and_corrected() -> None:
    command, arguments = parse(":runs wine-quality elasticnet sweep")
    assert command.kind == "experiment"
    assert arguments == {"project": "wine-quality", "experiment": "elasticnet sweep"}
    assert parse("m")[0].kind == "models"
    with pytest.raises(CommandError, match="did you mean models"):
        parse(":modles")
    with pytest.raises(CommandError, match="project experiment"):
        parse(":runs wine")
    names = [name for each in COMMANDS for name in (each.name, *each.aliases)]
    assert len(names) == len(set(names))
    assert {each.kind for each in COMMANDS if each.kind} <= set(SCREENS)


def test_the_settings_are_read_before_textual_is_imported() -> None:
    """Textual reads its own when it is imported: frames a second, and how keys are reported."""
    code = "import sys, registry_tui.app.opening; print('textual' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == ["False"]
