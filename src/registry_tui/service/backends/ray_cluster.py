"""A Ray cluster's REST API: the Serve applications of a cluster, and the packages that they are made of.

Facts of Ray 2.60: `PUT /api/serve/applications/` removes every application that it does not list; the addresses of
Serve's proxy cannot be changed while it runs; the token is a single secret that permits running any code in the
cluster.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from registry_tui.service.backends import ray_proxies
from registry_tui.service.backends.base import Cluster
from registry_tui.service.errors import InvalidInput, PartUnavailable, WrongState

#: The prefix of the names of registries' applications.
PREFIX = "rt--"
_APPLICATIONS = "/api/serve/applications/"
_NODES = "/api/v0/nodes"
#: Nodes that are looked at: more than a cluster of Ray's has.
_MOST_NODES = 10_000
#: Timeout of a response in seconds; the first one after the cluster's start takes long.
_SECONDS = 60.0
#: The oldest Ray whose replicas know their rank.
OLDEST = (2, 51)
#: Seconds for which Serve keeps a connection open that nothing is sent on: longer than the gateway does.
_KEPT_SECONDS = 75


def urls_of(address: str) -> list[str]:
    """The URLs to connect to for a cluster's address: one for each IP address of its host, all of them checked.

    Over plain HTTP, the token is sent to loopback and private addresses only; link-local ones, where clouds serve
    machines' secrets, never get a request. Raises InvalidInput for an invalid or untrusted address.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    # The header Host has the address as it is: names beyond ASCII are given in their encoded form.
    fits = host and address.isascii() and "@" not in parts.netloc
    if not fits or parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.query:
        raise InvalidInput(
            f"{address[:200]!r} is not the address of a Ray cluster's dashboard",
            action="Give it as http://HOST:8265",
        )
    try:
        found = {str(each[4][0]): None for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise InvalidInput(f"The host {host} is not known here", action="Check the address") from error
    for each in map(ray_proxies.ip_of, found):
        if each.is_link_local or each.is_unspecified or each.is_multicast:
            raise InvalidInput(f"{host} is {each}, which is not a machine of a cluster", action="Check the address")
        if parts.scheme == "http" and not (each.is_loopback or each.is_private):
            raise InvalidInput(
                f"{host} is {each}, a public address: the cluster's token would cross the network readable",
                action="Use https://, or an address of a private network",
            )
    at = f":{port}" if port else ""
    return [f"{parts.scheme}://{f'[{each}]' if ':' in each else each}{at}" for each in found]


class TokenRefused(PartUnavailable):
    """The cluster does not know the token any more."""


class RayCluster:
    """One cluster. Every method may raise PartUnavailable."""

    def __init__(self, cluster: Cluster, locks: Path) -> None:
        self.cluster = cluster
        self._lock = locks / f"ray-{hashlib.sha256(cluster.address.encode()).hexdigest()[:16]}.lock"

    def check(self) -> str:
        """Tries address and token; returns Ray's version. Raises InvalidInput when the cluster cannot be used."""
        urls_of(self.cluster.address)
        try:
            version = str(self._json("GET", "/api/version").get("ray_version", ""))
        except TokenRefused as error:
            raise InvalidInput(error.detail, action=error.action) from error
        if self._answer("GET", "/api/version", authorized=False).status_code == httpx.codes.OK:
            raise InvalidInput(
                "The cluster requires no token: everybody who reaches it can run programs there and read its models",
                action="Start it with RAY_AUTH_MODE=token",
            )
        numbers = tuple(int(each) for each in version.split(".")[:2] if each.isdigit())
        if numbers < OLDEST:
            raise InvalidInput(
                f"The cluster runs Ray {version or 'of an unknown version'}",
                action=f"Use Ray {'.'.join(map(str, OLDEST))} or a newer one",
            )
        self.details()
        return version

    def details(self) -> Mapping[str, Any]:
        """The current state of Serve: applications with their replicas, and the addresses of its proxies."""
        return self._json("GET", _APPLICATIONS)

    def nodes(self) -> list[Mapping[str, Any]]:
        """The cluster's nodes with their total resources."""
        found = self._json("GET", f"{_NODES}?limit={_MOST_NODES}")
        nodes: list[Mapping[str, Any]] = ((found.get("data") or {}).get("result") or {}).get("result") or []
        return nodes

    def change(self, change: Callable[[dict[str, dict[str, Any]]], None]) -> None:
        """Changes applications, which `change` gets by their names; all others stay as they are.

        One at a time, since Serve takes the whole list only.
        """
        with self._alone():
            now = self.details()
            present = {
                name: dict(application["deployed_app_config"])
                for name, application in now.get("applications", {}).items()
                if application.get("deployed_app_config") and application.get("status") != "DELETING"
            }
            foreign = {name: json.dumps(config) for name, config in present.items() if not _ours(name)}
            change(present)
            if {name: json.dumps(config) for name, config in present.items() if not _ours(name)} != foreign:
                raise WrongState("Only this registry's applications may be changed")
            place, first = ray_proxies.options_for(self.cluster.address, self.cluster.http_port)
            whole: dict[str, Any] = {
                "proxy_location": now.get("proxy_location") or place,
                "http_options": now.get("http_options") or {**first, "keep_alive_timeout_s": _KEPT_SECONDS},
                "applications": list(present.values()),
            }
            for kept in ("grpc_options", "target_capacity"):
                if now.get(kept) is not None:
                    whole[kept] = now[kept]
            answer = self._answer("PUT", _APPLICATIONS, json=whole)
            if answer.is_error:
                raise PartUnavailable(
                    f"The Ray cluster refuses the applications: {_said(answer)}", action="See the cluster's dashboard"
                )

    def ensure_package(self, content: bytes) -> str:
        """Uploads a package unless the cluster has it, which keeps it while it is used; returns its address there."""
        name = f"_ray_pkg_{hashlib.sha256(content).hexdigest()[:32]}.zip"
        path = f"/api/packages/gcs/{name}"
        if self._answer("GET", path).status_code != httpx.codes.OK:
            answer = self._answer("PUT", path, content=content)
            if answer.is_error:
                raise PartUnavailable(f"The Ray cluster takes no package: {_said(answer)}")
        return f"gcs://{name}"

    def _json(self, method: str, path: str) -> Mapping[str, Any]:
        answer = self._answer(method, path)
        try:
            found = answer.json() if answer.is_success else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise PartUnavailable(
                f"{self.cluster.address} does not answer as a Ray cluster: {_said(answer)}",
                action="Check the address, and that the cluster's dashboard is up",
            )
        return found

    def _answer(self, method: str, path: str, *, authorized: bool = True, **sent: Any) -> httpx.Response:
        try:
            # Resolved again each time: the name may have another address by now.
            urls = urls_of(self.cluster.address)
        except InvalidInput as error:
            raise PartUnavailable(error.detail, action=error.action) from error
        parts = urlsplit(self.cluster.address)
        headers = {"Host": parts.netloc, "User-Agent": "registry-tui"}
        if authorized:
            headers["Authorization"] = f"Bearer {self.cluster.token}"
        # The certificate is checked for the name, though a checked address is connected to.
        sent["extensions"] = {"sni_hostname": parts.hostname}
        try:
            # Without proxies and redirects: both would get the token.
            with httpx.Client(headers=headers, timeout=_SECONDS, trust_env=False, follow_redirects=False) as client:
                for url in urls:
                    try:
                        answer = client.request(method, f"{url}{path}", **sent)
                        break
                    except (httpx.ConnectError, httpx.ConnectTimeout):
                        if url is urls[-1]:
                            raise
        except httpx.HTTPError as error:
            raise PartUnavailable(
                f"The Ray cluster at {self.cluster.address} does not answer ({type(error).__name__})",
                action="Start it, or give its address: `registry-tui environments set-backend`",
            ) from error
        if authorized and answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise TokenRefused(
                f"The Ray cluster at {self.cluster.address} refuses the token",
                action="Give the one that `ray get-auth-token` prints: `registry-tui environments set-backend`",
            )
        return answer

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock.open("w", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _ours(name: str) -> bool:
    return name.startswith(PREFIX)


def _said(answer: httpx.Response) -> str:
    return f"{answer.status_code} {' '.join(answer.text.split())[:300]}"
