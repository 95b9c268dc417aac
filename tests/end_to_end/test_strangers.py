"""A stranger's walk over every socket of a platform: another account of the machine, and a web page in a browser."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from registry_tui.contracts import issuers
from registry_tui.platform.ports import LOOPBACK
from registry_tui.schemas.deployments import Deployment
from support import foreign_pages, served, strangers
from support.browser import Browser, browsing
from support.lone_doors import lone_door, really
from support.platforms import Platform, unique, wait_for
from support.strangers import Listener

#: Bodies that a page can send to any address without the browser asking first, with their types; the last has none.
FORMS = (
    ('{"name": "NAME", "username": "NAME", "password": "0123456789abcdef"}', "text/plain"),
    (
        "name=NAME&username=NAME&password=0123456789abcdef&Action=CreateUser&UserName=NAME",
        "application/x-www-form-urlencoded",
    ),
    ('--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nNAME\r\n--x--\r\n', "multipart/form-data; boundary=x"),
    ('{"name": "NAME"}', ""),
)
#: Requests that would make, change or reveal something.
TARGETS = (
    *("/", "/status", "/healthz", "/health", "/version", "/metrics", "/debug/pprof/", "/favicon.ico"),
    *("/api/2.0/mlflow/experiments/create", "/ajax-api/2.0/mlflow/experiments/create", "/graphql", "/signup"),
    *("/api/2.0/mlflow/experiments/search", "/api/2.0/mlflow/users/create", "/api/2.0/mlflow/users/create-ui"),
    *("/api/2.0/mlflow-artifacts/artifacts", "/v1/traces", "/static-files/index.html", "/openapi.json", "/docs"),
    *("/model", "/ping", "/invocations", "/NAME", "/?Action=CreateUser&UserName=NAME&Version=2010-05-08"),
)
#: The status codes with which the object store refuses callers without a key.
REFUSED = (400, 403, 405)
_STORE_OPEN = strangers.PORTS["s3"].open
REACH = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        print("reached", path)
    except PermissionError:
        print("refused", path)
"""


@dataclass(frozen=True)
class Open:
    """A deployment that everybody who reaches its ports may call."""

    deployment: Deployment

    @property
    def port(self) -> int:
        assert self.deployment.port is not None
        return self.deployment.port

    def targets(self, name: str) -> tuple[str, ...]:
        if name == "gateway":
            access_key = self.deployment.access_key
            return (
                f"/endpoints/{access_key}/ping",
                f"/endpoints/{access_key}/invocations",
                f"/model?accessKey={access_key}",
            )
        return ()


@pytest.fixture(scope="module")
def opened(platform: Platform) -> Iterator[Open]:
    model = served.register(platform, platform.new_project())
    yield Open(deployment := served.deploy(platform, model, own_port=True, authentication=False))
    served.take_away([(platform, deployment.id)])


def found(platform: Platform, opened: Open) -> set[Listener]:
    """Every listener, the deployment's port among them."""

    def look() -> set[Listener] | None:
        all_ = strangers.listeners(platform)
        return all_ if opened.port in {each.port for each in all_} else None

    return wait_for(look, what="the deployment's port to be opened")


def test_every_socket_has_its_row_and_is_of_this_machine(platform: Platform, opened: Open) -> None:
    kinds: dict[str, int] = {}
    for listener in found(platform, opened):
        name, _ = strangers.row_of(platform, listener)
        kinds[name.partition("/")[0]] = kinds.get(name.partition("/")[0], 0) + 1
        assert listener.port == 0 or listener.address == LOOPBACK
    # The search finds everything: every port, and sockets of every kind.
    assert {*strangers.PORTS, "service.sock", "gateway.sock", "gateway-2-ports.sock", "replicas"} <= kinds.keys()


def test_a_new_socket_without_a_row_is_reported(platform: Platform) -> None:
    for unknown in (
        Listener("service", LOOPBACK, 8080),
        Listener("gateway", "0.0.0.0", platform.ports.gateway),
        Listener("mlflow", "::", platform.ports.mlflow),
        Listener("service", "/tmp/new.sock"),
        Listener("service", f"{platform.home.run}/new.sock"),
        Listener("service", "@abstract"),
    ):
        with pytest.raises(LookupError, match="strangers"):
            strangers.row_of(platform, unknown)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_account_reaches_no_unix_socket(platform: Platform, opened: Open) -> None:
    paths = sorted(each.address for each in found(platform, opened) if not each.port and Path(each.address).exists())
    assert len(paths) > 8
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", REACH, *paths], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.splitlines() == [f"refused {path}" for path in paths]


