"""What the program writes for the terminal itself, by the terminal's name and what is between."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys

import pytest

from registry_tui.app.opening import swallows_dead_keys
from registry_tui.terminal.multiplexers import CHUNK, Inside, can_copy, copy_sequences, inside, passed_on
from registry_tui.terminal.notifications import notification

XTERM = {"TERM": "xterm-256color"}
TMUX = {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-0/default,1,0"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (XTERM, Inside.NOTHING),
        ({}, Inside.NOTHING),
        (TMUX, Inside.TMUX),
        ({"TERM": "screen-256color", "TMUX": "x"}, Inside.TMUX),
        ({"TERM": "tmux-256color"}, Inside.TMUX),
        ({"TERM": "screen", "STY": "1.pts"}, Inside.SCREEN),
        ({"TERM": "screen.xterm-256color"}, Inside.EITHER),
    ],
)
def test_what_is_around_the_terminal_is_known_by_its_environment(environment: dict[str, str], expected: Inside) -> None:
    assert inside(environment) is expected


def test_tmux_gets_a_sequence_with_each_escape_doubled() -> None:
    assert passed_on("\x1b]9;x\x1b\\", Inside.TMUX) == "\x1bPtmux;\x1b\x1b]9;x\x1b\x1b\\\x1b\\"


def test_screen_gets_a_long_copy_in_strings_of_a_bounded_length() -> None:
    text = "models:/wine-é/3 " * 200
    sent = copy_sequences(text, Inside.SCREEN)
    chunks = re.findall(r"\x1bP(.*?)\x1b\\", sent, re.DOTALL)
    assert "".join(f"\x1bP{chunk}\x1b\\" for chunk in chunks) == sent
    assert len(chunks) > 10 and max(map(len, chunks)) <= CHUNK
    whole = "".join(chunks)
    assert whole.startswith("\x1b]52;c;") and whole.endswith("\a")
    assert base64.b64decode(whole[len("\x1b]52;c;") : -1]).decode() == text


def test_a_copy_in_what_may_be_tmux_or_screen_is_sent_for_both() -> None:
    sent = copy_sequences("a", Inside.EITHER)
    plain = "\x1b]52;c;YQ==\a"
    assert sent == plain + passed_on(plain, Inside.TMUX) + passed_on(plain, Inside.SCREEN)
    assert copy_sequences("a", Inside.NOTHING) == plain


def test_terminals_that_take_no_copies_are_known() -> None:
    assert can_copy(XTERM) and can_copy({**TMUX, "TERM_PROGRAM": "tmux"})
    assert not can_copy({"TERM": "linux"})
    assert not can_copy({**XTERM, "TERM_PROGRAM": "Apple_Terminal"})


@pytest.mark.parametrize(
    ("environment", "wanted", "expected"),
    [
        (XTERM, "auto", ""),
        (XTERM, "off", ""),
        (XTERM, "bell", "\a"),
        (XTERM, "osc", "\x1b]9;registry-tui: done\a"),
        ({"TERM": "xterm-kitty"}, "auto", "\x1b]9;registry-tui: done\a"),
        ({**XTERM, "TERM_PROGRAM": "WezTerm"}, "auto", "\x1b]9;registry-tui: done\a"),
        ({**XTERM, "LC_TERMINAL": "iTerm2"}, "off", ""),
        ({"TERM": "foot"}, "auto", "\x1b]777;notify;registry-tui;done\a"),
        ({"TERM": "rxvt-unicode-256color"}, "osc", "\x1b]777;notify;registry-tui;done\a"),
        ({**TMUX, "LC_TERMINAL": "iTerm2"}, "auto", "\x1bPtmux;\x1b\x1b]9;registry-tui: done\a\x1b\\"),
        (TMUX, "auto", ""),
    ],
)
def test_a_notification_is_what_the_terminal_knows(environment: dict[str, str], wanted: str, expected: str) -> None:
    assert notification("done", wanted, environment) == expected


def test_nothing_in_a_notification_is_obeyed() -> None:
    sent = notification("a\x1b]0;title\a;b\u202e" + "c" * 500, "osc", XTERM)
    assert sent.startswith("\x1b]9;registry-tui: a]0,title,b") and sent.endswith("c\a")
    assert len(sent) < 250 and sent[1:-1].isprintable()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({**XTERM, "TERM_PROGRAM": "iTerm.app"}, True),
        ({**XTERM, "LC_TERMINAL": "iTerm2", "SSH_CONNECTION": "x"}, True),
        ({**TMUX, "LC_TERMINAL": "iTerm2"}, False),
        ({**XTERM, "TERM_PROGRAM": "WezTerm"}, False),
        (XTERM, False),
    ],
)
def test_only_iterm_outside_tmux_swallows_dead_keys(environment: dict[str, str], expected: bool) -> None:
    assert swallows_dead_keys(environment) is expected


def test_textual_reads_the_variable_by_which_keys_are_not_all_reported() -> None:
    code = "from textual import constants; print(constants.DISABLE_KITTY_KEY)"
    found = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PATH": os.environ["PATH"], **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.strip()
        for more in ({"TEXTUAL_DISABLE_KITTY_KEY": "1"}, {})
    ]
    assert found == ["True", "False"]
