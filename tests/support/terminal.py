"""The real program in a pseudo-terminal of its own: keys in, the visible screen out."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pexpect
import pyte

from support.platforms import PATIENCE, wait_for

#: Keys by the names that people use.
KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "ctrl+q": "\x11",
    "ctrl+d": "\x04",
}


class Terminal:
    """A program on a screen of `columns` by `rows`; `pixels` of a cell, when the terminal reports them."""

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        columns: int,
        rows: int,
        pixels: tuple[int, int] | None = None,
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._guard = threading.Lock()
        #: Everything that the program wrote.
        self.written = bytearray()
        self.process = pexpect.spawn(
            command[0], command[1:], env=dict(environment), dimensions=(rows, columns), echo=True, timeout=None
        )
        if pixels is not None:
            # Terminals that draw sixels report the size of their cells this way.
            size = struct.pack("4H", rows, columns, columns * pixels[0], rows * pixels[1])
            fcntl.ioctl(self.process.child_fd, termios.TIOCSWINSZ, size)
        self.attributes = termios.tcgetattr(self.process.child_fd)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.process.child_fd, 65536)
            except OSError:
                return
            if not data:
                return
            with self._guard:
                self.written += data
                self._stream.feed(data)

    @property
    def lines(self) -> list[str]:
        """The lines on the screen now."""
        with self._guard:
            return list(self._screen.display)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines)

    def press(self, *keys: str) -> None:
        """Sends keys by name, or characters as they are."""
        for key in keys:
            self.process.send(KEYS.get(key, key))

    def shows(self, *texts: str, timeout: float = PATIENCE) -> str:
        """Waits until all these texts are on the screen."""
        try:
            return wait_for(lambda: self.text if all(text in self.text for text in texts) else None, timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"{texts} did not appear on:\n{self.text}") from error

    def resize(self, columns: int, rows: int) -> None:
        """Gives the window another size."""
        with self._guard:
            self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def ended(self) -> int | None:
        """Waits for the program's end; its exit code, None when a signal ended it."""
        wait_for(lambda: not self.process.isalive(), what="the program to end")
        # Its last output may not be read yet; a program in the background may keep the terminal open.
        self._reader.join(10)
        code: int | None = self.process.exitstatus
        return code


@contextmanager
def terminal(
    command: list[str],
    environment: Mapping[str, str],
    columns: int = 100,
    rows: int = 30,
    kind: str = "xterm-256color",
    pixels: tuple[int, int] | None = None,
) -> Iterator[Terminal]:
    """A terminal that is closed at the end even if the program hangs. It starts where every program starts.

    `pixels`: of a cell, across and down, in a terminal that reports them.
    """
    opened = Terminal(command, {"REGISTRY_TUI_REMEMBER": "no", **environment, "TERM": kind}, columns, rows, pixels)
    try:
        yield opened
    finally:
        with contextlib.suppress(OSError, pexpect.ExceptionPexpect):
            opened.process.close(force=True)
