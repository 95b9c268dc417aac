"""Runs `registry-tui …` in processes forked from one that has imported the command line.

A command is a process of its own, with its own variables, outputs and end; it saves the import, which is most of a
short command's CPU time. This module's program is the server that forks them; it ends with the process that started it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import registry_tui.cli
from support import forked_platforms

_TESTS = Path(__file__).parents[1]
#: The largest request: arguments and variables.
_MOST = 1 << 18
#: Modules that commands import late.
_LATER = ("httpcore", "rich.table", "rich.progress")


# -- in a test process ------------------------------------------------------------------------------------


def run(arguments: list[str], variables: Mapping[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Runs `registry-tui` with these arguments and variables. Raises subprocess.TimeoutExpired."""
    request = {"arguments": arguments, "variables": dict(variables), "folder": str(Path.cwd())}
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        files = [out.fileno(), err.fileno(), theirs.fileno()]
        socket.send_fds(_server(), [json.dumps(request).encode()], files)
        theirs.close()
        ours.settimeout(timeout)
        with ours.makefile("rb") as answers:
            process = int(answers.readline())
            try:
                code = int(answers.readline())
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["registry-tui", *arguments], timeout) from None
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, _text(out.read()), _text(err.read()))


def _text(output: bytes) -> str:
    return output.decode().replace("\r\n", "\n").replace("\r", "\n")


@cache
def _server() -> socket.socket:
    """The connection to this process's server of commands."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for each in (ours, theirs):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _MOST)
    platforms = str(forked_platforms.address())
    program = [sys.executable, "-m", "support.forked_commands", str(theirs.fileno()), platforms]
    variables = {**os.environ, "PYTHONPATH": str(_TESTS)}
    server = subprocess.Popen(program, pass_fds=[theirs.fileno()], env=variables, stdin=subprocess.DEVNULL)
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


# -- the server -------------------------------------------------------------------------------------------


def serve(connection: socket.socket) -> list[str] | None:
    """Forks a process for each request. Returns in each of them, with the command's arguments, and at the end."""
    running: dict[int, socket.socket] = {}
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    with selectors.DefaultSelector() as ready:
        ready.register(connection, selectors.EVENT_READ)
        ready.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is woken:
                    with suppress(BlockingIOError):
                        woken.recv(1 << 12)
                    _report_ended(running)
                    continue
                data, files, _, _ = socket.recv_fds(connection, _MOST, 3)
                if not data:
                    return None
                process = os.fork()
                if process == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    return _become(json.loads(data), files)
                for file in files[:2]:
                    os.close(file)
                running[process] = socket.socket(fileno=files[2])
                _answer(running[process], process)


def _report_ended(running: dict[int, socket.socket]) -> None:
    for process in list(running):
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            with running.pop(process) as asked:
                _answer(asked, os.waitstatus_to_exitcode(status))


def _answer(asked: socket.socket, number: int) -> None:
    with suppress(OSError):  # a test that was given up does not read any more
        asked.sendall(b"%d\n" % number)


def _become(request: dict[str, object], files: list[int]) -> list[str]:
    """Makes this process look as one that was just started; returns the command's arguments."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate([nothing, *files[:2]]):
        os.dup2(file, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 16 else 1 << 16)
    variables, arguments = request["variables"], request["arguments"]
    assert isinstance(variables, dict) and isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    os.chdir(str(request["folder"]))
    return arguments


def import_commands() -> None:
    """Imports the modules that commands import while they start and work, so that none of them has to."""
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as `main` does
    package = registry_tui.cli
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    for name in _LATER:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main = registry_tui.cli.main  # importing the module of this name hides the function
    import_commands()
    if os.environ.get(forked_platforms.WANTED):
        forked_platforms.use(Path(sys.argv[2]))
    given = serve(socket.socket(fileno=int(sys.argv[1])))
    if given is not None:
        __package__ = "registry_tui"  # click names the program by it
        sys.argv = [str(Path(registry_tui.cli.__file__).parents[1] / "__main__.py"), *given]
        main()
