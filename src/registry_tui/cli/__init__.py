"""The command line. `registry-tui` without arguments opens the terminal program, before anything heavy is imported."""

from __future__ import annotations

import os
import sys

#: A shell that asks for completions sets it, and gives no arguments.
_COMPLETING = "_REGISTRY_TUI_COMPLETE"


def main() -> None:
    """The `registry-tui` command."""
    if len(sys.argv) == 1 and _COMPLETING not in os.environ:
        from registry_tui.app import main as open_terminal_program

        sys.exit(open_terminal_program())
    from registry_tui.cli.main import run

    run()
