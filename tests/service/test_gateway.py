"""The gateway's two processes: killed while they are called, asked for nonsense, half-asked, and left alone."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from backports import zstd

from registry_tui.gateway import connections
from registry_tui.gateway.words import unanswered
from registry_tui.platform.paths import GATEWAYS
from registry_tui.platform.ports import LOOPBACK
from support.gateways import Gateways, PlayedReplica, echo, gateways, problem, received
from support.platforms import PATIENCE, PLAIN, temporary_folder, wait_for
from support.team import free_port

CALLERS = 16


@pytest.fixture(scope="module")
def running() -> Iterator[Gateways]:
    """Both processes before a replica that echoes requests."""
    with temporary_folder() as folder, gateways(folder) as both:
        replica = PlayedReplica(both.home.replicas / "echo.sock", echo)
        with replica.running():
            both.route(replica.socket)
            yield both


@pytest.fixture
def served(running: Gateways) -> Gateways:
    running.route(running.home.replicas / "echo.sock")
    return running


def call(served: Gateways, content: bytes = b"1", **headers: str) -> httpx.Response:
    return httpx.post(
        served.endpoint, content=content, headers=headers, trust_env=False, verify=PLAIN, timeout=PATIENCE
    )


def head(length: object, *more: str) -> bytes:
    lines = ["POST /endpoints/access-key/invocations HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *more]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


# -- processes that end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed", GATEWAYS)
def test_no_new_connection_is_lost_when_a_process_is_killed(served: Gateways, killed: str) -> None:
    errors: list[Exception] = []
    answered = [0] * CALLERS
    stop = threading.Event()

    def callers(number: int) -> None:
        while not stop.is_set():
            with socket.socket() as connection:
                connection.settimeout(PATIENCE)
                connection.connect((LOOPBACK, served.ports.gateway))
                try:
                    connection.sendall(head(1, "Connection: close") + b"1")
                    answer = received(connection)
                    if answer:
                        assert answer.startswith(b"HTTP/1.1 200"), answer
                        answered[number] += 1
                    else:
                        raise ConnectionResetError("no answer")
                except ConnectionError as error:
                    errors.append(error)

    with ThreadPoolExecutor(CALLERS) as pool:
        done = [pool.submit(callers, number) for number in range(CALLERS)]
        wait_for(lambda: min(answered) > 3, what="all callers to be answered")
        served.kill(killed)
        before = list(answered)
        wait_for(lambda: all(a > b + 3 for a, b in zip(answered, before, strict=True)), what="answers of the other")
        served.start(killed)
        before = list(answered)
        wait_for(lambda: all(a > b + 3 for a, b in zip(answered, before, strict=True)), what="answers of both")
        stop.set()
        for each in done:
            each.result()
    # Those that the killed process had accepted itself, one of each caller at most.
    assert len(errors) <= CALLERS


def test_connections_that_wait_to_be_accepted_outlive_every_process_but_one(served: Gateways) -> None:
    """The socket is handed on: first to second, to the first's successor, to the second's successor."""
    for killed in (*GATEWAYS, *GATEWAYS):
        served.kill(killed)
        assert call(served).status_code == 200
        served.start(killed)
    wait_for(lambda: call(served).status_code == 200)


def test_a_port_of_its_own_outlives_a_killed_process(served: Gateways) -> None:
    port = free_port()
    served.route(served.home.replicas / "echo.sock", port=port)
    for name in GATEWAYS:
        assert served.ask(name, "POST", "/routes-changed").status_code == 204
    url = f"http://{LOOPBACK}:{port}/invocations"
    wait_for(lambda: httpx.post(url, content=b"1", trust_env=False, timeout=PATIENCE).status_code == 200)
    wait_for(lambda: held(served, port) == len(GATEWAYS), what="both to listen")
    for killed in GATEWAYS:
        served.kill(killed)
        assert httpx.post(url, content=b"1", trust_env=False, timeout=PATIENCE).status_code == 200
        served.start(killed)
        wait_for(lambda: held(served, port) == len(GATEWAYS), what="both to listen again")
    served.route(served.home.replicas / "echo.sock")
    for name in GATEWAYS:
        served.ask(name, "POST", "/routes-changed")
    wait_for(lambda: held(served, port) == 0, what="the port to be closed")


def held(served: Gateways, port: int) -> int:
    """Processes that hold a port's one listening socket."""
    wanted = f"{int.from_bytes(socket.inet_aton(LOOPBACK), 'little'):08X}:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    inodes = {line.split()[9] for line in lines if line.split()[1] == wanted and line.split()[3] == "0A"}
    assert len(inodes) <= 1, "each process opened a socket of its own"
    count = 0
    for process in served.processes.values():
        links = []
        for entry in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                links.append(str(entry.readlink()))
            except OSError:
                continue
        count += any(f"socket:[{inode}]" in links for inode in inodes)
    return count


