"""Real platforms for tests: started by the project's own code, in homes of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import httpx

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import WrongInput
from registry_tui.platform import lifecycle, supervisor
from registry_tui.platform.errors import Busy
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, PART_VARIABLE, Home
from registry_tui.platform.ports import Ports, load_ports
from registry_tui.platform.secrets import Secrets, load_secrets
from registry_tui.schemas.operations import Event
from registry_tui.schemas.places import Project, ProjectCreate
from support import forked_commands
from support.databases import keep_on_postgresql

Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")

#: Made by the first start.
ENVIRONMENT, WORKSPACE = "local", "default"
#: Seconds between two looks of `wait_for`: the machine is to do the work that is waited for.
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.3
#: Seconds that a condition may take to come true: where others use the processor, a service may need a minute to begin.
PATIENCE = 240.0
#: For `verify` of httpx where an address is plain HTTP: a client that could also check certificates reads them all
#: first, which takes 15 ms of CPU time each.
PLAIN = False
#: Variables of the caller that must not reach a part, a script or a command that a test starts.
_FOREIGN = ("MLFLOW_", "_MLFLOW_", "AWS_", "PYTEST_", "REGISTRY_TUI_", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Platform:
    """A running platform: its home, and ways to ask it."""

    home: Home

    @property
    def ports(self) -> Ports:
        ports = load_ports(self.home)
        assert ports is not None, "the platform was never started"
        return ports

    @property
    def secrets(self) -> Secrets:
        return load_secrets(self.home)

    def client(self, user: str | None = None) -> RegistryClient:
        """A client of the service as the program has it; close it, or use it as an async context manager."""
        return RegistryClient(self.home, user=user)

    def patient_client(self, user: str | None = None) -> RegistryClient:
        """A client that waits longer for an answer, which may take its time on a busy machine."""
        return RegistryClient(self.home, user=user, patience=httpx.Timeout(PATIENCE))

    def ask(self, question: Callable[[RegistryClient], Awaitable[Answer]], user: str | None = None) -> Answer:
        """One question to the service, for tests that are not coroutines: `ask(lambda c: c.project("wine"))`."""

        async def answer() -> Answer:
            async with self.patient_client(user) as client:
                return await question(client)

        with ThreadPoolExecutor(1) as own_loop:
            return own_loop.submit(asyncio.run, answer()).result()

    def call(
        self,
        method: Callable[Concatenate[RegistryClient, Arguments], Awaitable[Answer]],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Answer:
        """Calls one method of the client. In loops, where a lambda would see the last item only:
        `call(RegistryClient.project, name)`.
        """
        return self.ask(lambda client: method(client, *arguments, **named))

    def environment(self) -> dict[str, str]:
        """The variables with which a command works on this platform."""
        return {**clean_environment(), ENVIRONMENT_VARIABLE: str(self.home.root)}

    def command(
        self, *arguments: str, check: bool = True, timeout: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Runs `registry-tui …` on this platform."""
        done = forked_commands.run(list(arguments), self.environment(), timeout)
        assert not check or done.returncode == 0, f"registry-tui {' '.join(arguments)}: {done.stdout}\n{done.stderr}"
        return done

    def new_project(self, workspace: str = WORKSPACE, prefix: str = "p") -> Project:
        """A project with a name of its own; the first workspace is synchronized, so it may register models."""
        name = unique(prefix)
        return self.ask(lambda client: client.create_project(ProjectCreate(name=name, workspace=workspace)))

    def exports(self, project: str) -> dict[str, str]:
        """The variables of `registry-tui env --project`."""
        return self.ask(lambda client: client.credentials(project)).as_exports()

    def events(self, *, resource: str, action: str | None = None, actor: str | None = None) -> list[Event]:
        """All events about a resource (its ID, or the end of its name), newest first, however many there are."""

        async def found(client: RegistryClient) -> list[Event]:
            every = client.every(client.events, action=action, actor=actor, page_size=1000)
            return [
                each async for each in every if each.resource_id == resource or each.resource_name.endswith(resource)
            ]

        return self.ask(found)

    def pid(self, part: str) -> int:
        """The process of a part as the supervisor knows it; 0 while it does not run."""
        info = supervisor.processes(self.home)[part]
        return info.pid if info.running else 0

    def running(self, part: str) -> int:
        """The process of a part, once it runs: a signal to 0 would go to the processes of this run."""
        return wait_for(lambda: self.pid(part), what=f"{part} to run")

    def kill(self, part: str) -> int:
        """Ends a part's process at once, as a crash would; the supervisor starts it again. Returns its PID."""
        pid = self.running(part)
        os.kill(pid, signal.SIGKILL)
        return pid

    def up(self) -> None:
        """Starts the stopped parts, and waits until every part is healthy; another worker may be doing the same."""
        keep_on_postgresql(self.home)
        if not self.home.config_file.exists():
            self.home.create()
            # Where tests receive webhooks.
            self.home.config_file.write_text('[service]\nwebhook_private_hosts = ["localhost"]\n')
        for last in (False, False, False, True):
            try:
                for _ in lifecycle.up(self.home):
                    pass
                return
            except Busy:
                if last:
                    raise

    def down(self) -> None:
        lifecycle.down(self.home)

    def log_tails(self, lines: int = 40) -> dict[str, str]:
        """The end of every part's log."""
        return {part: supervisor.tail(self.home, part, lines) for part in (*supervisor.PARTS, "supervisor")}


