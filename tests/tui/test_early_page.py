"""The first list before the client is there: shown when the service answers, left alone when it does not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.platform.paths import Home
from registry_tui.terminal import early as early_pages
from registry_tui.terminal.early import EarlyPage
from support.platforms import PATIENCE, Platform
from support.program import Driver


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service on a busy machine may need more than the second that people are made to wait."""
    monkeypatch.setattr(early_pages, "PATIENCE", PATIENCE)


class Waiting(RegistryApp):
    """The program as it is until the client was imported."""

    def _begin(self) -> None:
        pass


@contextmanager
def answering(home: Home, answer: bytes) -> Iterator[None]:
    """A socket in the service's place that answers one request."""
    home.service_socket.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.service_socket))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(PATIENCE)


async def test_registries_show_before_the_client_is_there_and_stay(own_platform: Platform) -> None:
    early = EarlyPage(own_platform.home)
    early.wait()
    app = Waiting(own_platform.client, start_platform=False, early=early)
    async with app.run_test(size=(120, 30)) as pilot:
        driver = Driver(app, pilot)
        await driver.shows("registry-local", "Available")
        assert not app.answering
        await driver.press("end")
        key = driver.screen.table.place[1]
        # Actions not available for a row yet are reported, not tried.
        await driver.press("y")
        assert driver.screen == app.frame
        RegistryApp._begin(app)
        await driver.until(lambda: app.answering and hasattr(driver.screen.current, "crn"), "the client's rows")
        assert driver.screen.table.place[1] == key


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 403 Forbidden\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n\r\n[]",
        b'HTTP/1.1 200 OK\r\n\r\n{"items": 1}',
        b'HTTP/1.1 200 OK\r\n\r\n{"items": [{"id": "1"}]}',
        b'HTTP/1.1 200 OK\r\n\r\n{"nothing": "known"}',
    ],
)
async def test_any_other_answer_is_left_to_the_client(short_path: Path, answer: bytes) -> None:
    home = Home(short_path / "h")
    with answering(home, answer):
        early = EarlyPage(home)
        early.wait()
    app = Waiting(start_platform=False, early=early)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.pause()
        assert app.frame.query_one("#table").source is None  # type: ignore[attr-defined]


def test_without_a_service_there_is_no_page(short_path: Path) -> None:
    early = EarlyPage(Home(short_path / "h"))
    early.wait()
    assert early.answer is None
