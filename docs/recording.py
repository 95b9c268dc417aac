"""Records the walk of `registry-tui demo --play` as an asciinema cast (asciicast v2), in a pseudo-terminal.

    python docs/recording.py --home HOME [--to docs/screenshots/walk.cast]

HOME is a running platform with the demo loaded. Play it with `asciinema play docs/screenshots/walk.cast`.
Format: https://docs.asciinema.org/manual/asciicast/v2/
"""

from __future__ import annotations

import argparse
import codecs
import json
import os
import sys
import threading
import time
from pathlib import Path

import pexpect
import pyte

from registry_tui.app.playing import END
from registry_tui.demo.walk import WALK

COLUMNS, ROWS = 110, 30
#: Seconds for a scene to begin, and to look at the last one.
PATIENCE, LOOK = 120.0, 2.0


class Recorder:
    """Runs the program, keeps what it writes with its time, and follows it on a screen."""

    def __init__(self, home: str) -> None:
        environment = {**os.environ, "REGISTRY_TUI_HOME": home, "REGISTRY_TUI_REMEMBER": "no", "TERM": "xterm-256color"}
        environment.pop("SSH_CONNECTION", None)
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.events: list[tuple[float, str]] = []
        self._began = time.monotonic()
        self.process = pexpect.spawn(
            sys.executable,
            ["-m", "registry_tui", "demo", "--play"],
            env=environment,
            dimensions=(ROWS, COLUMNS),
            timeout=None,
        )
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
            self._stream.feed(data)
            self.events.append((time.monotonic() - self._began, self._decoder.decode(data)))

    def sees(self, *texts: str) -> None:
        """Waits for texts on the screen. Raises TimeoutError."""
        until = time.monotonic() + PATIENCE
        while not all(text in "\n".join(self._screen.display) for text in texts):
            if time.monotonic() > until:
                raise TimeoutError(f"{texts} did not appear on:\n" + "\n".join(self._screen.display))
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", required=True, help="a running platform with the demo loaded")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "screenshots" / "walk.cast")
    arguments = parser.parse_args()
    recorder = Recorder(arguments.home)
    try:
        for number in range(1, len(WALK) + 1):
            recorder.sees(f"{number}/{len(WALK)}")
        recorder.sees(END)
        time.sleep(LOOK)
        recorder.process.send("\x11")
        recorder.process.expect(pexpect.EOF)
    finally:
        recorder.process.close(force=True)
    header = {
        "version": 2,
        "width": COLUMNS,
        "height": ROWS,
        "title": "registry-tui",
        "env": {"TERM": "xterm-256color"},
    }
    lines = [json.dumps(header), *(json.dumps([round(at, 3), "o", text]) for at, text in recorder.events)]
    arguments.to.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{arguments.to}: {len(recorder.events)} events, {recorder.events[-1][0]:.0f} s")


if __name__ == "__main__":
    main()
