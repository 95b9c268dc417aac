"""The command of benchmarks that fill the database of one platform and ask it."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from servers import compile_project, temporary_folder

from registry_tui.platform.paths import Home
from support.platforms import Platform

#: Measures with so many versions and repetitions, and prints the results; returns the exit code.
Measure = Callable[[Platform, int, int], int]


def main_of(measure: Measure, doc: str | None, *, versions: int, repeat: int) -> int:
    """Reads the arguments, starts a platform in a temporary folder and measures; returns the exit code."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0] if doc else None)
    parser.add_argument("--versions", type=int, default=versions)
    parser.add_argument("--repeat", type=int, default=repeat, help="pairs")
    asked = parser.parse_args()
    compile_project()
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        platform.command("up")
        try:
            return measure(platform, asked.versions, asked.repeat)
        finally:
            platform.command("down")