def settled(served: Gateways) -> int:
    """The number of calls, once no call is being counted any more."""
    counts = [-1]

    def same() -> bool:
        counts.append(served.counted().get("requests", 0))
        return counts[-1] == counts[-2]

    wait_for(same, what="the counts to stay the same")
    return counts[-1]


def test_counts_are_those_of_both_processes_and_never_become_smaller(served: Gateways) -> None:
    calls = 40
    before = settled(served)
    for _ in range(calls):
        assert call(served).status_code == 200
    total = settled(served)
    assert total == before + calls
    shares = [served.ask(name, "GET", "/stats").json()["deployments"].get("d") for name in GATEWAYS]
    assert sum(count for share in shares if share for _, _, count in share["requests"]) == total
    for killed in GATEWAYS:
        served.kill(killed)
        assert served.counted()["requests"] == total
        served.start(killed)
        assert served.counted()["requests"] == total
    assert call(served).status_code == 200
    assert settled(served) == total + 1
    counted = served.counted()
    assert counted["requests"] == total + 1 == sum(counted["by_status"].values())
    assert sum(count for _, count in counted["histogram"]) == total + 1


def test_uses_of_keys_are_known_after_a_kill(served: Gateways) -> None:
    served.route(served.home.replicas / "echo.sock", authentication=True)
    id_, key, _ = served.key
    began = time.time()
    assert call(served).status_code == 401
    assert call(served, Authorization=f"Bearer {key}").status_code == 200
    used = max(served.ask(name, "GET", "/stats").json()["key_uses"].get(id_, 0) for name in GATEWAYS)
    assert began - 1 <= used <= time.time()
    for name in GATEWAYS:
        served.kill(name)
        served.start(name)
    assert max(served.ask(name, "GET", "/stats").json()["key_uses"].get(id_, 0) for name in GATEWAYS) == used


def test_both_processes_see_each_others_load(served: Gateways) -> None:
    """Of two replicas, eight slow calls get four each, whichever process accepts them."""
    begun = threading.Semaphore(0)
    release = threading.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        begun.release()
        await asyncio.to_thread(release.wait)
        return await echo(request)

    replicas = [PlayedReplica(served.home.replicas / f"slow-{number}.sock", slow) for number in range(2)]
    with ExitStack() as stack:
        for replica in replicas:
            stack.enter_context(replica.running())
        served.route(*(replica.socket for replica in replicas))
        with ThreadPoolExecutor(8) as pool:
            try:
                for number in range(8):
                    pool.submit(call, served)
                    assert begun.acquire(timeout=PATIENCE), f"call {number} did not arrive"
            finally:
                release.set()
    assert [len(replica.asked) for replica in replicas] == [4, 4]


# -- callers that leave -------------------------------------------------------------------------------------


