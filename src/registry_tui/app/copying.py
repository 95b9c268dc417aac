"""Copying to the terminal's clipboard, also through tmux and GNU screen, and the message about the destination of a
copy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from textual.app import App

from registry_tui.screens.base.program import Frame
from registry_tui.terminal.multiplexers import MOST_COPIED, Inside, can_copy, copy_sequences, inside
from registry_tui.terminal.textual_private import keep_copied, write_raw

#: Seconds that tmux may take to respond.
PATIENCE = 2.0


class Copying(App[None]):
    """The part of the program that copies: from screens, and out of fields."""

    def copy_to_clipboard(self, text: str) -> None:
        """Copies without a message, as Textual's fields expect."""
        self._copy(text, lambda words: None)

    def copy_text(self, text: str, tell: Callable[[str], None] | None = None) -> None:
        """Copies, and shows the text and its destination: the terminal confirms nothing, so the text is shown too.

        `tell` gets the message without the text; by default the status line shows both.
        """
        self._copy(text, tell or (lambda words: self.frame.flash(f"{words}: {text}")))

    def _copy(self, text: str, tell: Callable[[str], None]) -> None:
        keep_copied(self, text)
        if (size := len(text.encode())) > MOST_COPIED:
            tell(f"not copied: {size // 1000} KB, and a terminal's clipboard takes {MOST_COPIED // 1000} KB")
            return
        around = inside()
        if not can_copy():
            tell("this terminal takes no copies; select it")
        elif os.environ.get("TMUX"):
            self.run_worker(self._copy_in_tmux(text, tell), group="copying", exit_on_error=False)
        else:
            write_raw(self, copy_sequences(text, around))
            tell("copied" if around is Inside.NOTHING else f"copied, where {around.value} passes it on")

    async def _copy_in_tmux(self, text: str, tell: Callable[[str], None]) -> None:
        """Copies with tmux's own command, which works with all settings; where that fails (another user, an old tmux),
        by sequences."""
        if await load_buffer(text):
            tell("copied to tmux's buffer, and the terminal around it")
        else:
            write_raw(self, copy_sequences(text, Inside.TMUX))
            tell("copied, where tmux lets it (set -g set-clipboard on)")

    @property
    def frame(self) -> Frame:
        """The visible screen with a frame."""
        raise NotImplementedError


async def load_buffer(text: str) -> bool:
    """Copies into tmux's newest buffer and the clipboard of the terminal around tmux. Returns whether tmux accepted
    it."""
    quiet = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *("tmux", "load-buffer", "-w", "-"), stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(text.encode()), PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
    return process.returncode == 0
