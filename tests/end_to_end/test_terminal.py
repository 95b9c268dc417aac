"""The real command in a real terminal, driven by keys alone."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_tui.schemas.places import Project
from support.platforms import Platform, clean_environment, unique, wait_for
from support.terminal import Terminal, terminal

PROGRAM = [sys.executable, "-m", "registry_tui"]
ALTERNATE_ON, ALTERNATE_OFF = b"\x1b[?1049h", b"\x1b[?1049l"

LOG_MODEL = """
import mlflow, numpy
from sklearn.linear_model import ElasticNet
mlflow.set_experiment("keys alone")
with mlflow.start_run(run_name="quiet-otter"):
    mlflow.log_metric("rmse", 0.5)
    model = ElasticNet().fit(numpy.arange(8.0).reshape(4, 2), [1.0, 2.0, 3.0, 4.0])
    mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
"""


SERVABLE = LOG_MODEL.replace(
    'pip_requirements=["scikit-learn"])',
    'pip_requirements=["scikit-learn"], input_example=numpy.arange(4.0).reshape(2, 2), '
    'serialization_format="cloudpickle")',
)


def restored(screen: Terminal) -> bool:
    """Whether the terminal is as it was: main screen, cursor shown, mouse off, echo on."""
    written = bytes(screen.written)
    assert written.rindex(ALTERNATE_OFF) > written.rindex(ALTERNATE_ON)
    assert written.rindex(b"\x1b[?25h") > written.rindex(b"\x1b[?25l")
    assert written.rindex(b"\x1b[?1000l") > written.rindex(b"\x1b[?1000h")
    now = termios.tcgetattr(screen.process.child_fd)
    return bool(now[3] & termios.ECHO and now[3] & termios.ICANON)


def test_from_a_project_to_a_registered_version_by_keys(
    platform: Platform, project: Project, sdk: Callable[..., str]
) -> None:
    sdk(LOG_MODEL)
    name = unique("Keys")
    with terminal(PROGRAM, platform.environment()) as screen:
        screen.shows("Model Registries", "registry-local", "Available")
        # All in one write, as a slow line delivers it: no letter may act as a key before the command line is there.
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press(f"project {project.name}\r")
        screen.shows("Experiments", "keys alone")
        screen.press("enter")
        screen.shows("quiet-otter", "rmse", "finished")
        screen.resize(80, 24)
        screen.shows("quiet-otter")
        screen.resize(120, 36)
        screen.press("enter")
        screen.shows("Overview", "Status", "finished")
        screen.press("tab")
        screen.shows("rmse 0.5")
        screen.press("tab")
        screen.shows("Artifacts", "Flavours", "sklearn")
        screen.press("R")
        screen.shows("Register Model", "Version notes")
        screen.press(*name)
        screen.shows("a new model, version 1")
        screen.press("enter")
        screen.shows("Registered Models", name, "Ready")
        screen.press("enter")
        screen.shows("Version 1", "quiet-otter", "all sums")
        screen.press("ctrl+q")
        assert screen.ended() == 0
        assert restored(screen)
    registry = project.registry_id
    assert registry is not None
    versions = platform.ask(lambda client: client.versions(registry, name)).items
    assert [(version.version, version.origin.project_id) for version in versions] == [(1, project.id)]


def test_keys_in_one_burst_go_to_the_fields_that_tab_leads_to(platform: Platform, project: Project) -> None:
    name = unique("burst")
    with terminal(PROGRAM, platform.environment()) as screen:
        screen.shows("Model Registries", "registry-local", "Available")
        screen.press(f":project {project.name}\r")
        screen.shows("Experiments", "Default")
        screen.press("n")
        screen.shows("Create experiment", "Note")
        # As tmux's send-keys does: tab, a text, back tab, a text, tab, more.
        screen.press(f"\tnoted\x1b[Z{name}\t twice")
        screen.shows(name, "noted twice")
        screen.press("enter")
        screen.shows(f"Created {name}")
    found = platform.ask(lambda client: client.experiments(project.id, name=name)).items
    assert [(each.name, each.tags["mlflow.note.content"]) for each in found] == [(name, "noted twice")]


def copied(screen: Terminal) -> str:
    """The last copied text, by OSC 52."""
    found = re.findall(rb"\x1b\]52;c;([A-Za-z0-9+/=]+)", bytes(screen.written))
    return base64.b64decode(found[-1]).decode() if found else ""


def test_from_a_run_to_an_endpoint_called_by_the_copied_curl(
    platform: Platform, project: Project, sdk: Callable[..., str]
) -> None:
    """Run, register, deploy, test, API key, curl: by keys alone."""
    sdk(SERVABLE)
    name = unique("Served")
    with terminal(PROGRAM, platform.environment(), columns=120, rows=36) as screen:
        screen.shows("command", "registry-local")
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press(f"project {project.name}\r")
        screen.shows("keys alone")
        screen.press("enter")
        screen.shows("quiet-otter", "finished")
        screen.press("enter")
        screen.shows("Overview", "Status")
        screen.press("tab", "tab")
        screen.shows("Artifacts", "Flavours", "sklearn")
        screen.press("R")
        screen.shows("Register Model", "Version notes")
        screen.press(*name)
        screen.shows("a new model, version 1")
        screen.press("enter")
        screen.shows("Registered Models", name, "Ready")
        screen.press("D")
        screen.shows("select project", project.name)
        screen.press("enter")
        screen.shows("Deploy model", "suggested memory", name.lower())
        screen.press("enter")
        screen.shows("deployed", "1 of 1 replica", "Authorization: Bearer")
        screen.press("T")
        screen.shows("ctrl+t sends", "inputs")
        screen.press("\x14")  # ctrl+t
        screen.shows("200", "predictions")
        screen.press("c")
        curl = wait_for(lambda: copied(screen) if copied(screen).startswith("curl") else "", what="the curl line")
        screen.press("K")
        screen.shows("API keys")
        screen.press("n")
        screen.shows("New API key")
        screen.press(*"mine", "enter")
        screen.shows("shown only now", "rtk_")
        screen.press("c")
        key = wait_for(lambda: copied(screen) if copied(screen).startswith("rtk_") else "", what="the key")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    shell = {**clean_environment(), "API_KEY": key}
    done = subprocess.run(["sh", "-c", curl], env=shell, capture_output=True, text=True, timeout=300, check=True)
    assert "predictions" in json.loads(done.stdout)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_restores_the_terminal(platform: Platform, number: signal.Signals) -> None:
    with terminal(PROGRAM, platform.environment()) as screen:
        screen.shows("registry-local")
        screen.process.kill(number)
        screen.ended()
        assert restored(screen)


def test_it_ends_when_its_terminal_goes_away_while_the_platform_starts(own_platform: Platform) -> None:
    own_platform.down()
    with terminal(PROGRAM, own_platform.environment()) as screen:
        screen.shows("Starting the platform")
        screen.process.kill(signal.SIGHUP)
        os.close(screen.process.child_fd)
        wait_for(lambda: not screen.process.isalive(), what="its end")
        screen.process.closed = True
    own_platform.up()


def test_a_platform_that_cannot_start_is_told_and_the_program_stays(short_path: Path) -> None:
    (short_path / "file").write_text("in the way")
    environment = clean_environment({"REGISTRY_TUI_HOME": str(short_path / "file" / "home")})
    with terminal(PROGRAM, environment) as screen:
        screen.shows("Starting the platform", "Cannot use", "--data-dir")
        screen.press("escape")
        screen.shows("does not answer")
        screen.press("ctrl+q")
        assert screen.ended() == 0
        assert restored(screen)


def test_it_paints_before_the_service_answers_and_stays_while_that_is_away(own_platform: Platform) -> None:
    own_platform.down()
    with terminal(PROGRAM, own_platform.environment()) as screen:
        screen.shows("Model Registries")
        screen.shows("Starting the platform", "object-store")
        screen.shows("registry-local", "Available")
        wait_for(lambda: "Starting the platform" not in screen.text, what="the start to be over")
        pid = own_platform.kill("service")
        wait_for(lambda: own_platform.pid("service") not in (0, pid), what="another service")
        screen.press("6")
        screen.shows("Activity", "provision")
        screen.press("ctrl+q")
        assert screen.ended() == 0
