"""Looks at an attached server: one at a time, so that one that hangs keeps no other threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry_tui.service.adapters import attached_looks
from registry_tui.service.adapters.attached_looks import Looks
from registry_tui.service.adapters.attached_mlflow import ServerAddress
from registry_tui.service.errors import WrongState
from support.little_mlflow import ATTACHABLE, serving
from support.platforms import PATIENCE

ADDRESS = ServerAddress("https://mlflow.example.com")


def test_a_look_says_why_a_server_cannot_be_read() -> None:
    looks = Looks()
    with serving(dict(ATTACHABLE)) as server:
        assert looks.problem_of("s", ServerAddress(server.url)) is None
        server.answers.clear()
        assert "no MLflow server" in str(looks.problem_of("s", ServerAddress(server.url)))


def test_one_request_asks_a_server_that_hangs_and_the_others_do_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, answered = threading.Semaphore(0), threading.Event()

    def hangs(*_: object) -> None:
        asked.release()
        assert answered.wait(60)
        raise WrongState("it is too old")

    monkeypatch.setattr(attached_looks, "check_server", hangs)
    monkeypatch.setattr(attached_looks, "PATIENCE", 0.01)
    looks = Looks()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(looks.problem_of, "s", ADDRESS)
        assert asked.acquire(timeout=PATIENCE)
        for _ in range(40):
            assert looks.problem_of("s", ADDRESS) == "MLflow at https://mlflow.example.com has not answered yet"
        assert not asked.acquire(blocking=False)
        # With more patience they get the answer of the one that asked.
        monkeypatch.setattr(attached_looks, "PATIENCE", 60.0)
        with ThreadPoolExecutor(3) as others:
            waiting = [others.submit(looks.problem_of, "s", ADDRESS) for _ in range(3)]
            answered.set()
            assert {each.result(60) for each in (first, *waiting)} == {"it is too old"}


def test_servers_do_not_wait_for_each_other_and_a_look_that_failed_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks()

    def asks_another(address: ServerAddress, *_: object) -> None:
        if address is ADDRESS:
            assert looks.problem_of("other", ServerAddress("https://other.example.com")) is None
            raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(attached_looks, "check_server", asks_another)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            looks.problem_of("s", ADDRESS)
