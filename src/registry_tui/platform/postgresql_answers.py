"""Whether a server of PostgreSQL takes logins: a question of the protocol's first message, with a time limit.

libpq's own check (`PQping`) has no timeout, psycopg runs it while all threads are blocked, and it counts a server
without a free connection among those that take logins.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Protocol

#: Seconds that a server gets to respond.
PATIENCE = 5.0
#: The version of the protocol that every server speaks.
_PROTOCOL = 3 << 16
#: Bytes of a response that are read.
_MOST = 1 << 13
#: SQLSTATEs of a server that checks logins: a wrong user, password or kind of connection, a missing database.
_LOGIN = ("28", "3D")


class Failed(Protocol):
    """The connection that failed, as psycopg keeps it in its error."""

    @property
    def host(self) -> bytes: ...
    @property
    def hostaddr(self) -> bytes: ...
    @property
    def port(self) -> bytes: ...
    @property
    def user(self) -> bytes: ...
    @property
    def db(self) -> bytes: ...


def takes_logins(failed: Failed | None, patience: float = PATIENCE) -> bool:
    """Whether the server of a failed connection takes logins, or has refused this one.

    False while it starts, stops, has no free connection, or does not respond; None stands for no connection at all.
    """
    code = refusal(failed, patience)
    return code is not None and (not code or code.startswith(_LOGIN))


def refusal(failed: Failed | None, patience: float = PATIENCE) -> str | None:
    """The SQLSTATE with which a server refuses everybody now; empty if it asks for a login, None without a response.

    Connection slots reserved for some users, or limited for one, are refused only after the login, without a code.
    """
    if failed is None:
        return None
    try:
        return _code_of(_first_answer(failed, time.monotonic() + patience))
    except (OSError, ValueError):
        return None


def _first_answer(failed: Failed, until: float) -> bytes:
    parameters = b"user\0%b\0database\0%b\0\0" % (failed.user, failed.db)
    with _opened(failed, until) as at:
        at.sendall(struct.pack("!ii", len(parameters) + 8, _PROTOCOL) + parameters)
        answer = b""
        while len(answer) < _MOST and not _is_whole(answer):
            at.settimeout(_left(until))
            if not (more := at.recv(_MOST)):
                break
            answer += more
        return answer


def _opened(failed: Failed, until: float) -> socket.socket:
    host, port = (failed.hostaddr or failed.host).decode(), int(failed.port or b"5432")
    if not host:
        raise ValueError("the address was not understood, so no server was asked")
    if not host.startswith(("/", "@")):
        return socket.create_connection((host, port), _left(until))
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.settimeout(_left(until))
        folder = f"\0{host[1:]}" if host.startswith("@") else host
        opened.connect(f"{folder}/.s.PGSQL.{port}")
    except BaseException:
        opened.close()
        raise
    return opened


def _left(until: float) -> float:
    """Seconds that are left. Raises TimeoutError when none are."""
    if (left := until - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _is_whole(answer: bytes) -> bool:
    return len(answer) >= 5 and len(answer) > struct.unpack("!i", answer[1:5])[0]


def _code_of(answer: bytes) -> str | None:
    """The code of an error message; empty for a request for the login."""
    if answer[:1] == b"R":
        return ""
    if answer[:1] != b"E":
        return None
    fields = answer[5:].split(b"\0")
    return next((each[1:].decode("ascii", "replace") for each in fields if each[:1] == b"C"), None)
