"""Crowds at the listener: one caller without a token cannot take the connections of everybody else."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from registry_tui.contracts.callers import source_of
from registry_tui.gateway import connections
from registry_tui.service.listening import entrance, listener
from registry_tui.service.listening.failures import MOST_BY_ADDRESS, Failures
from support.lone_doors import LoneDoor, lone_door, received
from support.platforms import PATIENCE, wait_for

REQUEST = b"GET /api/v1/user HTTP/1.1\r\nHost: x\r\n\r\n"
#: Of the doors here.
EACH, ALL = 3, 8


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small numbers of connections and handshakes, which none of the tests ends by waiting."""
    monkeypatch.setattr(entrance, "HANDSHAKE_SECONDS", 600.0)
    monkeypatch.setattr(entrance, "SHUTDOWN_SECONDS", 600.0)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 600.0)
    monkeypatch.setattr(listener, "MOST_EACH", EACH)
    monkeypatch.setattr(listener, "MOST", ALL)
    monkeypatch.setattr(listener, "HANDSHAKES_EACH", EACH)
    monkeypatch.setattr(listener, "HANDSHAKES", ALL)


@pytest.fixture
def door(tmp_path: Path, small: None) -> Iterator[LoneDoor]:
    with lone_door(tmp_path) as running:
        yield running


@pytest.fixture
def tls_door(tmp_path: Path, small: None) -> Iterator[LoneDoor]:
    with lone_door(tmp_path, tls=True) as running:
        yield running


def answered(connection: socket.socket) -> bytes:
    """The status of the answer to one request on a connection, which may stay open."""
    connection.sendall(REQUEST)
    return connection.recv(1 << 16)[9:12]


def ended(connection: socket.socket) -> bool:
    """Whether the other side ends a connection without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def greeted(door: LoneDoor, address: str) -> bytes:
    """The status of an answer over TLS."""
    context = ssl.create_default_context(cafile=door.service.home.tls / "certificate.pem")
    with door.connected(address) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
        return answered(secured)


def secured(door: LoneDoor, address: str, stack: ExitStack) -> ssl.SSLSocket:
    """A connection over TLS, open until the stack ends; its end of TLS is never answered."""
    context = ssl.create_default_context(cafile=door.service.home.tls / "certificate.pem")
    plain = stack.enter_context(door.connected(address))
    return stack.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1"))


def keep(door: LoneDoor, address: str, stack: ExitStack) -> None:
    """Keeps as many connections open as one caller may have."""
    request = REQUEST[:-2] + f"Authorization: Bearer {door.token('ada')}\r\n\r\n".encode()
    for _ in range(EACH):
        connection = secured(door, address, stack)
        connection.sendall(request)
        assert connection.recv(1 << 16)[9:12] == b"200"


def has_room(door: LoneDoor, address: str) -> bool:
    with suppress(OSError):
        return greeted(door, address) == b"401"
    return False


def test_who_says_nothing_before_tls_is_counted(tls_door: LoneDoor) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(tls_door.connected("127.0.9.1")) for _ in range(EACH)]
        with tls_door.connected("127.0.9.1") as another:
            assert ended(another), "one caller has no more handshakes"
        assert greeted(tls_door, "127.0.9.2") == b"401"
        for number in range(EACH, ALL):
            silent.append(stack.enter_context(tls_door.connected(f"127.0.10.{number}")))
        with tls_door.connected("127.0.9.3") as another:
            assert ended(another), "nor has everybody together"
        silent[0].close()
        wait_for(lambda: has_room(tls_door, "127.0.9.4"), what="the handshake that ended to make room")


def test_a_handshake_that_failed_is_not_counted(tls_door: LoneDoor) -> None:
    for _ in range(3 * EACH):
        with tls_door.connected("127.0.9.1") as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                received(connection)
    wait_for(lambda: has_room(tls_door, "127.0.9.1"), what="the handshakes that failed to make room")


def test_who_is_refused_keeps_no_connection(door: LoneDoor) -> None:
    for number in range(3 * EACH):
        with door.connected("127.0.9.1") as connection:
            wrong = f"Authorization: Bearer rt_{number:012x}_x\r\n\r\n".encode()
            connection.sendall(REQUEST[:-2] + (wrong if number % 2 else b"\r\n"))
            answer = received(connection)
        assert answer[9:12] == b"401" and b"connection: close" in answer.lower()


def test_who_has_a_token_keeps_the_connection(door: LoneDoor) -> None:
    headers = {"Authorization": f"Bearer {door.token('ada')}"}
    with closing(http.client.HTTPConnection("127.0.0.1", door.port, timeout=PATIENCE)) as client:
        client.connect()
        connection = client.sock
        for _ in range(3):
            client.request("GET", "/api/v1/user", headers=headers)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"bytes": 0}')
        assert client.sock is connection


def test_one_caller_leaves_room_for_others(door: LoneDoor) -> None:
    with ExitStack() as stack:
        for _ in range(EACH):
            stack.enter_context(door.connected("127.0.9.1"))
        with door.connected("127.0.9.1") as another:
            answer = received(another)
            assert answer[9:12] == b"503" and b"3 connections of your address" in answer
        with door.connected("127.0.9.2") as other:
            assert answered(other) == b"401"


def test_who_is_refused_and_stays_takes_nobodys_room(tls_door: LoneDoor) -> None:
    with ExitStack() as stack:
        keep(tls_door, "127.0.9.1", stack)
        for _ in range(2 * ALL):
            assert secured(tls_door, "127.0.9.1", stack).recv(12)[9:] == b"503"
        assert greeted(tls_door, "127.0.9.2") == b"401"


def test_a_crowd_that_is_refused_is_ended_at_once(tls_door: LoneDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_REFUSED", 2)
    with ExitStack() as stack:
        keep(tls_door, "127.0.9.1", stack)
        for _ in range(2):
            assert secured(tls_door, "127.0.9.1", stack).recv(12)[9:] == b"503"
        another = secured(tls_door, "127.0.9.1", stack)
        plain = stack.enter_context(closing(socket.socket(fileno=another.detach())))
        plain.settimeout(60)
        while not ended(plain):
            pass


# -- callers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("2001:db8::1", "2001:db8::ffff:1:2:3", "2001:db8:0:1::1"),
        ("fe80::1%eth0", "fe80::2%eth0", "fe80:0:0:1::1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2"),
        ("192.0.2.1", "::FFFF:192.0.2.1", "192.0.2.2"),
        ("", "", "127.0.0.1"),
    ],
)
def test_an_ipv6_network_is_one_caller(address: str, same: str, other: str) -> None:
    assert source_of(address) == source_of(same) != source_of(other)
    failures = Failures()
    failures.succeeded(address, "good")
    for number in range(MOST_BY_ADDRESS):
        failures.failed((address, same)[number % 2], "", f"guess {number}")
    assert failures.wait(same, "", "guess") > 0
    assert failures.wait(same, "", "good") == 0
    assert failures.wait(other, "", "guess") == 0
    assert failures.slowed(address) == 0 and failures.slowed(same) is None and failures.slowed(other) == 0
