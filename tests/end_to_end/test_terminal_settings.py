"""The real command in terminals of several kinds, with settings of one's own."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import termios
from pathlib import Path

from support.platforms import Platform, clean_environment, wait_for
from support.terminal import Terminal, terminal

PROGRAM = [sys.executable, "-m", "registry_tui"]
#: A program that fails while it is in use.
BROKEN = """
from registry_tui.app.app import RegistryApp
class Broken(RegistryApp):
    def on_mount(self):
        self.set_timer(0.5, lambda: 1 / 0)
app = Broken(start_platform=False)
app.run()
raise SystemExit(app.return_code)
"""


def colors(screen: Terminal) -> set[bytes]:
    """The colours that were asked for (SGR 30 to 48 and 90 to 107)."""
    asked = {code for match in re.findall(rb"\x1b\[([0-9;]*)m", bytes(screen.written)) for code in match.split(b";")}
    return asked & {str(code).encode() for code in (*range(30, 39), *range(40, 49), *range(90, 98), *range(100, 108))}


def test_no_colour_reaches_a_terminal_that_wants_none(platform: Platform) -> None:
    for asked, kind in (({"NO_COLOR": "1"}, "xterm-256color"), ({}, "xterm-mono")):
        with terminal(PROGRAM, {**platform.environment(), **asked}, kind=kind) as screen:
            screen.shows("registry-local", "Available")
            screen.press("?")
            screen.shows("What you can do here")
            screen.press("escape", "ctrl+q")
            assert screen.ended() == 0
            assert not colors(screen), kind
    with terminal(PROGRAM, platform.environment()) as screen:
        screen.shows("registry-local")
        assert colors(screen)


def test_a_plain_screen_over_ssh_is_ascii(platform: Platform) -> None:
    environment = {**platform.environment(), "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}
    with terminal([*PROGRAM, "--plain"], environment, columns=80, rows=24) as screen:
        screen.shows("registry-local", "Available", "all ok", "enter open")
        screen.press("n")
        screen.shows("Create Model Registry")
        assert screen.text.isascii()
        screen.resize(300, 100)
        screen.shows("Create Model Registry")
        screen.press("escape", "ctrl+q")
        assert screen.ended() == 0


def test_what_cannot_show_the_program_is_told_what_works(short_path: Path) -> None:
    environment = clean_environment({"REGISTRY_TUI_HOME": str(short_path)})
    with terminal(PROGRAM, environment, kind="dumb") as screen:
        assert screen.ended() == 1
        screen.shows("TERM=dumb", "registry-tui registries list")
    piped = subprocess.run(PROGRAM, env=environment, input="", capture_output=True, text=True, timeout=300, check=False)
    assert (piped.returncode, piped.stdout) == (1, "")


def test_the_terminals_size_is_asked_of_the_terminal(platform: Platform) -> None:
    environment = {**platform.environment(), "COLUMNS": "80", "LINES": "24"}
    with terminal(PROGRAM, environment, columns=120, rows=36) as screen:
        screen.shows("registry-local", "Last updated", "6 Activity")
        screen.resize(80, 24)
        screen.shows("● all ok", "registry-local")
        wait_for(lambda: "Last updated" not in screen.text and "registry-local" in screen.text, what="fewer columns")
        screen.press("ctrl+q")
        assert screen.ended() == 0


def test_it_draws_on_the_terminal_while_errors_go_to_a_file(platform: Platform, tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    with terminal(["sh", "-c", f"exec {shlex.join(PROGRAM)} 2> {errors}"], platform.environment()) as screen:
        screen.shows("registry-local", "Available")
        screen.press("ctrl+q")
        assert screen.ended() == 0
    assert errors.read_text() == ""


def test_a_wrong_setting_is_told_when_the_program_opens(own_platform: Platform) -> None:
    own_platform.home.config_file.write_text('[terminal]\ntheme = "pink"\n[keys]\nhelp = "f1"\n')
    with terminal(PROGRAM, own_platform.environment()) as screen:
        screen.shows("there is no theme 'pink'")
        screen.shows("f1 help", "registry-local")
        screen.press("ctrl+q")
        assert screen.ended() == 0


def test_an_error_of_the_program_itself_restores_the_terminal(short_path: Path) -> None:
    environment = clean_environment({"REGISTRY_TUI_HOME": str(short_path)})
    with terminal([sys.executable, "-c", BROKEN], environment) as screen:
        assert screen.ended() == 1
        screen.shows("ZeroDivisionError")
        written = bytes(screen.written)
        assert written.rindex(b"\x1b[?1049l") > written.rindex(b"\x1b[?1049h")
        assert termios.tcgetattr(screen.process.child_fd)[3] & termios.ECHO