def test_a_caller_that_hangs_up_ends_its_call_at_the_replica(served: Gateways) -> None:
    begun = threading.Event()

    async def forever(request: web.Request) -> web.StreamResponse:
        await request.read()
        begun.set()
        await asyncio.sleep(3600)
        return await echo(request)

    replica = PlayedReplica(served.home.replicas / "forever.sock", forever)
    with replica.running():
        served.route(replica.socket)
        before = served.counted().get("by_status", {}).get("499", 0)
        with socket.create_connection((LOOPBACK, served.ports.gateway), timeout=PATIENCE) as connection:
            connection.sendall(head(1) + b"1")
            assert begun.wait(PATIENCE)
        assert replica.hung_up.wait(PATIENCE)
        counted = wait_for(lambda: served.counted() if served.counted()["by_status"].get("499", 0) > before else None)
        assert len(replica.asked) == 1, "it was not given to it a second time"
        assert counted["by_status"]["499"] == before + 1


# -- bodies ---------------------------------------------------------------------------------------------------


def packed(data: bytes, bits: int) -> bytes:
    packing = zlib.compressobj(wbits=bits)
    return packing.compress(data) + packing.flush()


def short(value: object) -> str:
    """A part of a test's name: of a body only its length, which is the same in every worker."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", gzip.compress(b"a" * 3_000_000, mtime=0)),
        ("gzip", gzip.compress(b"a" * 1_000_000, mtime=0) + gzip.compress(b"a" * 2_000_000, mtime=0)),
        ("x-gzip", gzip.compress(b"a" * 3_000_000, mtime=0)),
        ("deflate", packed(b"a" * 3_000_000, 15)),
        ("deflate", packed(b"a" * 3_000_000, -15)),
        ("zstd", zstd.compress(b"a" * 3_000_000)),
        ("zstd", zstd.compress(b"a" * 1_000_000) + zstd.compress(b"a" * 2_000_000)),
        ("identity", b"a" * 3_000_000),
    ],
    ids=short,
)
def test_encoded_bodies_reach_the_replica_plain(served: Gateways, encoding: str, content: bytes) -> None:
    answer = call(served, content, **{"Content-Encoding": encoding})
    assert answer.status_code == 200 and answer.json()["predictions"] == "a" * 3_000_000


@pytest.mark.parametrize(
    ("encoding", "content", "status", "code"),
    [
        ("gzip", b"not gzip", 400, "encoding-broken"),
        ("gzip", gzip.compress(b"a" * 1000, mtime=0)[:-5], 400, "encoding-broken"),
        ("gzip", gzip.compress(b"a" * 1000, mtime=0) + b"more", 400, "encoding-broken"),
        ("deflate", b"\x08\xff\xff", 400, "encoding-broken"),
        ("zstd", b"not zstd", 400, "encoding-broken"),
        ("zstd", zstd.compress(b"a" * 1000)[:-5], 400, "encoding-broken"),
        ("zstd", zstd.compress(b"a" * 1000) + b"more", 400, "encoding-broken"),
        ("zstd", zstd.compress(bytes(70 << 20)), 413, "body-too-large"),
        ("zstd, gzip", b"x", 415, "encoding-unsupported"),
        ("br", b"x", 415, "encoding-unsupported"),
        ("gzip, br", b"x", 415, "encoding-unsupported"),
        ("nonsense", b"x", 415, "encoding-unsupported"),
        ("gzip", gzip.compress(bytes(70 << 20), mtime=0), 413, "body-too-large"),
    ],
    ids=short,
)
def test_bodies_that_cannot_be_unpacked_are_refused_in_a_sentence(
    served: Gateways, encoding: str, content: bytes, status: int, code: str
) -> None:
    answer = call(served, content, **{"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json; charset=utf-8"
    assert len(answer.json()["detail"].splitlines()) == 1 and answer.json()["action"]


@pytest.mark.parametrize("field", ["request", "accessKey"])
def test_a_body_nested_too_deeply_is_refused(served: Gateways, field: str) -> None:
    nested = "[" * 5000 + "]" * 5000
    content = json.dumps({"accessKey": "access-key", "request": {}})[:-1] + f', "{field}": {nested}}}'
    answer = httpx.post(f"{served.ports.gateway_url}/model", content=content, trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 400 and "nested too deeply" in answer.json()["detail"]


# -- malformed requests -----------------------------------------------------------------------------------------

KEY = b"rtk_0123456789ab_topsecret"
LINE = b"POST /endpoints/access-key/invocations HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + KEY + b"\r\n"
MALFORMED = {
    "no request": KEY + b"\r\n\r\n",
    "bytes": bytes(range(256)) + KEY + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + KEY + b"\r\n\r\n",
    "NUL in the address": b"POST /endpoints/" + KEY + b"\x00/invocations HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "NUL in a header": LINE + b"X: " + KEY + b"\x00\r\n\r\n",
    "NUL in a name": LINE + b"X\x00" + KEY + b": 1\r\n\r\n",
    "no colon": LINE + KEY + b"\r\n\r\n",
    "length of words": LINE + b"Content-Length: " + KEY + b"\r\n\r\n",
    "negative length": LINE + b"Content-Length: -5\r\n\r\n",
    "two lengths": LINE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    "length and chunks": LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "huge length": LINE + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "bad chunk size": LINE + b"Transfer-Encoding: chunked\r\n\r\n" + KEY + b"\r\n1\r\n0\r\n\r\n",
    "bad chunk end": LINE + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1" + KEY + b"\r\n0\r\n\r\n",
    "negative chunk": LINE + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + KEY + b"\r\n",
    "unknown transfer": LINE + b"Transfer-Encoding: " + KEY + b"\r\n\r\n",
    "long header": LINE + b"X: " + KEY * 5000 + b"\r\n\r\n",
    "long address": b"POST /endpoints/" + KEY * 5000 + b"/invocations HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "many headers": LINE + b"".join(b"X-%d: " % n + KEY + b"\r\n" for n in range(500)) + b"\r\n",
    "bad version": b"POST /endpoints/" + KEY + b"/invocations HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "bad method": b"P@ST /endpoints/" + KEY + b"/invocations HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bad address": b"GET http://[" + KEY + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "bad percent": b"GET /endpoints/%zz" + KEY + b"/ping?%ff=%00 HTTP/1.1\r\nConnection: close\r\n\r\n",
    "bytes in a type": LINE + b"Content-Type: application/\xff" + KEY + b"\r\nConnection: close\r\n\r\n",
    "bytes in an ID": b"GET /endpoints/" + KEY + b"/ping HTTP/1.1\r\nX-Request-ID: \xff\r\nConnection: close\r\n\r\n",
    "unknown expectation": LINE + b"Expect: " + KEY + b"\xff\r\n\r\n",
    "second request": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" + KEY + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_refused_and_not_repeated_in_the_log(served: Gateways, name: str) -> None:
    answer = served.raw(MALFORMED[name])
    last = re.split(rb"(?=HTTP/1\.[01] \d{3} )", answer)[-1]
    status = problem(last)["status"]
    assert 400 <= status < 500, answer
    assert KEY not in answer or name == "bad percent"
    wait_for(lambda: all(map(served.health, GATEWAYS)))
    assert "Traceback" not in served.log and "topsecret" not in served.log and "access-key" not in served.log


# -- time and number ----------------------------------------------------------------------------------------------


def test_half_sent_requests_are_closed(served: Gateways) -> None:
    """Sixty that send a part of a request and wait; others are answered meanwhile."""
    parts = [b"POST /endpoints/access-key", head(100)[:-2], head(100) + b"x"]
    with ExitStack() as stack:
        opened = []
        for number in range(60):
            connection = stack.enter_context(
                socket.create_connection((LOOPBACK, served.ports.gateway), timeout=PATIENCE)
            )
            connection.sendall(parts[number % len(parts)])
            opened.append(connection)
        assert call(served).status_code == 200
        with ThreadPoolExecutor(60) as pool:
            answers = list(pool.map(received, opened))
    assert {problem(answer)["code"] for answer in answers} == {"head-timeout", "body-timeout"}
    assert {problem(answer)["status"] for answer in answers} == {408}


def test_a_head_that_trickles_is_closed_too(served: Gateways) -> None:

    def trickled() -> bytes:
        """The answer; nothing when a line was sent just as it came, so that the connection was reset."""
        answer = b""
        with socket.create_connection((LOOPBACK, served.ports.gateway), timeout=PATIENCE) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\n")
            connection.settimeout(0.5)
            while not answer:
                try:
                    connection.sendall(b"X: 1\r\n")
                    answer = connection.recv(4096)
                except TimeoutError:
                    continue
                except ConnectionError:
                    return b""
            connection.settimeout(PATIENCE)
            return answer + received(connection)

    answer = wait_for(trickled, what="an answer to a head without an end")
    assert problem(answer)["code"] == "head-timeout"


def test_a_connection_without_a_request_is_closed_without_an_answer(served: Gateways) -> None:
    assert served.raw(timeout=PATIENCE) == b""


def test_kept_connections_outlive_the_time_of_a_head(served: Gateways) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    with socket.create_connection((LOOPBACK, served.ports.gateway), timeout=PATIENCE) as connection:
        connection.sendall(request + b"\r\n")
        whole = b'{"healthy": true}'
        first = b""
        while not first.endswith(whole) and (part := connection.recv(4096)):
            first += part
        assert first.startswith(b"HTTP/1.1 200")
        # Longer than a head may take, shorter than a connection is kept.
        threading.Event().wait(connections.HEAD_SECONDS + 1)
        connection.sendall(request + b"Connection: close\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 200")


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "replica", "words"),
    [
        ("deployed", True, "they are being started again"),
        ("stopped", False, "is stopped"),
        ("failed", False, "has failed"),
    ],
)
def test_what_does_not_answer_says_why_in_one_sentence(served: Gateways, state: str, replica: bool, words: str) -> None:
    served.route(*([served.home.replicas / "gone.sock"] if replica else []), state=state)
    answer = call(served)
    detail, action = unanswered("adder", state, has_replicas=replica)
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert (answer.json()["detail"], answer.json()["action"]) == (detail, action) and words in detail


# -- pages of known origins ------------------------------------------------------------------------------

PAGE = "https://app.example.com"


def test_pages_of_known_origins_may_call_and_others_may_not(served: Gateways) -> None:
    served.route(served.home.replicas / "echo.sock", origins=(PAGE,), authentication=True)
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}
    first = httpx.options(served.endpoint, headers=asked, trust_env=False, timeout=PATIENCE)
    assert first.status_code == 204 and first.headers["Access-Control-Allow-Origin"] == PAGE
    assert "Authorization" in first.headers["Access-Control-Allow-Headers"]
    page = {"Origin": PAGE, "Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"}
    # As every caller it needs an API key, and can read why it is refused.
    refused = call(served, b"1", **page)
    assert refused.status_code == 401 and refused.headers["Access-Control-Allow-Origin"] == PAGE
    served.route(served.home.replicas / "echo.sock", origins=(PAGE,))
    answer = call(served, b"1", **page)
    assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == PAGE
    for origin in ("https://example.com", f"{PAGE}.evil.example", "null"):
        other = call(served, b"1", **{**page, "Origin": origin})
        assert other.status_code == 403 and "Access-Control-Allow-Origin" not in other.headers
    assert call(served, b"1", **{**page, "Host": "evil.example"}).status_code == 403
    assert call(served, b"1", **{**page, "Content-Type": "text/plain"}).status_code == 415
    health = httpx.get(f"{served.ports.gateway_url}/health", headers=page, trust_env=False, timeout=PATIENCE)
    assert health.status_code == 403
