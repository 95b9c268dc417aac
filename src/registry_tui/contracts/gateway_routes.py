"""The file that the service writes for the gateway: deployments with their replicas, and API keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class Replica:
    """A process that serves, and its unix socket; or those that an address in a cluster leads to, `http://…`."""

    name: str
    socket: str
    #: The secret presented to replicas in a cluster, whose address others reach too.
    secret: str = field(default="", repr=False)
    #: The model's version that it serves; 0 if unknown.
    version: int = 0

    @property
    def in_cluster(self) -> bool:
        return self.socket.startswith("http://")


@dataclass(frozen=True)
class Canary:
    """A new version of a deployment that is tried on callers' requests.

    It answers a `share` (0 to 1) of them; with `shadow` it gets copies of this share, and callers get the old answers
    only.
    """

    id: str
    shadow: bool
    share: float
    replicas: tuple[Replica, ...]
    #: Whether answers of both are compared; numbers may differ by `tolerance`.
    compares: bool
    tolerance: float


@dataclass(frozen=True)
class RequestLog:
    """The request log of a deployment: it keeps a `share` (0 to 1) of the requests, for `seconds`, in `max_bytes`.

    Columns of `leave_out` are not kept at all; values of columns of `mask` are replaced.
    """

    share: float
    seconds: float
    max_bytes: int
    leave_out: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """One deployment. `access_key` names it in calls; `members` may call it when `authentication` is on."""

    id: str
    name: str
    project: str
    access_key: str
    authentication: bool
    members: tuple[str, ...]
    replicas: tuple[Replica, ...]
    #: A port of 127.0.0.1 of its own, for clients that know a host and a port only.
    port: int | None = None
    #: The deployment's state: the reason that callers get while no replica is there.
    state: str = "deployed"
    body_bytes: int = 64 * 1024 * 1024
    #: How to allow larger requests, for callers whose request was too large.
    larger: str = "Send fewer rows at once"
    seconds: float = 60.0
    canary: Canary | None = None
    #: The log of its requests; None if none are kept.
    request_log: RequestLog | None = None


@dataclass(frozen=True)
class Key:
    """An API key: the SHA-256 of its secret, whose it is, and until when (seconds since 1970)."""

    id: str
    sha256: str
    user: str
    expires_at: float
    revoked: bool = False
    #: Whether its owner is suspended.
    suspended: bool = False
    #: Requests a second, and so many at once; requests of a day and a month (UTC). 0: no limit.
    per_second: float = 0.0
    burst: int = 0
    per_day: int = 0
    per_month: int = 0

    @property
    def limited(self) -> bool:
        """Whether requests with it are counted towards a limit."""
        return bool(self.per_second or self.per_day or self.per_month)


@dataclass(frozen=True)
class Routes:
    """Everything the gateway knows."""

    deployments: tuple[Route, ...] = ()
    keys: tuple[Key, ...] = ()
    administrators: tuple[str, ...] = ()
    #: Names under which callers reach the gateway, besides this machine's own.
    hosts: tuple[str, ...] = ()
    #: Origins of web pages that may call deployments from a browser.
    origins: tuple[str, ...] = ()

    @cached_property
    def by_access_key(self) -> Mapping[str, Route]:
        return {route.access_key: route for route in self.deployments}

    @cached_property
    def by_key_id(self) -> Mapping[str, Key]:
        return {key.id: key for key in self.keys}

    @cached_property
    def largest_body(self) -> int:
        return max((route.body_bytes for route in self.deployments), default=0)

    def to_json(self) -> str:
        values = {
            "format": FORMAT,
            "deployments": [asdict(route) for route in self.deployments],
            "keys": [asdict(key) for key in self.keys],
            "administrators": self.administrators,
            "hosts": self.hosts,
            "origins": self.origins,
        }
        return json.dumps(values, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Routes:
        """Raises ValueError, KeyError, TypeError."""
        values = json.loads(text)
        deployments = []
        for route in values["deployments"]:
            replicas, canary, log = _replicas(route), route.get("canary"), route.get("request_log")
            found = {
                "replicas": replicas,
                "members": tuple(route["members"]),
                "canary": Canary(**{**canary, "replicas": _replicas(canary)}) if canary else None,
                "request_log": _request_log(log) if log else None,
            }
            deployments.append(Route(**{**route, **found}))
        keys = tuple(Key(**key) for key in values["keys"])
        hosts, origins = tuple(values.get("hosts", ())), tuple(values.get("origins", ()))
        return cls(tuple(deployments), keys, tuple(values["administrators"]), hosts, origins)


def _replicas(values: Mapping[str, Any]) -> tuple[Replica, ...]:
    return tuple(Replica(**replica) for replica in values["replicas"])


def _request_log(values: Mapping[str, Any]) -> RequestLog:
    return RequestLog(**{**values, "leave_out": tuple(values["leave_out"]), "mask": tuple(values["mask"])})


class RoutesFile:
    """The file as last read; read again when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._routes = Routes()

    def current(self) -> Routes:
        """The file's present routes; the ones before when it cannot be read."""
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp != self._stamp:
                self._routes = Routes.from_json(self._path.read_text(encoding="utf-8"))
                self._stamp = stamp
        except FileNotFoundError:
            self._routes, self._stamp = Routes(), None
        except (OSError, ValueError, KeyError, TypeError):
            pass  # replaced atomically, so this is not a half-written one: keep the routes
        return self._routes
