"""Starts platforms' supervisords in processes forked from one that has imported the modules of their parts.

MLflow's server and the service are then forked from their supervisord and not run anew, which saves more than half of
the CPU time that a platform takes until it is healthy. A forked process looks as a new one does: it has its own
arguments and variables, also in `/proc`, and nobody else's files or signal handlers. Tests that run the installed
program start its parts as anybody does.
The server that forks is this module's program; it ends with the process that started it.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

from registry_tui.platform import supervisor

#: Set it to have a run's platforms forked.
WANTED = "REGISTRY_TUI_TEST_FORKS"
#: The largest request: arguments and variables.
_MOST = 1 << 17
#: Room for a process's arguments, and for its variables, where the kernel shows them.
ROOM = 1 << 16
#: The modules that are run in a forked process, with their imports: MLflow's own server of accounts reads its settings
#: while it is imported.
_IMPORTED: Mapping[str, Sequence[str]] = {
    "registry_tui.mlflow_plugin.launch": ("mlflow.server.artifact_router", "mlflow.server.server_info_api", "uvicorn"),
    "registry_tui.service": ("registry_tui.service.running",),
}
_SUPERVISORD = "supervisor.supervisord"


# -- in a test process, and in commands that are forked for it --------------------------------------------


class Started:
    """A process that the server forked, as `subprocess.Popen` shows it."""

    def __init__(self, connection: socket.socket) -> None:
        self._answers = connection.makefile("rb")
        self._connection = connection
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(_SUPERVISORD, timeout or 0)
            self.returncode = int(self._answers.readline())
        return self.returncode

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def launched(command: Sequence[str], folder: Path, log: IO[bytes], variables: Mapping[str, str]) -> supervisor.Launched:
    """`supervisor.launched` in a forked process; in a new one where no server runs. Raises OSError."""
    request = {"arguments": list(command), "variables": dict(variables), "folder": str(folder)}
    place = _address()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(place))
    except OSError:  # a command that a test runs before any platform of its own
        connection.close()
        return _anew(command, folder, log, variables)
    socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], [log.fileno()])
    return Started(connection)


_anew = supervisor.launched


def use(address: Path | None = None) -> None:
    """Has this process's platforms be forked: by the server at an address, or else by a server of this process."""
    if address is not None:
        _ADDRESS.append(address)
    supervisor.launched = launched


#: Where the server of another process listens.
_ADDRESS: list[Path] = []


def address() -> Path:
    """Where this process's server listens once a platform was started."""
    return _folder() / "s"


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="rt-forks-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _address() -> Path:
    return _ADDRESS[0] if _ADDRESS else _serving()


@cache
def _serving() -> Path:
    """Starts this process's server, and waits until it listens."""
    ours, theirs = socket.socketpair()
    padding = "-" * ROOM
    program = [sys.executable, "-P", __file__, str(address()), str(theirs.fileno()), padding]
    server = subprocess.Popen(
        program,
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PADDING": padding, "PYTHONPATH": "", "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    assert ours.recv(1), "the server that forks platforms ended"
    return address()


# -- the server -------------------------------------------------------------------------------------------


def serve(address: str, life: socket.socket) -> None:
    """Forks a process for each request until the other end of `life` is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that answer
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address)
        listening.listen()
        life.sendall(b".")
        while life not in select.select([listening, life], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                os.setsid()
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> NoReturn:
    """Forks the process that was asked for, and answers with its number, then with its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, [log], _, _ = socket.recv_fds(connection, _MOST, 1)
    while not data.endswith(b"\n"):
        data += connection.recv(_MOST)
    request = json.loads(data)
    process = os.fork()
    if process == 0:
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, file in enumerate([nothing, log, log]):
            os.dup2(file, number)
        os.chdir(request["folder"])
        _become(request["arguments"], request["variables"], keep=3)
    with suppress(OSError):  # a test that was given up does not read any more
        connection.sendall(b"%d\n" % process)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
    os._exit(0)


def _execute(_options: object, program: str, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """`ServerOptions.execve` of supervisord, in the process that it forked for a part. Raises OSError."""
    if arguments[0] == sys.executable and _module(arguments) in _IMPORTED:
        _become(arguments, variables, keep=3)
    os.execve(program, list(arguments), variables)


def _module(arguments: Sequence[str]) -> str:
    """The module of `children.isolated`'s command."""
    return arguments[arguments.index("-m") + 1] if "-m" in arguments else ""


def _become(arguments: Sequence[str], variables: Mapping[str, str], *, keep: int) -> NoReturn:
    """Runs a Python command in this process, which then looks as one that was just started; never returns."""
    os.closerange(keep, _MOST)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if callable(signal.getsignal(number)) or number == signal.SIGCHLD:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    _show(arguments, variables)
    module = _module(arguments)
    sys.argv = [module, *arguments[arguments.index("-m") + 2 :]]
    sys.modules.pop(module if module != "registry_tui.service" else "registry_tui.service.__main__", None)
    code: object = 0
    try:
        if module == _SUPERVISORD:
            _supervise(sys.argv[1:])
        else:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    _end(code if isinstance(code, int) else int(code is not None))


def _supervise(arguments: Sequence[str]) -> None:
    from supervisor import options, supervisord

    options.ServerOptions.execve = _execute
    supervisord.main(arguments)


def _end(code: int) -> NoReturn:
    """Ends this process as the interpreter does, without running the code of the callers on its stack."""
    private: Any = threading
    private._shutdown()
    private = atexit
    private._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _show(arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    """Puts arguments and variables where the kernel reads `/proc/PID/cmdline` and `environ` (proc(5), arg_start …)."""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    arg_start, arg_end, env_start, env_end = map(int, fields[45:49])
    pairs = [f"{name}={value}" for name, value in variables.items()]
    for start, end, texts in ((arg_start, arg_end, arguments), (env_start, env_end, pairs)):
        block = b"".join(os.fsencode(text) + b"\0" for text in texts)
        assert len(block) < end - start, "the server of forked platforms needs more padding"
        ctypes.memmove(start, block.ljust(end - start, b"\0"), end - start)


def import_parts() -> None:
    """Imports the modules that the parts import while they start, so that none of them has to."""
    from registry_tui.mlflow_plugin.launch import ALLOWED_HOSTS

    # MLflow reads it while it is imported.
    os.environ["MLFLOW_SERVER_ALLOWED_HOSTS"] = ALLOWED_HOSTS
    for name in sorted({name for names in _IMPORTED.values() for name in names}, key="uvicorn".__ne__):
        importlib.import_module(name)
    importlib.import_module(_SUPERVISORD)
    assert "mlflow.server.auth" not in sys.modules
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    gc.disable()
    import_parts()
    gc.enable()
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
