"""Sequences for the terminal itself, through tmux or GNU screen where the program runs inside one of them.

tmux passes on sequences wrapped in `DCS tmux; … ST` (with `allow-passthrough on`), with each ESC doubled; GNU screen
those in `DCS … ST`, in strings of a few hundred bytes.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from enum import Enum

#: Bytes that a terminal's clipboard takes by OSC 52; xterm and hterm reject more.
MOST_COPIED = 74_994
#: Characters of one string for GNU screen, whose oldest versions keep 256.
CHUNK = 240
ESC, BEL, ST = "\x1b", "\a", "\x1b\\"


class Inside(Enum):
    """The multiplexer that the program's terminal is a window of."""

    NOTHING = ""
    TMUX = "tmux"
    SCREEN = "GNU screen"
    #: By `TERM=screen…` alone, as over SSH: both programs name their terminals so.
    EITHER = "tmux or GNU screen"


def inside(environment: Mapping[str, str] = os.environ) -> Inside:
    """The multiplexer that the program's terminal is a window of, by the environment."""
    term = environment.get("TERM", "")
    if environment.get("TMUX"):
        return Inside.TMUX
    if environment.get("STY"):
        return Inside.SCREEN
    if term.startswith("tmux"):
        return Inside.TMUX
    return Inside.EITHER if term.startswith("screen") else Inside.NOTHING


def passed_on(sequence: str, around: Inside) -> str:
    """The sequence as it reaches the outer terminal: a multiplexer other than `around` drops its wrapping."""
    wrapped = ""
    if around in (Inside.TMUX, Inside.EITHER):
        wrapped += f"{ESC}Ptmux;{sequence.replace(ESC, ESC + ESC)}{ST}"
    if around in (Inside.SCREEN, Inside.EITHER):
        chunks = [sequence[at : at + CHUNK] for at in range(0, len(sequence), CHUNK)]
        wrapped += "".join(f"{ESC}P{chunk}{ST}" for chunk in chunks)
    return wrapped or sequence


def copy_sequences(text: str, around: Inside) -> str:
    """The sequences that copy a text by OSC 52, at most `MOST_COPIED` bytes of UTF-8.

    tmux also takes it unwrapped (with `set-clipboard on`), and then has it in its buffers too.
    """
    sequence = f"{ESC}]52;c;{base64.b64encode(text.encode()).decode()}{BEL}"
    direct = sequence if around in (Inside.TMUX, Inside.EITHER) else ""
    return direct + passed_on(sequence, around)


def can_copy(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal may support copies; the Linux console and Apple's Terminal are known not to.

    Inside tmux and GNU screen a copy may go elsewhere.
    """
    if inside(environment) is not Inside.NOTHING:
        return True
    return environment.get("TERM") != "linux" and environment.get("TERM_PROGRAM") != "Apple_Terminal"
