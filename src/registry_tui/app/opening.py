"""How the terminal program is opened: its settings first, since Textual reads some when it is imported."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from registry_tui.platform import contexts
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home
from registry_tui.terminal.memory import Memory
from registry_tui.terminal.multiplexers import Inside, inside
from registry_tui.terminal.preferences import PreferencesFile

if TYPE_CHECKING:
    from registry_tui.demo.walk import Scene
    from registry_tui.terminal.early import EarlyPage

#: Terminals that cannot place a cursor.
CANNOT_SHOW = ("dumb", "unknown")
#: Seconds that leaving may take.
LAST_RESORT = 5.0


def open_terminal_program(early: EarlyPage | None = None, walk: Sequence[Scene] = ()) -> int:
    """Opens the terminal program; returns the exit code. Where no terminal can show it, a message gives the reason.

    With `walk` the program plays it first; the user's memory between runs is then neither read nor changed.
    """
    term = os.environ.get("TERM", "")
    if term in CANNOT_SHOW or not (sys.stdin.isatty() and sys.stdout.isatty()):
        if term in CANNOT_SHOW:
            why = f"a terminal of the kind TERM={term} cannot show the terminal program"
        else:
            why = "the terminal program needs a terminal as standard input and output"
        print(
            f"registry-tui: {why}\n"
            "  what to do: use the commands, e.g. `registry-tui registries list`; `registry-tui --help` names all",
            file=sys.stderr,
        )
        return 1
    try:
        return _run(early, walk)
    except PlatformError as error:
        print(f"registry-tui: {error.message}", file=sys.stderr)
        if error.action:
            print(f"  what to do: {error.action}", file=sys.stderr)
        return 1


def _run(early: EarlyPage | None, walk: Sequence[Scene]) -> int:
    """Runs it in the chosen context, and again in each one that is chosen there. Raises PlatformError."""
    home, context = Home.resolve(), contexts.chosen()
    if context is not None and not context.token:
        raise contexts.NoContext(f"You are signed out of {context.name}", action=f"Sign in again: `{context.login}`")
    settings = PreferencesFile(home, os.environ)
    preferences = settings.load()
    os.environ.setdefault("TEXTUAL_FPS", str(preferences.frame_rate))
    if swallows_dead_keys():
        os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    # Movement is never animated: it costs bytes over SSH and has no meaning.
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    # Our monochrome goes further than Textual's greys, which are colours too.
    os.environ.pop("NO_COLOR", None)
    # A shell that exports its size may export an old one: the terminal has the current one, and reports changes.
    if os.get_terminal_size(sys.stdout.fileno()).columns:
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)

    if not sys.stderr.isatty():
        # Textual draws on the standard error that the process began with; messages still go where the caller sent them.
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    # Objects created until the first paint stay; garbage collection starts after it.
    gc.disable()
    from registry_tui.app.app import RegistryApp

    if walk:
        preferences = replace(preferences, terminal=replace(preferences.terminal, remember=False, start="registries"))
    kept = home.terminal_memory if context is None else contexts.memory_file(context.name)
    memory = Memory() if walk else Memory(kept)
    app = RegistryApp(early=early, preferences=preferences, settings=settings, memory=memory, walk=walk)
    app.last_resort = _end_at_last
    app.context = context
    app.run(mouse=preferences.terminal.mouse)
    if app.next_context:
        os.environ[contexts.VARIABLE] = app.next_context
        return _run(None, ())
    return app.return_code or 0


def swallows_dead_keys(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal is iTerm2, which loses dead keys and input methods' text when asked to report all keys.

    Inside tmux, tmux reports the keys.
    """
    iterm = environment.get("TERM_PROGRAM") == "iTerm.app" or environment.get("LC_TERMINAL") == "iTerm2"
    return iterm and inside(environment) is not Inside.TMUX


def _end_at_last() -> None:
    """Ends the process when leaving takes too long: writing to a disconnected terminal may block."""
    timer = threading.Timer(LAST_RESORT, os._exit, (1,))
    timer.daemon = True
    timer.start()
