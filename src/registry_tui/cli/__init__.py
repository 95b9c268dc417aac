"""The command line. `registry-tui` without arguments opens the terminal program, before anything heavy is imported."""

from __future__ import annotations

import gc
import os
import sys

from registry_tui.contracts.garbage import none_at_the_end

#: A shell that asks for completions sets it, and gives no arguments.
_COMPLETING = "_REGISTRY_TUI_COMPLETE"


def main() -> None:
    """The `registry-tui` command."""
    none_at_the_end()
    # httpx's own command line: its imports (click, rich, pygments) take a tenth of a command's start.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
    if len(sys.argv) == 1 and _COMPLETING not in os.environ:
        # Objects made at the start stay alive: garbage collection among them costs a fifth of the start.
        gc.disable()
        from registry_tui.terminal.early import EarlyPage

        early = EarlyPage()
        from registry_tui.app.opening import open_terminal_program

        sys.exit(open_terminal_program(early))
    from registry_tui.cli.main import run

    run()
