"""`demo`: something to look at."""

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
    remove: Annotated[bool, typer.Option("--remove", help="Take away what the demo made, and nothing else.")] = False,
) -> None:
    """Load the demo: two environments, three workspaces, four projects with trained models, their registries.

    Again, it makes only what is missing. Takes under a minute.
    """
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
        # Projects are loaded side by side: the first failure is what is told.
        raise group.exceptions[0] from group
    finally:
        status.close()
