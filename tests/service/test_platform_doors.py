"""Anonymous callers reach nothing: every port and socket of a running platform, called without any key."""

from __future__ import annotations

import socket
import ssl
import stat
from contextlib import suppress
from dataclasses import asdict

import httpx
import psutil
import pytest

from registry_tui.platform import processes, supervisor
from registry_tui.platform.ports import LOOPBACK
from registry_tui.service.settings import FIRST_DEPLOYMENT_PORT, LAST_DEPLOYMENT_PORT
from support import secret_search
from support.platforms import PATIENCE, Platform

#: The ports that only the object store itself uses, by their protocol.
INNER_HTTP = ("master", "volume", "filer", "admin")
INNER_GRPC = ("master_grpc", "volume_grpc", "filer_grpc", "s3_grpc", "admin_grpc")


def test_everything_listens_on_loopback_and_on_known_ports(platform: Platform) -> None:
    ours = processes.ours(platform.home)
    listening = {
        (each.laddr.ip, each.laddr.port)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr and each.pid in ours
    }
    assert {address for address, _ in listening} == {LOOPBACK}
    deployments = range(FIRST_DEPLOYMENT_PORT, LAST_DEPLOYMENT_PORT + 1)
    assert {port for _, port in listening} - set(deployments) <= set(asdict(platform.ports).values())


def test_secrets_are_in_no_process_list_and_no_log(platform: Platform) -> None:
    plain = asdict(platform.secrets)
    keys = [plain.pop(name)["secret_access_key"] for name in ("object_store_admin", "object_store_mlflow")]
    del plain["mlflow_admin_user"]
    secrets = [value.encode() for value in (*keys, *plain.values())]
    texts = [text for text in secret_search.process_lists(platform) if text[0].endswith("cmdline")]
    texts += [text for text in secret_search.files([platform.home.logs]) if text[0].endswith(".log")]
    texts.append(("configuration", platform.home.supervisor_config.read_bytes()))
    assert len(texts) > 2 * len(supervisor.PARTS)
    for name, text in texts:
        assert not [secret for secret in secrets if secret in text], name


def test_the_folder_of_sockets_is_for_the_owner_only(platform: Platform) -> None:
    for folder in (platform.home.root, platform.home.run):
        assert folder.stat().st_mode & 0o077 == 0
    for path in platform.home.run.iterdir():
        with suppress(FileNotFoundError):  # a file that takes the place of another was there for a moment
            found = path.stat()
            if stat.S_ISREG(found.st_mode) and found.st_size:
                assert found.st_mode & 0o077 == 0, path


@pytest.mark.parametrize("port", INNER_HTTP)
def test_inner_http_ports_hang_up_on_plain_requests(platform: Platform, port: str) -> None:
    base = f"http://{LOOPBACK}:{getattr(platform.ports, port)}"
    for method, path in (
        ("GET", "/"),
        ("GET", "/status"),
        ("GET", "/metrics"),
        ("GET", "/dir/assign"),
        ("GET", "/dir/status"),
        ("GET", "/col/delete?collection=registry-tui-probe"),
        ("GET", "/buckets/?limit=10"),
        ("PUT", "/etc/iam/identity.json"),
    ):
        try:
            answer = httpx.request(method, base + path, content=b"x" if method == "PUT" else None, timeout=PATIENCE)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            continue
        assert answer.status_code == 400, (method, path)
        assert "HTTPS" in answer.text


@pytest.mark.parametrize("port", [*INNER_HTTP, *INNER_GRPC])
def test_inner_ports_want_a_certificate(platform: Platform, port: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"] if port in INNER_GRPC else ["http/1.1"])
    number = getattr(platform.ports, port)
    with (
        socket.create_connection((LOOPBACK, number), timeout=PATIENCE) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError, BrokenPipeError)),
        context.wrap_socket(plain) as door,
    ):
        # With TLS 1.3 the refusal arrives with the first read.
        door.sendall(b"GET /dir/assign HTTP/1.1\r\nHost: x\r\n\r\n")
        if not door.recv(1):
            raise ConnectionResetError


@pytest.mark.parametrize("port", INNER_GRPC)
def test_grpc_ports_answer_nothing_in_clear(platform: Platform, port: str) -> None:
    number = getattr(platform.ports, port)
    with socket.create_connection((LOOPBACK, number), timeout=PATIENCE) as door:
        # HTTP/2's preface and an empty SETTINGS frame (RFC 9113, 3.4); a server that lets us in answers with SETTINGS.
        door.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        try:
            heard = door.recv(64)
        except ConnectionResetError:
            heard = b""
    assert heard[:1] in (b"", b"\x15"), "a TLS alert or nothing"


def test_the_object_store_refuses_who_has_no_key(platform: Platform) -> None:
    base = platform.ports.s3_endpoint
    bucket = f"{base}/registry-tui-probe"
    for method, url in (
        ("GET", f"{base}/"),
        ("GET", bucket),
        ("PUT", f"{base}/somebodys-bucket"),
        ("PUT", f"{bucket}/object"),
        ("DELETE", bucket),
        ("POST", f"{bucket}?delete"),
        ("GET", f"{bucket}?policy"),
    ):
        answer = httpx.request(
            method, url, content=b"<Delete/>" if method in ("PUT", "POST") else None, timeout=PATIENCE
        )
        assert answer.status_code == 403, (method, url, answer.text)
    for action in ("ListUsers", "CreateUser&UserName=nobody", "CreateAccessKey&UserName=admin"):
        answer = httpx.post(f"{base}/?Action={action}&Version=2010-05-08", timeout=PATIENCE)
        assert answer.status_code in (400, 403), (action, answer.text)
        assert "nobody" not in answer.text and "AccessKeyId>" not in answer.text


def test_mlflow_refuses_who_has_no_password(platform: Platform) -> None:
    for method, path in (
        ("GET", "/"),
        ("POST", "/api/2.0/mlflow/experiments/search"),
        ("POST", "/api/2.0/mlflow/experiments/create"),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts"),
        ("POST", "/api/2.0/mlflow/registered-models/create"),
        ("GET", "/api/3.0/mlflow/workspaces"),
        ("POST", "/api/2.0/mlflow/users/create"),
        ("POST", "/graphql"),
        ("POST", "/v1/traces"),
    ):
        answer = httpx.request(
            method, platform.ports.mlflow_url + path, json={} if method == "POST" else None, timeout=PATIENCE
        )
        assert answer.status_code == 401, (method, path)
