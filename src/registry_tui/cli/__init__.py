"""The command line. `registry-tui` without arguments opens the terminal program, before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """The `registry-tui` command."""
    if len(sys.argv) == 1:
        from registry_tui.app import main as open_terminal_program

        sys.exit(open_terminal_program())
    from registry_tui.cli.main import run

    run()
