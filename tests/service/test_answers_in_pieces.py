"""Answers in pieces, as server-sent events: whole, slow, broken off, and left by callers."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from registry_tui.client import RegistryClient
from registry_tui.schemas.deployments import ApiKeyCreate, Deployment
from support.platforms import PATIENCE, PLAIN, Platform, unique, wait_for
from support.served import answer, call, deploy, now, register, split


@pytest.fixture(scope="module")
def deployment(platform: Platform) -> Deployment:
    return deploy(platform, register(platform, platform.new_project(), streamable=True))


def asking(**row: Any) -> dict[str, Any]:
    """A request for an answer in pieces."""
    return {**split(**{name: [value] for name, value in row.items()}), "stream": True}


def pieces(lines: Iterator[str]) -> Iterator[Any]:
    """The data of events, as MLflow's client reads them."""
    for line in lines:
        if line:
            key, _, value = line.partition(":")
            yield json.loads(value) if key == "data" and value.strip() != "[DONE]" else line


def streamed(deployment: Deployment, **row: Any) -> list[Any]:
    url = f"{deployment.endpoint_url}/invocations"
    with httpx.stream("POST", url, json=asking(**row), timeout=PATIENCE, trust_env=False, verify=PLAIN) as response:
        assert response.headers["content-type"] == "text/event-stream"
        return list(pieces(response.iter_lines()))


def by_status(platform: Platform, deployment: Deployment) -> dict[str, int]:
    return dict(now(platform, deployment).traffic.by_status)


def test_pieces_come_one_after_the_other_and_end_with_done(deployment: Deployment) -> None:
    assert streamed(deployment, pieces=3, text="x") == [
        *({"number": number, "text": "x"} for number in range(3)),
        "data: [DONE]",
    ]


def test_a_piece_comes_before_the_next_one_is_made(deployment: Deployment, tmp_path: Path) -> None:
    url, until = f"{deployment.endpoint_url}/invocations", tmp_path / "go on"
    body = asking(pieces=2, wait_at=1, until=str(until))
    with httpx.stream("POST", url, json=body, timeout=PATIENCE, trust_env=False, verify=PLAIN) as response:
        lines = pieces(response.iter_lines())
        assert next(lines)["number"] == 0
        assert not until.exists()
        until.touch()
        assert [*lines][-1] == "data: [DONE]"


def test_curl_reads_the_same(deployment: Deployment) -> None:
    command = [
        "curl",
        "-sN",
        "--noproxy",
        "*",
        "-H",
        "Content-Type: application/json",
        "-d",
        json.dumps(asking(pieces=2)),
    ]
    run = subprocess.run(
        [*command, f"{deployment.endpoint_url}/invocations"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert [each for each in run.stdout.split("\n\n") if each] == [
        'data: {"number": 0, "text": ""}',
        'data: {"number": 1, "text": ""}',
        "data: [DONE]",
    ]


def test_without_the_field_the_answer_is_whole(deployment: Deployment) -> None:
    assert answer(deployment) == [3.0]


def test_a_model_that_cannot_gives_mlflows_answer(platform: Platform) -> None:
    served = deploy(platform, register(platform, platform.new_project()))
    assert answer(served, {**split(a=[1.0], b=[2.0]), "stream": True}) == [3.0]


def test_what_is_wrong_before_the_first_piece_is_an_ordinary_answer(deployment: Deployment) -> None:
    response = call(deployment, asking(pieces=2, raise_at=0))
    assert (response.status_code, response.json()["code"]) == (500, "model-failed")
    assert "no more of this" in response.json()["detail"]
    response = call(deployment, {"stream": True, "something": 1})
    assert response.status_code == 400


@pytest.mark.parametrize(("field", "code"), [("raise_at", "model-failed"), ("object_at", "answer-not-json")])
def test_what_goes_wrong_in_the_middle_is_an_event(
    platform: Platform, deployment: Deployment, field: str, code: str
) -> None:
    before = by_status(platform, deployment).get("500", 0)
    found = streamed(deployment, pieces=5, **{field: 2})
    assert [each["number"] for each in found[:2]] == [0, 1]
    assert (found[2]["code"], found[3:]) == (code, ["event: error"])
    assert found[2]["error"] == found[2]["detail"]
    wait_for(lambda: by_status(platform, deployment).get("500", 0) == before + 1)


def test_a_replica_that_dies_in_the_middle_is_an_event(platform: Platform, tmp_path: Path) -> None:
    served = deploy(platform, register(platform, platform.new_project(), streamable=True))
    url, until = f"{served.endpoint_url}/invocations", tmp_path / "go on"
    body = asking(pieces=5, die_at=1, wait_at=1, until=str(until))
    with httpx.stream("POST", url, json=body, timeout=PATIENCE, trust_env=False, verify=PLAIN) as response:
        lines = pieces(response.iter_lines())
        assert next(lines)["number"] == 0
        until.touch()
        failure, *rest = lines
    assert (failure["code"], rest) == ("replica-died", ["event: error"])
    wait_for(lambda: by_status(platform, served) == {"502": 1})


def test_a_caller_who_leaves_ends_the_generator(platform: Platform, deployment: Deployment, tmp_path: Path) -> None:
    before, log = by_status(platform, deployment).get("499", 0), tmp_path / "log"
    url = f"{deployment.endpoint_url}/invocations"
    body = asking(pieces=1_000_000, text="x", size=1000, log=str(log))
    with httpx.stream("POST", url, json=body, timeout=PATIENCE, trust_env=False, verify=PLAIN) as response:
        assert next(pieces(response.iter_lines()))["number"] == 0
    wait_for(log.exists)
    # Its thread is free again.
    assert answer(deployment) == [3.0]
    wait_for(lambda: by_status(platform, deployment).get("499", 0) == before + 1)


def test_a_slow_reader_is_waited_for_and_nothing_piles_up(deployment: Deployment, tmp_path: Path) -> None:
    until, log = tmp_path / "far", tmp_path / "log"
    # The model would write 40 MB; it stands still once buffers are full, long before its middle.
    count = 400
    body = json.dumps(asking(pieces=count, text="x", size=100_000, wait_at=count // 2, until=str(until), log=str(log)))
    address = urlsplit(deployment.endpoint_url)
    with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
        head = f"POST {address.path}/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        caller.sendall(f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        time.sleep(1)
        assert not log.exists()
        until.touch()
        received = b""
        while chunk := caller.recv(1 << 20):
            received = received[-100:] + chunk
    assert b"[DONE]" in received
    wait_for(log.exists)


def test_the_documented_call_says_where_pieces_are_had(deployment: Deployment) -> None:
    url = deployment.endpoint_url.partition("/endpoints/")[0]
    request = {"accessKey": deployment.access_key, "request": asking(pieces=2)}
    response = httpx.post(f"{url}/model", json=request, timeout=PATIENCE, trust_env=False, verify=PLAIN)
    assert (response.status_code, response.json()["code"]) == (400, "stream-elsewhere")


def test_pieces_need_an_api_key_where_calls_do(platform: Platform) -> None:
    served = deploy(platform, register(platform, platform.new_project(), streamable=True), authentication=True)
    assert call(served, asking(pieces=2)).status_code == 401
    key = platform.call(RegistryClient.create_key, ApiKeyCreate(name=unique("key"))).key
    assert call(served, asking(pieces=1), headers={"Authorization": f"Bearer {key}"}).text.endswith("[DONE]\n\n")
