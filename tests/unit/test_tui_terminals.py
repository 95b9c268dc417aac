"""The program's escape sequences for the terminal, by the terminal's name and the programs in between."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from registry_tui.app.opening import swallows_dead_keys
from registry_tui.terminal.links import can_link, linked
from registry_tui.terminal.multiplexers import CHUNK, Inside, can_copy, copy_sequences, inside, passed_on
from registry_tui.terminal.notifications import notification
from registry_tui.widgets.line_filters import Links

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
            timeout=300,
            check=True,
        ).stdout.strip()
        for more in ({"TEXTUAL_DISABLE_KITTY_KEY": "1"}, {})
    ]
    assert found == ["True", "False"]


# -- links ------------------------------------------------------------------------------------------------


def link(address: str) -> str:
    return f"\x1b]8;;{address}\x1b\\{address}\x1b]8;;\x1b\\"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("at http://127.0.0.1:8080/endpoints/wine.", "http://127.0.0.1:8080/endpoints/wine"),
        ('"https://a.example/x?y=1&z=[2]#top", and', "https://a.example/x?y=1&z=[2]#top"),
        ("(https://a.example/b)", "https://a.example/b"),
        ("https://a.example/shorten…", None),
        ("https://…", None),
        ("https:// nothing", None),
        ("https://a.example/" + "x" * 3_000, None),
        ("ftp://a.example/", None),
        ("https://a.example/\x1b]8;;evil\x1b\\x", "https://a.example/"),
        ("https://a.example/\u202egpj.exe", "https://a.example/"),
    ],
)
def test_whole_addresses_are_links_to_what_is_read(text: str, address: str | None) -> None:
    expected = text if address is None else text.replace(address, link(address), 1)
    assert linked(text) == expected


def test_each_address_of_a_text_is_a_link() -> None:
    assert linked("http://a/1 http://b/2") == f"{link('http://a/1')} {link('http://b/2')}"


def test_a_line_that_is_drawn_links_its_addresses_but_not_one_that_may_go_on() -> None:
    bold = Style.parse("bold red")
    segments = [Segment("see ", bold), Segment("http://a.example/x here", bold), Segment("http://a.example/cut", bold)]
    found = Links().apply(segments, Color(0, 0, 0))
    assert "".join(each.text for each in found) == "see http://a.example/x herehttp://a.example/cut"
    links = [(each.text, each.style.link) for each in found if each.style is not None and each.style.link]
    assert links == [("http://a.example/x", "http://a.example/x")]
    again = Links().apply(segments, Color(0, 0, 0))
    assert Strip(found).render(Console(color_system="truecolor")) == Strip(again).render(
        Console(color_system="truecolor")
    )
    assert "\x1b]8;id=" in Strip(found).render(Console(color_system="truecolor"))
    padded = Links().apply([Segment("http://a.example/x", bold), Segment("  ", bold)], Color(0, 0, 0))
    assert [each.style.link for each in padded if each.style is not None] == ["http://a.example/x", None]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (XTERM, True),
        (TMUX, True),
        ({**XTERM, "NO_COLOR": "1"}, True),
        ({"TERM": "linux"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "vt100"}, False),
        ({"TERM": "screen", "STY": "1"}, False),
        ({**XTERM, "TERM_PROGRAM": "Apple_Terminal"}, False),
    ],
)
def test_terminals_without_links_are_known(environment: dict[str, str], expected: bool) -> None:
    assert can_link(environment) is expected
