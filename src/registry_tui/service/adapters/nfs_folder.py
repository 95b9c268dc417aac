"""Work in a folder of an NFS, done by a separate process that is killed when it makes no progress.

A lost NFS server blocks its callers, perhaps so that not even a signal ends the process. No thread of the service calls
it.
"""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from registry_tui.platform.children import isolated, known_environment

logger = logging.getLogger(__name__)

MODULE = "registry_tui.service.adapters.nfs_worker"
#: Seconds within which a server has to answer a short request, and within which long work has to make progress.
ANSWER_SECONDS, STALL_SECONDS = 10.0, 60.0
#: Seconds for the start of the process, which contacts no server.
_START_SECONDS = 120.0
#: Seconds between checks for a cancellation.
_SLICE = 0.2


class NfsFault(Exception):
    """Work in a folder of an NFS that failed. `kind`: `silent`, `full`, `refused`, `damaged` or `failed`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class NfsFolder:
    """A folder in which an NFS is mounted, or a folder of it. Methods raise NfsFault."""

    path: str
    #: Where the NFS is mounted: the folder, or one above it.
    mount: str = ""
    command: Sequence[str] = field(default_factory=lambda: isolated(MODULE))
    #: Killed processes that hang in the kernel: no further ones are started for this folder.
    hanging: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def try_it(self, seconds: float = ANSWER_SECONDS) -> int:
        """Writes a file there, reads it and removes it; returns the free bytes."""
        return int(self._ask({"work": "try"}, seconds)["free_bytes"])

    def holds(
        self,
        path: Sequence[str],
        files: Sequence[Mapping[str, Any]],
        manifest_sha256: str,
        *,
        seconds: float = STALL_SECONDS,
        check: Callable[[], None] = lambda: None,
    ) -> bool:
        """Whether a version is there, complete, with these files' hashes, and with that manifest. Raises NfsFault."""
        request = {"work": "check", "path": path, "files": files, "sum": manifest_sha256}
        return bool(self._ask(request, seconds, check=check)["there"])

    def unpack(
        self,
        path: Sequence[str],
        files: Sequence[Mapping[str, Any]],
        manifest: str,
        content: Iterable[bytes],
        *,
        needed: int,
        seconds: float = STALL_SECONDS,
        check: Callable[[], None] = lambda: None,
    ) -> bool:
        """Writes a version's files, all bytes in the order of `files`; returns whether nobody else was first.

        `needed`: required free bytes. The reader of `content` may raise errors of its own.
        """
        request = {"work": "unpack", "path": path, "files": files, "manifest": manifest, "needed": needed}
        return bool(self._ask(request, seconds, content=content, check=check)["first"])

    def remove(self, path: Sequence[str], *, seconds: float = STALL_SECONDS) -> None:
        """Removes all of a registry, of a model or of a version, as far as it exists."""
        self._ask({"work": "remove", "path": path}, seconds)

    # -- underneath --------------------------------------------------------------------------------

    def _ask(
        self,
        request: Mapping[str, Any],
        seconds: float,
        *,
        content: Iterable[bytes] = (),
        check: Callable[[], None] = lambda: None,
    ) -> Mapping[str, Any]:
        self.hanging[:] = [each for each in self.hanging if each.poll() is None]
        if self.hanging:
            raise _silent(self.path)
        process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", env=known_environment()
        )
        conversation = _Conversation(process, seconds, self.path, check)
        clears_up = False
        try:
            conversation.started()
            conversation.send(
                json.dumps({**request, "folder": self.path, "mount": self.mount or self.path}).encode() + b"\n"
            )
            for piece in content:
                if not conversation.send(piece):
                    break
            return conversation.answer()
        except NfsFault:
            raise
        except BaseException:
            # Cancelled, or the bytes did not come: the process removes its unfinished files. Nobody waits for that.
            clears_up = request["work"] == "unpack"
            raise
        finally:
            conversation.hang_up()
            if clears_up:
                threading.Thread(
                    target=self._see_off, args=(process, conversation), name="nfs-clearing-up", daemon=True
                ).start()
            else:
                self._end(process, conversation)

    def _see_off(self, process: subprocess.Popen[bytes], conversation: _Conversation) -> None:
        """Lets a process clean up for as long as it makes progress."""
        with suppress(NfsFault):
            conversation.wait_for_the_end()
        self._end(process, conversation)

    def _end(self, process: subprocess.Popen[bytes], conversation: _Conversation) -> None:
        conversation.close()
        if not _ended(process):
            self.hanging.append(process)


class _Conversation:
    """The pipes of a process. Timeouts count only while this side waits for the other one."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float, path: str, check: Callable[[], None]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out = process.stdin.fileno(), process.stdout.fileno()
        self._seconds, self._path, self._check = seconds, path, check
        self._process = process
        self._buffer = b""
        self._started = False
        self._last: Mapping[str, Any] | None = None
        self._open = True
        os.set_blocking(self._in, False)

    def hang_up(self) -> None:
        """Stops sending."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def wait_for_the_end(self) -> None:
        """Waits until the process has sent its last line. Raises NfsFault when it makes no progress."""
        self._check = lambda: None
        while self._open:
            self._wait(writing=False)

    def close(self) -> None:
        """Closes both pipes."""
        self.hang_up()
        assert self._process.stdout is not None
        with suppress(OSError):
            self._process.stdout.close()

    def started(self) -> None:
        """Waits for the process to start: a machine may be busy. Raises NfsFault."""
        seconds, self._seconds = self._seconds, _START_SECONDS
        while self._open and not self._started:
            self._wait(writing=False)
        self._seconds = seconds

    def send(self, data: bytes) -> bool:
        """Sends bytes; False once the other side takes no more, because it has responded."""
        left = memoryview(data)
        while left:
            self._wait(writing=True)
            if self._last is not None or not self._open:
                return False
            try:
                left = left[os.write(self._in, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return False
        return True

    def answer(self) -> Mapping[str, Any]:
        """The result of the process. Raises NfsFault."""
        while self._last is None and self._open:
            self._wait(writing=False)
        if self._last is None:
            raise NfsFault("failed", f"The process that works in {self._path} ended; see `registry-tui logs service`")
        if (error := self._last.get("error")) is not None:
            raise NfsFault(error["kind"], error["text"])
        found: Mapping[str, Any] = self._last["answer"]
        return found

    def _wait(self, *, writing: bool) -> None:
        """Waits until bytes can be sent or a line came. Raises NfsFault on a timeout."""
        waiting = select.poll()
        waiting.register(self._out, select.POLLIN)
        if writing:
            waiting.register(self._in, select.POLLOUT)
        until = time.monotonic() + self._seconds
        while True:
            ready = dict(waiting.poll(_SLICE * 1000))
            self._check()
            if self._out in ready:
                self._read()
                return
            if ready:
                return
            if time.monotonic() > until:
                raise _silent(self._path)

    def _read(self) -> None:
        piece = os.read(self._out, 65_536)
        self._open = bool(piece)
        *lines, self._buffer = (self._buffer + piece).split(b"\n")
        for line in lines:
            found = json.loads(line)
            self._started = True
            if "answer" in found or "error" in found:
                self._last = found


def _silent(path: str) -> NfsFault:
    return NfsFault("silent", f"The NFS server of {path} does not answer")


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended, by itself or by SIGKILL; one that waits for a server in the kernel may not."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.5)
        return True
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(2.0)
        return True
    logger.warning("process %s waits for an NFS server and cannot be ended", process.pid)
    return False
