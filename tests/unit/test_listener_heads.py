"""Heads that the listener cannot pass on: a response with the reason, before and after sign-in, and never an error."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from registry_tui.gateway import connections, problems
from registry_tui.service.listening import forward
from support.lone_doors import LoneDoor, lone_door

DOORS = ("/api/v1/user", "/mlflow/api/2.0/mlflow/experiments/search", "/endpoints/x/ping", "/model")


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneDoor]:
    with lone_door(tmp_path_factory.mktemp("door")) as running:
        yield running


@pytest.fixture(scope="module")
def token(door: LoneDoor) -> str:
    return door.token("ada")


def head(path: bytes, host: bytes = b"127.0.0.1", *more: bytes) -> bytes:
    lines = [b"GET " + path + b" HTTP/1.1", b"Host: " + host, b"Connection: close", *more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def code(answer: bytes) -> str:
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    return str(body.get("code") or body["error_code"])


HOSTS = (
    *(b"[::]]", b"[1.2.3.4]", b"[:]", b"[.]", b"[::1", b"::1", b"[:::1]", b"[1::2::3]", b"[abc]", b"[12345::]"),
    *(b"a:99999", b"[::1]:65536", b"a:", b"", b"a b", b"a/b", b"\xe9", b"a@b", b"[v1.a]"),
)


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_cannot_be_one_is_refused_before_sign_in(
    door: LoneDoor, caplog: pytest.LogCaptureFixture, host: bytes
) -> None:
    with caplog.at_level(logging.INFO):
        status, answer = door.raw(head(b"/api/v1/user", host))
    assert (status, code(answer)) == (400, "host-malformed")
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize("host", [b"models.lab", b"a_b:1", b"[::1]", b"[::ffff:1.2.3.4]:65535", b"127.0.0.1:80"])
def test_a_host_that_can_be_one_is_asked_for_a_token(door: LoneDoor, host: bytes) -> None:
    address = f"127.0.1.{len(host)}"
    assert door.raw(head(b"/api/v1/user", host), address)[0] == 401


HEADERS = (b"X-Note: caf\xe9", b"X-Request-ID: \xff", b"Content-Type: text/\xff", b"Origin: http://\xff")


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("signed_in", [True, False])
def test_headers_that_are_not_utf_8_are_refused(
    door: LoneDoor, token: str, caplog: pytest.LogCaptureFixture, path: str, header: bytes, signed_in: bool
) -> None:
    given = (f"Authorization: Bearer {token}".encode(),) if signed_in else ()
    with caplog.at_level(logging.INFO):
        status, answer = door.raw(head(path.encode(), b"127.0.0.1", header, *given))
    expected = "BAD_REQUEST" if path.startswith("/mlflow") else "not-utf-8"
    assert (status, code(answer)) == (400, expected)
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize("path", [b"/api/v1/\xff", b"/mlflow/?a=\xe9"])
def test_an_address_that_is_not_ascii_is_refused(
    door: LoneDoor, token: str, caplog: pytest.LogCaptureFixture, path: bytes
) -> None:
    with caplog.at_level(logging.INFO):
        status, _ = door.raw(head(path, b"127.0.0.1", f"Authorization: Bearer {token}".encode()))
    assert status == 400
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize("secret", [b"rt_\xff_x", b"rt_000000000000_\xff", b"rtk_\xff_\xff", b"\xff"])
@pytest.mark.parametrize("path", DOORS)
def test_a_token_that_is_not_utf_8_is_refused(
    door: LoneDoor, caplog: pytest.LogCaptureFixture, path: str, secret: bytes
) -> None:
    with caplog.at_level(logging.INFO):
        status, _ = door.raw(head(path.encode(), b"127.0.0.1", b"Authorization: Bearer " + secret))
    assert status == 400
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


@pytest.mark.parametrize("expected", [b"x", b"100-continue, x", b"\xff", b"200-ok"])
@pytest.mark.parametrize("path", [*DOORS, "/nothing"])
def test_an_expectation_that_cannot_be_met_is_refused(
    door: LoneDoor, caplog: pytest.LogCaptureFixture, path: str, expected: bytes
) -> None:
    with caplog.at_level(logging.INFO):
        status, answer = door.raw(head(path.encode(), b"127.0.0.1", b"Expect: " + expected))
    assert (status, code(answer)) == (417, "expectation-failed")
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_a_body_that_waits_to_be_asked_for_is_asked_for(door: LoneDoor, token: str) -> None:
    more = (f"Authorization: Bearer {token}".encode(), b"Expect: 100-continue", b"Content-Length: 0")
    with door.connected() as connection:
        connection.sendall(head(b"/api/v1/user", b"127.0.0.1", *more))
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 ")


def test_text_in_utf_8_passes(door: LoneDoor, token: str) -> None:
    more = (f"Authorization: Bearer {token}".encode(), "X-Note: café".encode())
    assert door.raw(head(b"/api/v1/%C3%A9?a=%ff", b"127.0.0.1", *more))[0] == 200


def test_a_body_that_does_not_come_is_explained_to_mlflows_clients(
    door: LoneDoor, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "BODY_SECONDS", 0.1)
    more = (f"Authorization: Bearer {token}".encode(), b"Content-Length: 5")
    status, answer = door.raw(head(b"/mlflow/api/2.0/x", b"127.0.0.1", *more).replace(b"GET", b"POST"))
    assert (status, code(answer)) == (408, "BAD_REQUEST")


def test_a_mistake_of_the_listener_names_the_service() -> None:
    assert connections.Door(1, part="service").part == "service"
    assert "logs service" in problems.mistake("service").action
    assert "logs gateway" in problems.mistake().action
