"""`demo`: example data to explore.

Functions import their dependencies: Textual for `--play` only.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from registry_tui.cli import output
from registry_tui.demo import load
from registry_tui.demo import remove as remove_demo
from registry_tui.demo.progress import Progress
from registry_tui.platform.paths import Home


def demo(
    remove: Annotated[bool, typer.Option("--remove", help="Remove the demo's objects, and nothing else.")] = False,
    play: Annotated[
        bool, typer.Option("--play", help="Open the terminal program, and have it walk through the loaded demo.")
    ] = False,
) -> None:
    """Load the demo: two environments, three workspaces, four projects with trained models, their registries.

    Repeated, it makes only the missing parts. Takes under a minute. With `--play` the terminal program shows
    the loaded demo by itself: space pauses, → goes on at once, + and - change the speed, and any other key hands over.
    """
    if play:
        raise typer.Exit(_play())
    status = output.Status()

    def tell(progress: Progress) -> None:
        if progress.lasting:
            status.close()
            output.note(progress.text)
        elif sys.stderr.isatty():
            status.show(progress.text)

    try:
        (remove_demo if remove else load)(Home.resolve(), tell)
    except BaseExceptionGroup as group:
        # Projects are loaded in parallel: the first failure is reported.
        raise group.exceptions[0] from group
    finally:
        status.close()


def _play() -> int:
    """Plays the walk; returns the exit code. Raises PlatformError when the demo is not loaded."""
    from registry_tui.app.opening import open_terminal_program
    from registry_tui.demo.state import State
    from registry_tui.demo.walk import PROJECT, WALK
    from registry_tui.platform.errors import PlatformError

    if State.load(Home.resolve()).places["projects"].get(PROJECT) is None:
        raise PlatformError(
            "The demo is not loaded in this home",
            action="Load it with `registry-tui up` and `registry-tui demo`, then run `registry-tui demo --play` again",
        )
    return open_terminal_program(walk=WALK)
