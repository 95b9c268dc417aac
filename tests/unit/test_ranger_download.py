"""How policies of an outside Ranger are fetched: within a time, however slowly they come."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from registry_tui.schemas.ranger import ServicePolicies
from registry_tui.service.ranger import outside
from registry_tui.service.ranger.definitions import S3
from registry_tui.service.ranger.outside import Address, SourceProblem

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def answering(whole: bytes, dripping: bytes = b"") -> Iterator[Address]:
    """A Ranger that answers this, and then one byte after the other without an end until the block does."""
    ended = threading.Event()

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(whole)
            while dripping and not ended.wait(0.02):
                try:
                    connection.sendall(dripping)
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        try:
            yield Address(f"http://127.0.0.1:{listener.getsockname()[1]}", "cm_s3", None, None)
        finally:
            ended.set()
            thread.join(30)


def test_policies_that_come_whole_are_read() -> None:
    body = ServicePolicies(service_name="cm_s3", policy_version=7, policies=[], service_def=S3)
    sent = body.model_dump_json(by_alias=True, exclude_none=True).encode()
    with answering(HEAD % len(sent) + sent) as address:
        found = outside.download(address)
    assert found is not None and found.policy_version == 7


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nX: ", HEAD % (1 << 20)], ids=["head", "body"])
def test_a_ranger_that_sends_a_byte_now_and_then_holds_nobody(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(outside, "WHOLE_SECONDS", 0.5)
    with answering(begun, b" ") as address, pytest.raises(SourceProblem) as caught:
        outside.download(address)
    assert "did not send its policies within 0.5 seconds" in caught.value.detail
    assert "ranger source show" in str(caught.value.action)
