"""The real program in its surroundings: iTerm2, tmux, GNU screen, a shell with job control, other windows."""

from __future__ import annotations

import base64
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_tui.client import RegistryClient
from registry_tui.schemas.places import WorkspaceCreate
from registry_tui.schemas.tracking import ExperimentCreate
from support.platforms import Platform, unique, wait_for
from support.terminal import terminal

PROGRAM = [sys.executable, "-m", "registry_tui"]
#: Sequences of terminals that report focus.
FOCUS_OUT, FOCUS_IN = "\x1b[O", "\x1b[I"
CTRL_Z = "\x1a"
#: Asks the terminal to report all keys (kitty's protocol).
ALL_KEYS = re.compile(rb"\x1b\[>\d+u")

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Tmux:
    """A tmux server of its own."""

    def __init__(self, socket: Path, environment: dict[str, str]) -> None:
        self.socket, self.environment = socket, environment

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self.socket), "-f", "/dev/null", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *command: str, **environment: str) -> None:
        """Starts the server with one window that runs a command."""
        line = shlex.join(["env", *(f"{name}={value}" for name, value in environment.items()), *command])
        self("new-session", "-d", "-x", "140", "-y", "34", line)

    def shows(self, *texts: str) -> str:
        """Waits until the window shows all these texts."""

        def seen() -> str | None:
            shown = self("capture-pane", "-p")
            return shown if all(text in shown for text in texts) else None

        return wait_for(seen, what=f"{texts} in tmux's window")


@pytest.fixture
def tmux(own_platform: Platform, short_path: Path) -> Iterator[Tmux]:
    server = Tmux(
        short_path / "tmux", {**own_platform.environment(), "TERM": "xterm-256color", "REGISTRY_TUI_REMEMBER": "0"}
    )
    yield server
    server("kill-server", check=False)


def crn_of(own_platform: Platform) -> str:
    return own_platform.ask(lambda client: client.registry("registry-local")).crn


def test_iterm_is_not_asked_to_report_all_keys(own_platform: Platform) -> None:
    for name, asked in (("iTerm.app", False), ("WezTerm", True)):
        with terminal(PROGRAM, {**own_platform.environment(), "TERM_PROGRAM": name}, columns=140) as screen:
            screen.shows("registry-local", "Available", "@local")
            assert (ALL_KEYS.search(bytes(screen.written)) is not None) is asked, name
            screen.press("ctrl+q")
            assert screen.ended() == 0


# -- copying ----------------------------------------------------------------------------------------------


def test_a_copy_inside_screen_reaches_the_terminal_around_it(own_platform: Platform) -> None:
    crn = crn_of(own_platform)
    environment = {**own_platform.environment(), "STY": "1.pts-0.host"}
    with terminal(PROGRAM, environment, columns=140, kind="screen-256color") as screen:
        screen.shows("registry-local", "Available", "@local")
        screen.press("c")
        screen.shows("copied, where GNU screen passes it on: crn:")
        passed = b"".join(re.findall(rb"\x1bP(.*?)\x1b\\", bytes(screen.written), re.DOTALL))
        assert passed == b"\x1b]52;c;" + base64.b64encode(crn.encode()) + b"\a"
        screen.press("ctrl+q")
        assert screen.ended() == 0


@needs_tmux
def test_a_copy_inside_tmux_is_in_its_buffer_and_in_the_terminal_around_it(own_platform: Platform, tmux: Tmux) -> None:
    crn = crn_of(own_platform)
    tmux.start(*PROGRAM)
    tmux.shows("registry-local", "Available", "@local")
    attach = ["tmux", "-S", str(tmux.socket), "attach"]
    with terminal(attach, own_platform.environment(), columns=140, rows=35) as screen:
        screen.shows("registry-local", "Available", "@local")
        screen.press("c")
        screen.shows("copied to tmux's buffer")
        assert tmux("show-buffer") == crn
        around = b";" + base64.b64encode(crn.encode())
        wait_for(lambda: b"\x1b]52;" in screen.written and around in screen.written, what="the outer terminal's copy")
    tmux("send-keys", "C-q")


@needs_tmux
def test_a_copy_inside_tmux_that_cannot_be_called_goes_by_sequences(
    own_platform: Platform, tmux: Tmux, short_path: Path
) -> None:
    crn = crn_of(own_platform)
    tmux("start-server", ";", "set-option", "-s", "set-clipboard", "on", ";", "set-option", "-s", "exit-empty", "off")
    tmux.start(*PROGRAM, PATH=str(short_path))
    tmux.shows("registry-local", "Available", "@local")
    tmux("send-keys", "c")
    tmux.shows("copied, where tmux lets it")
    assert wait_for(lambda: tmux("show-buffer", check=False), what="tmux's buffer") == crn
    tmux("send-keys", "C-q")


# -- suspending -------------------------------------------------------------------------------------------


