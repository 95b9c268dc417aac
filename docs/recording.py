"""Records a walk as an asciinema cast (asciicast v2), in a pseudo-terminal.

    python docs/recording.py walk --home HOME [--to docs/screenshots/walk.cast]
    python docs/recording.py life --home HOME [--to docs/screenshots/life.cast]

`walk` is `registry-tui demo --play`: HOME is a running platform with the demo loaded. `life` types the commands of
`docs/life-of-a-version.md` into a shell and ends in the terminal program: HOME is a running platform with the setting
`webhook_private_hosts`. Play one with `asciinema play docs/screenshots/walk.cast`.
Format: https://docs.asciinema.org/manual/asciicast/v2/
"""

from __future__ import annotations

import argparse
import codecs
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pexpect
import pyte

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from registry_tui.app.playing import END
from registry_tui.demo.walk import WALK
from support.team import free_port

DOCS = Path(__file__).parent
COLUMNS, ROWS = 110, 30
#: Seconds for something to appear, to look at the last of it, and between two typed characters.
PATIENCE, LOOK, TYPING = 240.0, 2.0, 0.015
#: The prompt of the shell; and the one after a command that failed.
PROMPT, FAILED = "❯\x1b[0m ", "\x1b[1;31m❯\x1b[0m "


class Recorder:
    """Runs a program, keeps its output with times, and follows it on a screen."""

    def __init__(self, command: Sequence[str], home: str, *, variables: Mapping[str, str], folder: Path) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"},
            "REGISTRY_TUI_HOME": home,
            "REGISTRY_TUI_REMEMBER": "no",
            "TERM": "xterm-256color",
            **variables,
        }
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.events: list[tuple[float, str]] = []
        self._began = time.monotonic()
        self.process = pexpect.spawn(
            command[0], list(command[1:]), env=environment, dimensions=(ROWS, COLUMNS), timeout=None, cwd=str(folder)
        )
        self.process.delaybeforesend = None
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

    @property
    def text(self) -> str:
        """Everything that was written."""
        return "".join(text for _, text in list(self.events))

    def until(self, condition: Callable[[], bool], wanted: str) -> None:
        """Waits for a condition. Raises TimeoutError."""
        until = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > until:
                raise TimeoutError(f"{wanted} did not appear on:\n" + "\n".join(self._screen.display))
            time.sleep(0.05)

    def sees(self, *texts: str) -> None:
        """Waits for texts on the screen. Raises TimeoutError."""
        self.until(lambda: all(text in "\n".join(self._screen.display) for text in texts), f"{texts}")

    def save(self, to: Path, title: str) -> None:
        """Writes the cast."""
        header = {
            "version": 2,
            "width": COLUMNS,
            "height": ROWS,
            "title": title,
            "env": {"TERM": "xterm-256color"},
        }
        lines = [json.dumps(header), *(json.dumps([round(at, 3), "o", text]) for at, text in self.events)]
        to.write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{to}: {len(self.events)} events, {self.events[-1][0]:.0f} s")


def walk(home: str) -> Recorder:
    """The walk that plays itself."""
    command = [sys.executable, "-m", "registry_tui", "demo", "--play"]
    recorder = Recorder(command, home, variables={}, folder=Path.cwd())
    try:
        for number in range(1, len(WALK) + 1):
            recorder.sees(f"{number}/{len(WALK)}")
        recorder.sees(END)
        time.sleep(LOOK)
        recorder.process.send("\x11")
        recorder.process.expect(pexpect.EOF)
    finally:
        recorder.process.close(force=True)
    return recorder


def blocks(page: str) -> list[tuple[str, str]]:
    """The shell blocks of a page, each with the heading above it."""
    found, heading = [], ""
    for mark, block in re.findall(r"^## ([^\n]*)$|^```sh\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL):
        if block:
            found.append((heading, block))
        heading = mark or heading
    return found


def life(home: str, *, typing: float = TYPING) -> Recorder:
    """The life of a version, by commands, and its lineage at last in the terminal program."""
    page = (DOCS / "life-of-a-version.md").read_text(encoding="utf-8").replace("8899", str(free_port()))
    with tempfile.TemporaryDirectory(prefix="rt-") as temporary:
        folder = Path(temporary) / "sums"
        shutil.copytree(DOCS.parent / "examples" / "life-of-a-version", folder)
        # Other scripts' `registry-tui` and `python` are this environment's; git needs an author.
        variables = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "HOME": temporary,
            "PS1": r"$([ $? = 0 ] && printf '\033[1;36m' || printf '\033[1;31m')❯\e[0m ",
            "PS2": "  ",
            **{f"GIT_{who}_{what}": "ann" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        recorder = Recorder(["bash", "--norc", "--noediting"], home, variables=variables, folder=folder)
        try:
            _type_all(recorder, blocks(page), typing)
            _look_at_lineage(recorder)
            recorder.process.sendeof()
            recorder.process.expect(pexpect.EOF)
        finally:
            recorder.process.close(force=True)
    return recorder


def _type_all(recorder: Recorder, commands: Sequence[tuple[str, str]], typing: float) -> None:
    """Types each line when the shell waits for it. Raises RuntimeError when a command fails."""
    waits, shown = 0, ""

    def prompted(more: bool = False) -> bool:
        tail = recorder.text[waits:]
        return tail.endswith((PROMPT, "  ") if more else PROMPT)

    recorder.until(prompted, "the shell")
    for heading, block in commands:
        lines = block.splitlines()
        if heading != shown:
            lines, shown = [f"# {heading}", *lines], heading
        for number, line in enumerate(lines):
            waits = len(recorder.text)
            for character in line:
                recorder.process.send(character)
                time.sleep(typing)
            recorder.process.send("\n")
            goes_on = block.startswith("for ") and not line.startswith("done") and number + 1 < len(lines)
            recorder.until(partial(prompted, goes_on), line)
            if recorder.text.endswith(FAILED):
                raise RuntimeError(f"{line} failed:\n{recorder.text[waits:]}")
            time.sleep(10 * typing)


def _look_at_lineage(recorder: Recorder) -> None:
    recorder.process.send("registry-tui\n")
    for keys, texts in (
        ("", ("registry-prod", "all ok")),
        (":", ("Go, do, find",)),
        ("model registry-prod Sum\r", ("Ready",)),
        ("L", ("promoted from",)),
    ):
        recorder.process.send(keys)
        recorder.sees(*texts)
        time.sleep(LOOK)
    recorder.process.send("\x11")
    recorder.until(lambda: recorder.text.endswith(PROMPT), "the shell")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("story", choices=("walk", "life"))
    parser.add_argument("--home", required=True, help="a running platform")
    parser.add_argument("--to", type=Path, help="the cast's file")
    arguments = parser.parse_args()
    recorder = {"walk": walk, "life": life}[arguments.story](arguments.home)
    recorder.save(arguments.to or DOCS / "screenshots" / f"{arguments.story}.cast", "registry-tui")


if __name__ == "__main__":
    main()
