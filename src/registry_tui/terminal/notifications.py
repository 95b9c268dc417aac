"""Notifications of the terminal itself (OSC 9, OSC 777, bell), for users who look elsewhere.

OSC 9 is iTerm2's, which kitty, Ghostty, WezTerm and Windows Terminal have too; OSC 777 is urxvt's, which foot and VTE's
terminals on Fedora and Debian have.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from registry_tui.terminal.multiplexers import BEL, ESC, inside, passed_on

#: `preferences.NOTIFY`.
Wanted = Literal["auto", "osc", "bell", "off"]
#: Longest text of a notification.
MOST = 200


def notification(text: str, wanted: str, environment: Mapping[str, str] = os.environ) -> str:
    """The sequence that shows an already safe text as a notification in this terminal; empty where there is none."""
    known = _known(environment)
    if wanted == "bell":
        return BEL
    if wanted == "off" or (wanted == "auto" and known is None):
        return ""
    # Semicolons separate the parts of OSC 777, and end the text in some terminals.
    words = "".join(character for character in text if character.isprintable())[:MOST].replace(";", ",")
    body = f"777;notify;registry-tui;{words}" if known == "777" else f"9;registry-tui: {words}"
    return passed_on(f"{ESC}]{body}{BEL}", inside(environment))


def _known(environment: Mapping[str, str]) -> Literal["9", "777"] | None:
    """Which sequence the terminal supports, by its name. `LC_TERMINAL` and most values of `TERM` are preserved over
    SSH."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    names = (term, program, environment.get("LC_TERMINAL", ""))
    if term.split("-")[0] in ("foot", "rxvt"):
        return "777"
    if {"xterm-kitty", "xterm-ghostty", "ghostty", "wezterm", "WezTerm", "iTerm.app", "iTerm2"} & set(names):
        return "9"
    # The variables of the terminal around tmux; TERM and TERM_PROGRAM have tmux's own name.
    if any(
        environment.get(name) for name in ("KITTY_WINDOW_ID", "GHOSTTY_RESOURCES_DIR", "WEZTERM_PANE", "WT_SESSION")
    ):
        return "9"
    return None
