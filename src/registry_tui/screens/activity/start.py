"""The start of the platform: one line for each part, from the output of `registry-tui up --json`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from registry_tui.platform.children import isolated
from registry_tui.screens.base.dialogs import Dialog
from registry_tui.terminal.keys import box_bindings
from registry_tui.wording.text import safe

_MARKS = {
    "healthy": ("●", "$success"),
    "starting": ("◐", "$accent"),
    "stopped": ("○", "$foreground-muted"),
    "unhealthy": ("◐", "$warning"),
    "failed": ("✗", "$error"),
}


class StartScreen(Dialog[None]):
    """Runs `up` in a separate process, so that leaving the program stops nothing."""

    BINDINGS = box_bindings("start")

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, tuple[str, str]] = {}
        self.outcome: dict[str, Any] | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = "Starting the platform"
            yield Static("Object store, MLflow and the service start on this machine.", classes="note")
            yield Static("", id="parts")
            yield Static("", id="outcome", markup=False)

    def on_mount(self) -> None:
        self.work_on(self._up(), "up")

    def action_again(self) -> None:
        if self.outcome is not None:
            self.outcome, self.parts = None, {}
            self._show()
            self.work_on(self._up(), "up")

    async def _up(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *isolated("registry_tui", "up", "--json"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            self._ended({"error": f"Cannot run {sys.executable}: {error.strerror}", "action": None})
            return
        assert process.stdout is not None and process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())
        async for line in process.stdout:
            self._line(line.decode(errors="replace").strip())
        code = await process.wait()
        lines = (await errors).decode(errors="replace").strip().splitlines()
        if self.outcome is None:
            detail = lines[-1] if lines else f"`registry-tui up` ended with exit code {code}"
            self._ended({"error": detail, "action": "See `registry-tui status` and `registry-tui logs service`"})
        elif self.outcome.get("healthy"):
            self.program.look_now()
            self.dismiss(None)

    def _line(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        if message.get("done"):
            self._ended(message)
        elif "part" in message:
            self.parts[str(message["part"])] = (str(message.get("state", "")), str(message.get("detail") or ""))
            self._show()

    def _ended(self, outcome: dict[str, Any]) -> None:
        self.outcome = outcome
        self._show()

    def failed(self, error: Exception) -> None:
        self._ended({"error": f"{type(error).__name__}: {error}", "action": None})

    def _show(self) -> None:
        lines: list[tuple[str, str]] = []
        for name, (state, detail) in self.parts.items():
            mark, style = _MARKS.get(state, ("○", "$foreground-muted"))
            lines.append((f"{mark} ", style))
            lines.append((f"{safe(name, 20):<14}", "bold"))
            lines.append((f"{safe(state, 12):<10} ", style))
            lines.append((safe(detail, 160) + "\n", "$foreground-muted"))
        self.query_one("#parts", Static).update(Content.assemble(*lines))
        text = ""
        if self.outcome is not None and not self.outcome.get("healthy"):
            text = safe(str(self.outcome.get("error") or "The platform did not start"), 600)
            if self.outcome.get("action"):
                text += "\n" + safe(str(self.outcome["action"]), 300)
            text += "\n\nr tries again · esc closes this · ctrl+q leaves"
        self.query_one("#outcome", Static).update(text)
