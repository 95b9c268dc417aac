"""A real headless Chromium, driven over a pipe by its DevTools protocol."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.platforms import PATIENCE, temporary_folder

#: Where `make chromium` puts it, with the libraries that a bare system lacks.
_INSTALLED = Path(sys.prefix) / "chromium"
_NAMES = ("chromium", "chromium-headless-shell", "google-chrome")
#: Without a sandbox and a screen: it opens the pages of tests alone. Nothing is asked of the network.
_OPTIONS = (
    *("--headless", "--no-sandbox", "--no-zygote", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio"),
    *("--disable-gpu", "--use-gl=disabled", "--disable-software-rasterizer", "--disable-extensions"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server"),
    "--remote-debugging-pipe",
)


def program() -> Path:
    """The browser: REGISTRY_TUI_CHROMIUM, the installed one, or one on the path. Skips the test without one."""
    named = os.environ.get("REGISTRY_TUI_CHROMIUM")
    on_path = [Path(each) for name in _NAMES if (each := shutil.which(name)) is not None]
    for found in [Path(named)] if named else [_INSTALLED / "chromium", *on_path]:
        if found.is_file():
            return found
    pytest.skip("there is no Chromium: see what `make chromium` says, or name one with REGISTRY_TUI_CHROMIUM")


@dataclass
class Browser:
    """A browser with one page."""

    _send: int
    _receive: int
    process: subprocess.Popen[bytes]
    errors: Path
    _read: bytes = b""
    _number: int = 0
    _session: str = ""
    _typed: tuple[str, str] = ("", "")
    #: How often it asked for a user and a password.
    asked: int = 0

    def open(self, address: str) -> None:
        """Opens an address, which may hold a user and a password, and waits until all of it is loaded."""
        answer = self.call("Page.navigate", url=address)
        assert not answer.get("errorText"), answer
        deadline = time.monotonic() + PATIENCE
        while not self.run("document.readyState === 'complete' && location.href !== 'about:blank'"):
            assert time.monotonic() < deadline, f"{address} does not load"
            time.sleep(0.05)

    def run(self, code: str) -> Any:
        """The value of an expression in the page; for a promise, its result."""
        answer = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def sign_in(self, user: str, password: str) -> None:
        """The user and the password to type from now on when the browser asks for them; it then keeps both."""
        self._typed = user, password
        self.call("Fetch.enable", handleAuthRequests=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command of the DevTools protocol."""
        number = self._write(method, parameters)
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result

    def begin(self) -> None:
        """Makes the page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def _write(self, method: str, parameters: Mapping[str, Any]) -> int:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        return self._number

    def _next(self) -> dict[str, Any]:
        """The next answer or event; requests that are held for `sign_in` go on."""
        found = self._read_one()
        request = found.get("params", {}).get("requestId")
        if found.get("method") == "Fetch.requestPaused":
            self._write("Fetch.continueRequest", {"requestId": request})
        elif found.get("method") == "Fetch.authRequired":
            self.asked += 1
            user, password = self._typed
            typed = {"response": "ProvideCredentials", "username": user, "password": password}
            self._write("Fetch.continueWithAuth", {"requestId": request, "authChallengeResponse": typed})
        return found

    def _read_one(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._receive], [], [], max(deadline - time.monotonic(), 0))
            part = os.read(self._receive, 1 << 16) if ready else b""
            assert part, f"the browser does not answer (ended with {self.process.poll()}): {self._complaints()}"
            self._read += part
        first, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(first)
        return found

    def _complaints(self) -> str:
        return self.errors.read_text(errors="replace")[-2000:]


@contextmanager
def browsing(hosts: Mapping[str, str], *options: str) -> Iterator[Browser]:
    """A browser for which these names have these addresses, and no other name has any."""
    chromium = program()
    rules = ", ".join(f"MAP {name} {address}" for name, address in hosts.items())
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        errors = folder / "errors"
        ours, theirs = [], []
        for end in range(2):
            pair = list(os.pipe())
            # Above the two numbers that the browser uses, so that moving them there loses none.
            high = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in pair]
            for each in pair:
                os.close(each)
            ours.append(high[1 - end])
            theirs.append(high[end])
        for each in (*ours, *theirs):
            stack.callback(_close, each)
        command = [
            *("/bin/bash", "-c", f'exec "$0" "$@" 3<&{theirs[0]} 4>&{theirs[1]}', str(chromium), *_OPTIONS),
            f"--user-data-dir={folder / 'profile'}",
            *options,
            f"--host-resolver-rules={rules}, MAP * ~NOTFOUND , EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ]
        environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
        if (libraries := chromium.parent / "lib" / "libnss3.so").is_file():
            environment["LD_LIBRARY_PATH"] = str(libraries.parent)
        with errors.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment, pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            for each in theirs:
                _close(each)
            browser = Browser(ours[0], ours[1], process, errors)
            browser.begin()
            yield browser
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            finally:
                process.kill()


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        return
