"""A server of PostgreSQL that lets nobody in: which answers end the waiting, and that none stops the other threads."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
import pytest
from psycopg.errors import FinishedPGconn

from registry_tui.platform import postgresql
from registry_tui.platform.databases import database_fault, is_lost_connection
from registry_tui.platform.postgresql_answers import takes_logins

ASKS_FOR_PASSWORD = b"R" + struct.pack("!ii", 8, 3)


def refusal(code: str) -> bytes:
    """A server's error with an SQLSTATE."""
    fields = f"SFATAL\0VFATAL\0C{code}\0Mno\0\0".encode()
    return b"E" + struct.pack("!i", len(fields) + 4) + fields


@contextmanager
def server(*answers: bytes | None) -> Iterator[int]:
    """The port of a server that gives each connection its answer, the last one to all that follow; None is silent."""
    listener, ends, open_ = socket.create_server(("127.0.0.1", 0)), threading.Event(), list[socket.socket]()

    def serve() -> None:
        left = list(answers)
        while not ends.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_.append(connection)
            _give(connection, left.pop(0) if len(left) > 1 else left[0])

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ends.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for each in open_:
            each.close()


def _give(connection: socket.socket, answer: bytes | None) -> None:
    if answer is None:
        return
    with suppress(OSError):  # the client may have gone
        connection.recv(1 << 13)
        connection.sendall(answer)
    connection.close()


def address(port: int) -> str:
    return f"postgresql://ann:secret@127.0.0.1:{port}/models?sslmode=disable"


@pytest.mark.parametrize("code", ["53300", "57P01", "57P02", "57P03"])
def test_a_server_without_a_free_connection_or_that_ends_is_waited_for(code: str) -> None:
    with server(refusal(code)) as port, pytest.raises(psycopg.OperationalError) as failed:
        postgresql.connect(address(port), patience=0.1)
    fault = database_fault(failed.value)
    assert fault is not None and not fault.final and is_lost_connection(failed.value)


@pytest.mark.parametrize("answer", [refusal("28P01"), refusal("28000"), refusal("3D000")])
def test_a_login_that_is_refused_again_and_again_is_wrong(answer: bytes) -> None:
    with server(answer) as port, pytest.raises(psycopg.OperationalError) as failed:
        postgresql.connect(address(port), patience=20)
    fault = database_fault(failed.value)
    assert fault is not None and fault.final and not is_lost_connection(failed.value)


def test_a_login_that_was_right_before_is_waited_for() -> None:
    with server(refusal("28P01")) as port, pytest.raises(psycopg.OperationalError) as failed:
        postgresql.connect(address(port), patience=0.1, worked=True)
    assert is_lost_connection(failed.value)


@pytest.mark.parametrize("after", [refusal("53300"), refusal("57P01")])
def test_a_server_that_comes_up_between_the_attempt_and_the_question_refuses_nobody(after: bytes) -> None:
    with server(refusal("57P03"), ASKS_FOR_PASSWORD, after) as port, pytest.raises(psycopg.OperationalError) as failed:
        postgresql.connect(address(port), patience=0)
    assert is_lost_connection(failed.value)


def test_a_server_that_falls_silent_stops_no_other_thread() -> None:
    """Each question has a time limit, and is asked beside the other threads."""
    with server(None) as port:
        asked = FinishedPGconn(host=b"127.0.0.1", port=str(port).encode(), user=b"ann", db=b"models")
        found: list[bool] = []
        asking = threading.Thread(target=lambda: found.append(takes_logins(asked, patience=0.3)))
        asking.start()
        asking.join(60)
        assert found == [False]


@pytest.mark.parametrize("answers", [(b"",), (b"HTTP/1.1 400 Bad Request\r\n\r\n",), (b"E\0\0\0\4",), (b"E\0\0",)])
def test_a_server_that_is_another_kind_of_server_takes_no_logins(answers: Sequence[bytes]) -> None:
    with server(*answers) as port:
        asked = FinishedPGconn(host=b"127.0.0.1", port=str(port).encode(), user=b"ann", db=b"models")
        assert not takes_logins(asked)
    assert not takes_logins(asked), "nobody listens there now"
    assert not takes_logins(None) and not takes_logins(FinishedPGconn())