@contextmanager
def running_platform() -> Iterator[Platform]:
    """A platform in a new home, gone at the end."""
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        try:
            platform.up()
            yield platform
        finally:
            platform.down()


def short_folder() -> Path:
    """A new folder whose name leaves room for unix sockets' paths."""
    return Path(tempfile.mkdtemp(prefix="rt-"))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A `short_folder` that is gone at the end."""
    folder = short_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clean_environment(extra: Mapping[str, str] = {}) -> dict[str, str]:
    """This process's variables without those that would point a child at another platform."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    kept.pop(PART_VARIABLE, None)
    # As on people's machines: to detect bytecode written to the wrong place.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, **extra}


#: Put before the code of scripts: most of their time would go into looking through MLflow's modules for garbage.
_RARE_SEARCHES = "import atexit, gc; gc.set_threshold(100_000, 50, 100); atexit.register(gc.freeze)\n"


def run_python(
    code: str, environment: Mapping[str, str], *arguments: str, check: bool = True, timeout: float = 2 * PATIENCE
) -> str:
    """Runs a Python program in a process of its own, and returns its output."""
    done = subprocess.run(
        [sys.executable, "-c", _RARE_SEARCHES + code, *arguments],
        env=clean_environment({"MLFLOW_DISABLE_TELEMETRY": "true", **environment}),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        check=False,
    )
    assert not check or done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if check else done.stdout + done.stderr


def unique(prefix: str) -> str:
    """A name that no other test has."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def ending_soon(make: Callable[[datetime], Answer]) -> Answer:
    """Makes something whose life ends in a moment, and returns that. An end that has passed before a busy machine
    could make it is refused; then a later one is tried."""
    for seconds in (1, 4, 16):
        with suppress(WrongInput):
            return make(datetime.now(UTC) + timedelta(seconds=seconds))
    return make(datetime.now(UTC) + timedelta(seconds=64))


def early_enough(attempt: Callable[[timedelta], bool]) -> None:
    """Tries something with a moment that lies ahead by growing spans, until the attempt came before that moment.

    On a busy machine, seconds may pass between the choice of a moment and its use.
    """
    for seconds in (3, 10, 30, 90):
        if attempt(timedelta(seconds=seconds)):
            return
    raise AssertionError("every moment had passed before it could be used")


def wait_for(
    condition: Callable[[], Answer | None], *, what: str = "the condition", timeout: float = PATIENCE
) -> Answer:
    """Waits until the condition answers something true, and returns that. An error in it counts as "not yet"."""
    until = time.monotonic() + timeout
    never, pause = threading.Event(), FIRST_PAUSE
    last: object = None
    while True:
        too_late = time.monotonic() > until  # before the last look: this process may have stood still for a while
        try:
            if found := condition():
                return found
            last = found
        except Exception as error:
            last = error
        if too_late:
            raise AssertionError(f"waited {timeout:.0f} s for {what}; the last answer was {last!r}")
        never.wait(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


async def eventually(
    condition: Callable[[], Awaitable[Answer | None]], *, what: str = "the condition", timeout: float = PATIENCE
) -> Answer:
    """`wait_for` for coroutines."""
    until, pause = time.monotonic() + timeout, FIRST_PAUSE
    last: object = None
    while True:
        too_late = time.monotonic() > until
        try:
            if found := await condition():
                return found
            last = found
        except Exception as error:
            last = error
        if too_late:
            raise AssertionError(f"waited {timeout:.0f} s for {what}; the last answer was {last!r}")
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