def test_ctrl_z_gives_the_terminal_back_and_fg_shows_what_changed_meanwhile(own_platform: Platform) -> None:
    name = unique("w")
    shell = ["bash", "--norc", "--noprofile", "-i"]
    with terminal(shell, {**own_platform.environment(), "PS1": "shell-ready$ "}, columns=140) as screen:
        screen.shows("shell-ready$")
        screen.press(shlex.join(PROGRAM) + "\r")
        screen.shows("registry-local", "Available", "@local")
        screen.press("5")
        screen.shows("Workspaces of local", "synchronized")
        screen.press(CTRL_Z)
        screen.shows("Stopped", "shell-ready$")
        screen.press("stty -a | tr ' ' '\\n' | grep -c '^-\\?echo;\\?$'; echo alive-$((40 + 2))\r")
        screen.shows("alive-42")
        own_platform.ask(lambda client: client.create_workspace(WorkspaceCreate(name=name, environment="local")))
        screen.press("fg\r")
        screen.shows("Workspaces", name)
        screen.press(CTRL_Z)
        screen.shows("Stopped")
        screen.press("fg\r")
        screen.shows("Workspaces", name)
        screen.press("ctrl+q")
        screen.shows("shell-ready$")
        screen.press("exit\r")
        assert screen.ended() == 0
    own_platform.ask(lambda client: _delete_workspace(client, name))


async def _delete_workspace(client: RegistryClient, name: str) -> None:
    await client.delete_workspace(name)


@needs_tmux
def test_ctrl_z_works_inside_tmux_and_in_a_form(own_platform: Platform, tmux: Tmux) -> None:
    tmux.start("bash", "--norc", "--noprofile", "-i", PS1="shell-ready$ ")
    tmux.shows("shell-ready$")
    tmux("send-keys", shlex.join(PROGRAM), "Enter")
    tmux.shows("registry-local", "Available", "@local")
    tmux("send-keys", "2")
    tmux.shows("Projects")
    tmux("send-keys", "n")
    tmux.shows("Create project")
    tmux("send-keys", "-l", "half-typed")
    tmux.shows("half-typed")
    tmux("send-keys", "C-z")
    tmux.shows("Stopped", "shell-ready$")
    tmux("send-keys", "fg", "Enter")
    tmux.shows("Create project", "half-typed")
    tmux("send-keys", "Escape", "C-q")
    tmux.shows("shell-ready$")


def test_ctrl_z_says_that_nobody_could_bring_the_program_back(own_platform: Platform) -> None:
    with terminal(PROGRAM, own_platform.environment(), columns=140) as screen:
        screen.shows("registry-local", "Available", "@local")
        screen.press(CTRL_Z)
        screen.shows("no shell with job control", "registry-local")
        screen.press("ctrl+q")
        assert screen.ended() == 0


# -- notifications ----------------------------------------------------------------------------------------


def test_the_end_of_own_work_is_notified_while_the_terminal_has_no_focus(own_platform: Platform) -> None:
    def told() -> list[bytes]:
        return re.findall(rb"\x1b\]9;registry-tui: ([^\a]*)\a", bytes(screen.written))

    with terminal(PROGRAM, {**own_platform.environment(), "REGISTRY_TUI_NOTIFY": "osc"}, columns=140) as screen:
        screen.shows("registry-local", "Available", "@local")
        screen.press(FOCUS_OUT)
        own_platform.command("registries", "synchronize", "registry-local", "--wait")
        wait_for(lambda: b"synchronize of registry-local: succeeded" in told(), what="the notification")
        # A key shows that somebody is back, as FOCUS_IN does.
        screen.press(FOCUS_IN, "ctrl+q")
        assert screen.ended() == 0


# -- links ------------------------------------------------------------------------------------------------


def test_addresses_are_links_on_terminals_alone(own_platform: Platform) -> None:
    status = [*PROGRAM, "status"]
    address = re.compile(rb"\x1b\]8;;(http://127\.0\.0\.1:\d+)\x1b\\\1\x1b\]8;;\x1b\\")

    def written(kind: str = "xterm-256color", **more: str) -> bytes:
        with terminal(status, {**own_platform.environment(), **more}, columns=200, kind=kind) as screen:
            assert screen.ended() == 0
            screen.shows("gateway", "home:")
            return bytes(screen.written)

    assert address.search(written()) and address.search(written(NO_COLOR="1"))
    assert b"\x1b]8" not in written(REGISTRY_TUI_LINKS="no") + written(kind="linux")
    for json in ([], ["--json"]):
        piped = own_platform.command("status", *json).stdout
        assert "http://127.0.0.1:" in piped and "\x1b" not in piped


def test_the_screens_link_the_addresses_that_they_show(own_platform: Platform) -> None:
    project, note = own_platform.new_project(), "See https://models.example/cards?name=wine for more"
    own_platform.ask(lambda client: client.create_experiment(project.id, ExperimentCreate(name=note)))
    with terminal(PROGRAM, own_platform.environment(), columns=200) as screen:
        screen.shows("registry-local", "Available", "@local")
        screen.press(":")
        screen.shows("Go, do, find")
        screen.press(f"project {project.name}\r")
        screen.shows(note)
        linked = rb"\x1b\]8;id=[\w-]+;https://models\.example/cards\?name=wine\x1b\\"
        wait_for(lambda: re.search(linked, bytes(screen.written)), what="the link")
        screen.press("ctrl+q")
        assert screen.ended() == 0