def caller(port: int) -> httpx.Client:
    """A client of one port. It verifies nothing, because reading certificates for each takes long."""
    transport = httpx.HTTPTransport(verify=False, trust_env=False)
    return httpx.Client(transport=transport, base_url=f"http://{LOOPBACK}:{port}", timeout=300)


def ask(http: httpx.Client, method: str, target: str, headers: dict[str, str], body: str = "") -> httpx.Response | None:
    """An answer, or None when the port hangs up."""
    try:
        return http.request(method, target, headers=headers, content=body or None)
    except httpx.TransportError:
        return None


def lets_page_read(answer: httpx.Response, origin: str | None) -> bool:
    """Whether a browser would hand the answer to a page that sends credentials (Fetch standard, CORS check)."""
    return origin is not None and answer.headers.get("access-control-allow-origin") == origin


def test_who_has_no_credentials_learns_nothing_and_changes_nothing(platform: Platform, opened: Open) -> None:
    asked = 0
    for name, port, row in strangers.http_ports(platform, found(platform, opened)):
        if name == "deployment":
            continue  # this one is open to everybody who reaches it; pages are refused: see below
        mine = unique("stranger")
        with caller(port) as http:
            for target in (each.replace("NAME", mine) for each in TARGETS):
                for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
                    answer = ask(http, method, target, {}, "{}" if method in ("POST", "PUT", "PATCH") else "")
                    asked += 1
                    if answer is None or answer.status_code >= 400:
                        assert answer is None or answer.status_code < 500, (name, method, target, answer.text)
                        continue
                    assert method in ("GET", "HEAD") and target in row.open, (name, method, target, answer.text)
        assert not exists(platform, mine)
    assert asked > 300


def test_a_page_in_a_browser_learns_nothing_and_changes_nothing(platform: Platform, opened: Open) -> None:
    """With a browser's stored credentials:

    MLflow's password is sent with every request, also with those of foreign pages.
    """
    secrets = platform.secrets
    kept = httpx.BasicAuth(secrets.mlflow_admin_user, secrets.mlflow_admin_password)._auth_header
    asked = 0
    for name, port, row in strangers.http_ports(platform, found(platform, opened)):
        credentials = {"Authorization": kept} if name == "mlflow" else {}
        mine = unique("page")
        forms = cycle([("POST", body.replace("NAME", mine), type_) for body, type_ in FORMS])
        with caller(port) as http:
            for target in (each.replace("NAME", mine) for each in (*TARGETS, *opened.targets(name))):
                for page, headers in strangers.pages(port).items():
                    for method, body, type_ in (("GET", "", ""), next(forms)):
                        sent = {**credentials, **headers, **({"Content-Type": type_} if type_ else {})}
                        answer = ask(http, method, target, sent, body)
                        asked += 1
                        if answer is None:
                            continue
                        at = (name, page, method, target, type_, answer.status_code, answer.text[:300])
                        assert not lets_page_read(answer, headers.get("Origin")), at
                        if name == "s3":  # it has no check of its own, and a page has no key for it
                            assert answer.status_code in REFUSED or (method == "GET" and target in row.open), at
                        else:
                            assert answer.status_code == 403, at
        assert not exists(platform, mine)
    assert asked > 1000


def exists(platform: Platform, name: str) -> bool:
    """Whether something of this name was made in MLflow or in the object store."""
    secrets = platform.secrets
    auth = (secrets.mlflow_admin_user, secrets.mlflow_admin_password)
    with httpx.Client(base_url=platform.ports.mlflow_url, auth=auth, trust_env=False, timeout=300) as http:
        experiment = http.get("/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": name})
        user = http.get("/api/2.0/mlflow/users/get", params={"username": name})
        assert {experiment.status_code, user.status_code} <= {200, 404}, (experiment.text, user.text)
        return 200 in (experiment.status_code, user.status_code) or name in buckets(platform)


def buckets(platform: Platform) -> list[str]:
    from registry_tui.platform.s3 import s3_client

    found = s3_client("s3", platform.ports.s3_endpoint, platform.secrets.object_store_admin).list_buckets()
    return [bucket["Name"] for bucket in found["Buckets"]]


