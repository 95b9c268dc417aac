"""`demo`: something to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output
from registry_tui.platform.paths import Home


def demo(
    remove: Annotated[bool, typer.Option("--remove", help="Take away what the demo made, and nothing else.")] = False,
) -> None:
    """Load the demo: two environments, three workspaces, four projects with trained models, their registries.

    Again, it makes only what is missing. Takes under a minute.
    """
    from registry_tui.platform import demo as loader

    home = Home.resolve()
    if remove:
        loader.remove(home, output.note)
    else:
        loader.load(home, output.note)
