"""A proxy of the caller's shell: it carries TLS that it cannot read, and nothing else that holds a token."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry_tui.cli.main import app
from registry_tui.client import tls
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import ServiceUnavailable, UntrustedCertificate
from registry_tui.platform import contexts, server_certificate
from registry_tui.platform.contexts import Context
from registry_tui.platform.listening import fingerprint, server_context
from registry_tui.schemas.places import ProjectCredentials

TOKEN = "rt_1_secret"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass
class Heard:
    """An HTTP server, the address where it listens, and the requests that came: their first line and all headers."""

    host: str
    port: int
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def listening(host: str, status: int, body: bytes) -> Iterator[Heard]:
    """A server with one response to everything, which records its requests."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            heard.requests.append(f"{self.requestline}\n{self.headers}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_CONNECT = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((host, 0), Handler) as server:
        heard = Heard(host, server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield heard
        server.shutdown()
        thread.join(10)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """The proxy that every variable of the shell names."""
    for heard in listening("127.0.0.1", 502, b""):
        for name in PROXY_VARIABLES:
            monkeypatch.setenv(name, heard.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield heard


@pytest.fixture
def service() -> Iterator[Heard]:
    """A service elsewhere on this machine, at an address that nobody excepts from proxies."""
    credentials = ProjectCredentials(
        tracking_uri="http://127.0.0.9:8080/mlflow/projects/p", mlflow_workspace="w", username="ada", password=""
    )
    yield from listening("127.0.0.9", 200, credentials.model_dump_json().encode())


async def test_a_token_without_tls_goes_to_its_service_and_no_proxy(service: Heard, proxy: Heard) -> None:
    for client in (
        RegistryClient(context=Context("a", service.url, token=TOKEN)),
        RegistryClient(base_url=service.url.replace("http", "HTTP"), token=TOKEN),
    ):
        async with client:
            await client.credentials("p")
    assert [TOKEN in request for request in service.requests] == [True, True]
    assert proxy.requests == []


async def test_a_token_within_tls_goes_through_the_proxy_that_cannot_read_it(proxy: Heard) -> None:
    async with RegistryClient(context=Context("lab", "https://models.lab:8443", token=TOKEN)) as client:
        with pytest.raises(ServiceUnavailable):
            await client.whoami()
    assert proxy.requests and all(each.startswith("CONNECT models.lab:8443") for each in proxy.requests)
    assert not any(TOKEN in request for request in proxy.requests)


def test_exports_keep_what_can_be_read_from_the_proxy(
    service: Heard, proxy: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(contexts.FOLDER_VARIABLE, str(tmp_path))
    contexts.keep(Context("a", service.url, token=TOKEN))
    monkeypatch.setenv(contexts.VARIABLE, "a")
    printed = CliRunner().invoke(app, ["env", "--project", "p", "--json"])
    assert printed.exit_code == 0, printed.output
    exports = json.loads(printed.stdout)
    assert exports["MLFLOW_TRACKING_TOKEN"] == TOKEN
    for name in ("NO_PROXY", "no_proxy"):
        assert {"127.0.0.9", "127.0.0.1"} <= set(exports[name].split(","))
    assert proxy.requests == []


# -- signing in ----------------------------------------------------------------------------------------------


class Tunnels:
    """A proxy that leads to one service for every requested name, and that service, which reads the data."""

    def __init__(self, folder: Path) -> None:
        made, key = server_certificate.make(["models.test"])
        self.pinned = folder / "c.pem"
        self.pinned.write_text(made)
        (folder / "k.pem").write_text(key)
        self.context = server_context(self.pinned, folder / "k.pem")
        self.asked: list[bytes] = []
        self.read: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (part := connection.recv(65_536)):
                    head += part
                self.asked.append(head.partition(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with suppress(OSError), self.context.wrap_socket(connection, server_side=True) as secured:
                    self.read.append(secured.recv(65_536))

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(10)


@pytest.fixture
def tunnels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tunnels]:
    running = Tunnels(tmp_path)
    for name in (*PROXY_VARIABLES, "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", running.url)
    yield running
    running.close()


def test_the_certificate_is_looked_at_through_the_proxy_that_the_token_will_go_through(tunnels: Tunnels) -> None:
    url = "https://models.test:8443"
    assert tls.fingerprint(tls.certificate_of(url)) == fingerprint(tunnels.pinned)
    tls.check(url, str(tunnels.pinned))
    with pytest.raises(UntrustedCertificate, match="not signed by anybody"):
        tls.check(url)
    with pytest.raises(UntrustedCertificate, match=r"for other names than other\.test"):
        tls.check("https://other.test", str(tunnels.pinned))
    assert tunnels.asked == [b"CONNECT models.test:8443 HTTP/1.1"] * 3 + [b"CONNECT other.test:443 HTTP/1.1"]
    assert b"".join(tunnels.read) == b"", "no request is sent before the certificate is trusted"


def test_a_service_that_is_excepted_from_the_proxy_is_asked_directly(
    tunnels: Tunnels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "models.test")
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        tls.certificate_of("https://models.test:8443")
    assert tunnels.asked == []


def test_a_proxy_that_leads_nowhere_is_named(proxy: Heard) -> None:
    with pytest.raises(ServiceUnavailable, match="The proxy of this shell") as caught:
        tls.certificate_of("https://models.test:8443")
    assert "HTTPS_PROXY" in (caught.value.action or "")


def test_an_address_without_tls_says_so(service: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServiceUnavailable, match="does not speak TLS"):
        tls.certificate_of(service.url.replace("http:", "https:"))
    with pytest.raises(ServiceUnavailable, match="Connection refused"):
        tls.certificate_of("https://127.0.0.1:1")
