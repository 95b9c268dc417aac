"""The demo's training processes: stock MLflow code with a project's credentials in its environment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping, Sequence

from registry_tui.demo.progress import Progress, Tell
from registry_tui.platform.children import isolated, known_environment
from registry_tui.platform.errors import PlatformError

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MPLBACKEND": "Agg",
    # The models are small: more threads only wait for each other.
    "OMP_NUM_THREADS": "1",
}
#: Lines of a failed process's last words.
TAIL = 12


class Training:
    """Runs training processes and reports the progress of all of them in one line."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._running: dict[str, str] = {}

    async def run(self, project: str, exports: Mapping[str, str], versions: Sequence[Mapping[str, str]]) -> None:
        """Trains one project and registers versions. Raises PlatformError with the end of the process's output."""
        command = isolated("registry_tui.demo.training", project, *map(json.dumps, versions))
        process = await asyncio.create_subprocess_exec(
            *command,
            env=_environment(exports),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._tell(Progress(f"training {project}", lasting=True))
        try:
            errors = asyncio.create_task(_read(process.stderr))
            await self._follow(project, process.stdout)
            code, output = await process.wait(), await errors
        finally:
            self._running.pop(project, None)
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        if code != 0:
            last = "\n    ".join(output.strip().splitlines()[-TAIL:])
            raise PlatformError(
                f"Training of {project} failed with exit code {code}:\n    {last}",
                action="Run `registry-tui demo` again; see also `registry-tui logs mlflow`",
            )

    async def _follow(self, project: str, output: asyncio.StreamReader | None) -> None:
        assert output is not None, "stdout is a pipe"
        async for line in output:
            try:
                progress = json.loads(line)
            except ValueError:
                continue  # a library printed something
            if "registered" in progress:
                self._show(project, progress["registered"])
            elif "experiment" in progress:
                self._show(project, f"{progress['done']}/{progress['total']} {progress['experiment']}")

    def _show(self, project: str, text: str) -> None:
        self._running[project] = text
        line = "   ".join(f"{name}: {status}" for name, status in self._running.items())
        self._tell(Progress(line, lasting=False))


async def _read(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None, "stderr is a pipe"
    return (await stream.read()).decode(errors="replace")


def _environment(exports: Mapping[str, str]) -> dict[str, str]:
    caller = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return known_environment({**_SETTINGS, **exports}, caller=caller)