#: A foreign page's attempts at each port: to make something, or to read something.
BROWSED = {
    "mlflow": (
        *("/", "/health", "/version", "/static-files/index.html", "/graphql", "/api/2.0/mlflow/users/create"),
        *("/api/2.0/mlflow/experiments/create", "/ajax-api/2.0/mlflow/experiments/create", "/v1/traces"),
        "/ajax-api/2.0/mlflow/experiments/search?max_results=5",
    ),
    "gateway": ("/", "/health", "/metrics", "/model"),
    "deployment": ("/", "/model", "/ping", "/invocations"),
    "s3": ("/", "/status", "/NAME", "/NAME/key", "/?Action=CreateUser&UserName=NAME&Version=2010-05-08"),
    "listener": (
        *("/", "/api/v1/health", "/api/v1/environments", "/api/v1/openapi.json", "/service/public/v2/api/policy"),
        *(issuers.WAYS, issuers.BY_ID_TOKEN, issuers.NEW_CODE, "/mlflow/version", "/mlflow/graphql", "/model"),
    ),
}


def test_foreign_pages_in_a_real_browser_learn_nothing_and_change_nothing(
    platform: Platform, opened: Open, tmp_path: Path
) -> None:
    """Of another site, of another port of this machine, and behind a name that is now this machine's.

    The browser keeps MLflow's password, which somebody typed there.
    """
    secrets = platform.secrets
    with ExitStack() as stack:
        port = stack.enter_context(foreign_pages.foreign_page())
        door = stack.enter_context(lone_door(tmp_path))
        door.parts["service"].handler = really(door.service)
        doors = {name: number for name, number, _ in strangers.http_ports(platform, found(platform, opened))}
        doors["listener"] = door.port
        assert doors.keys() == BROWSED.keys()
        browser = stack.enter_context(browsing({"evil.example": LOOPBACK, "rebound.example": foreign_pages.REBOUND}))
        signed_in = f"{secrets.mlflow_admin_user}:{secrets.mlflow_admin_password}@{LOOPBACK}:{platform.ports.mlflow}"
        browser.open(f"http://{signed_in}/version")
        own = browser.run("fetch(location.origin + '/api/2.0/mlflow/users/current').then((answer) => answer.status)")
        assert own == 200, "the browser keeps the password, and a page of MLflow's own may use it"
        for page, host in (("evil.example", LOOPBACK), (LOOPBACK, LOOPBACK), (LOOPBACK, "localhost")):
            mine = unique("page")
            browser.open(f"http://{page}:{port}/")
            seen = tried(browser, [f"http://localhost:{port}/open"], mine)
            assert {way for way, *_ in seen} >= {"fetch", "PUT", "image", "script", "events"}, "each way works"
            for name, number in doors.items():
                paths = (*BROWSED[name], *opened.targets(name))
                addresses = [f"http://{host}:{number}{path.replace('NAME', mine)}" for path in paths]
                learned = [each for each in tried(browser, addresses, mine) if not (name == "s3" and said_no(*each))]
                assert learned == [], (page, host, name)
            assert not exists(platform, mine)
        for name, number in doors.items():
            mine = unique("page")
            path = stack.enter_context(foreign_pages.rebound(number))
            browser.open(f"http://rebound.example:{number}{path}")
            targets = [each.replace("NAME", mine) for each in (*BROWSED[name], *opened.targets(name))]
            learned = tried(browser, [f"http://rebound.example:{number}{each}" for each in targets], mine)
            # A page may read all of its own site: there are answers, and each refuses.
            assert len([each for each in learned if each[0] == "fetch"]) == len(targets), (name, learned)
            for way, address, status, text in learned:
                refused = {"s3": said_no, "listener": wants_token}.get(name, refused_page)
                assert refused(way, address, status, text), (name, way, address, status, text)
            assert not exists(platform, mine)
        passed = {path for _, path in door.parts["service"].asked}
        assert passed <= {issuers.WAYS, issuers.BY_ID_TOKEN, issuers.NEW_CODE}, "what asks for no token"
        assert door.parts["mlflow"].asked == [] == door.parts["gateway"].asked


def refused_page(way: str, address: str, status: int | str, text: str) -> bool:
    """Whether a page behind a foreign name was refused as such; of a form, only the answer's text can be read."""
    return "does not belong to this machine" in text if way == "form" else status == 403


def wants_token(way: str, address: str, status: int | str, text: str) -> bool:
    """Whether the listener refused a caller without a token: it may be called by any name."""
    if way == "form":
        return '"code"' in text or "error_code" in text
    return (isinstance(status, int) and status >= 400) or address.endswith(issuers.WAYS)


def said_no(way: str, address: str, status: int | str, text: str) -> bool:
    """Whether the object store revealed no more than that it runs and that a key is missing.

    It has no check of its own, lets every page read its responses (`Access-Control-Allow-Origin: *`, with every value
    of
    its option), and a page has no key for it.
    """
    if way == "form" or status != 200:
        return not text or "<Error>" in text
    return not text and urlsplit(address).path in _STORE_OPEN


