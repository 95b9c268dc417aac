"""Requests to attached servers of AWS carry a signature that another implementation of SigV4 makes too."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from registry_tui.service.adapters.attached_mlflow import AttachedMlflow, ServerAddress
from registry_tui.service.adapters.aws_identity import AwsIdentity
from registry_tui.service.errors import NotPermitted, WrongState

KEY, SECRET, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-west-1"


def signature(method: str, target: str, body: bytes, headers: Mapping[str, str], secret: str) -> str:
    """The `Authorization` that AWS computes for a request (Signature Version 4), from the received data."""
    parts = urlsplit(target)
    moment = headers["x-amz-date"]
    names = sorted(name for name in ("host", "x-amz-date", "x-amz-security-token") if name in headers)
    query = "&".join(
        f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in sorted(parse_qsl(parts.query, True))
    )
    canonical = "\n".join(
        [
            method,
            quote(parts.path, safe="/-_.~"),
            query,
            *(f"{name}:{headers[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{moment[:8]}/{REGION}/execute-api/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}".encode()
    signed = hmac.new(key, text, hashlib.sha256).hexdigest()
    return f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={';'.join(names)}, Signature={signed}"


@dataclass
class Gate:
    """A server that lets only signed requests in, as Amazon API Gateway does."""

    url: str
    seen: list[str] = field(default_factory=list)


@contextmanager
def gate(secret: str) -> Iterator[Gate]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            expected = signature(self.command, self.path, body, headers, secret) if "x-amz-date" in headers else "none"
            let_in = hmac.compare_digest(expected, headers.get("authorization", ""))
            opened.seen.append(f"{self.command} {self.path}")
            content = json.dumps({"body": body.decode()} if let_in else {"message": "Missing Authentication Token"})
            self.send_response(200 if let_in else 403)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        opened = Gate(f"http://127.0.0.1:{server.server_port}/stage")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield opened
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The AWS files of the account: a profile `ml`."""
    file = tmp_path / "credentials"
    file.write_text(f"[ml]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_every_request_is_signed_as_aws_computes_it() -> None:
    with gate(SECRET) as opened:
        client = AttachedMlflow(ServerAddress(opened.url, aws=AwsIdentity("ml", REGION)))
        assert client.call("POST", "runs/search", json={"filter": "tags.a = 'é'"})["body"]
        assert client.call("GET", "metrics/get-history", params={"run_id": "a b+c/é", "path": "x/y"}) == {"body": ""}
        client.close()
        assert opened.seen[0] == "POST /stage/api/2.0/mlflow/runs/search"


def test_a_signature_with_another_secret_is_refused() -> None:
    with gate("another secret") as opened:
        client = AttachedMlflow(ServerAddress(opened.url, aws=AwsIdentity("ml", REGION)))
        with pytest.raises(NotPermitted, match="Missing Authentication Token"):
            client.call("POST", "experiments/search", json={})
        client.close()


def test_a_profile_that_does_not_exist_is_reported() -> None:
    with pytest.raises(WrongState, match="no usable credentials"):
        AttachedMlflow(ServerAddress("https://mlflow.example.com", aws=AwsIdentity("none", REGION)))