def tried(browser: Browser, addresses: list[str], mine: str) -> list[tuple[str, str, int | str, str]]:
    """By which ways a page learned something at these addresses: way, address, status, text."""
    return [tuple(each) for each in browser.run(f"({foreign_pages.TRY})({json.dumps(addresses)}, {json.dumps(mine)})")]


def test_preflights_and_websockets_of_pages_are_refused(platform: Platform, opened: Open) -> None:
    wanted = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    upgrade = {
        **{"Origin": "https://evil.example", "Connection": "Upgrade", "Upgrade": "websocket"},
        **{"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"},
    }
    for name, port, _ in strangers.http_ports(platform, found(platform, opened)):
        with caller(port) as http:
            for target in ("/", "/model", "/bucket/key", "/graphql", *opened.targets(name)):
                for origin in ("https://evil.example", "null", f"http://{LOOPBACK}:1"):
                    answer = ask(http, "OPTIONS", target, {"Origin": origin, **wanted})
                    if answer is not None:
                        at = (name, target, origin, answer.status_code, answer.headers)
                        assert answer.status_code >= 400 and not lets_page_read(answer, origin), at
                answer = ask(http, "GET", target, upgrade)
                assert answer is None or answer.status_code in (403, 404, 405), (name, target, answer.status_code)


def test_the_service_refuses_pages_where_somebody_forwards_its_socket(platform: Platform) -> None:
    name = unique("page")
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    with httpx.Client(transport=transport, base_url="http://127.0.0.1:8080", timeout=300) as http:
        for page, headers in strangers.pages(8080).items():
            assert http.get("/api/v1/users", headers=headers).status_code == 403, page
            for body, type_ in (*FORMS, (json.dumps({"name": name}), "application/json")):
                sent = {**headers, **({"Content-Type": type_} if type_ else {})}
                made = http.post("/api/v1/environments", content=body.replace("NAME", name), headers=sent)
                assert made.status_code == 403 and made.json()["code"] == "foreign-page", (page, type_)
        for body, type_ in FORMS[:3]:
            made = http.post("/api/v1/environments", content=body, headers={"Content-Type": type_})
            assert made.status_code == 415 and "application/json" in made.json()["action"]
        assert name not in http.get("/api/v1/environments", params={"page_size": 500}).text
        assert http.get("/api/v1/users", headers={"Origin": "http://127.0.0.1:8080"}).is_success


def test_programs_reach_an_open_deployment_where_pages_do_not(platform: Platform, opened: Open) -> None:
    body = served.split(a=[1.0], b=[2.0])
    assert served.answer(opened.deployment, body) == [3.0]
    wrapped: dict[str, Any] = {"accessKey": opened.deployment.access_key, "request": body}
    for port in (platform.ports.gateway, opened.port):
        with caller(port) as http:
            for host in (f"{LOOPBACK}:{port}", f"localhost:{port}", "localhost"):
                answer = http.post("/model", json=wrapped, headers={"Host": host})
                assert answer.is_success and answer.json()["response"]["predictions"] == [3.0]
            for page, headers in strangers.pages(port).items():
                refused = http.post("/model", json=wrapped, headers=headers)
                assert refused.status_code == 403, page
                assert refused.json()["code"] == "foreign-page" and "127.0.0.1" in refused.json()["action"]
            typed = http.post("/model", content=json.dumps(wrapped), headers={"Content-Type": "text/plain"})
            assert typed.status_code == 415 and typed.json()["code"] == "wrong-type"


def test_ports_for_the_object_store_itself_want_a_certificate(platform: Platform, opened: Open) -> None:
    inner = [each for each in found(platform, opened) if strangers.row_of(platform, each)[1].kind == "certificate"]
    assert len(inner) == 9
    for listener in inner:
        for protocol in ("http/1.1", "h2"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols([protocol])
            with (
                socket.create_connection((LOOPBACK, listener.port), timeout=300) as plain,
                pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)),
                context.wrap_socket(plain) as door,
            ):
                door.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                if not door.recv(1):  # with TLS 1.3 the refusal arrives with the first read
                    raise ConnectionResetError
        # In clear: Go's servers answer that they want HTTPS, or hang up.
        with caller(listener.port) as http:
            answer = ask(http, "GET", "/", {"Host": "evil.example"})
        assert answer is None or (answer.status_code == 400 and "HTTPS" in answer.text)
