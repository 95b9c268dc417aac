"""Known facts about replicas in Ray clusters: a file for each generation, and requests to its replicas."""

from __future__ import annotations

import hashlib
import http.client
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from registry_tui.contracts.carried import SECRET_HEADER
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private
from registry_tui.service.backends.base import Scaling

#: Seconds for a connection to one of several proxies.
_CONNECT_SECONDS = 2.0


@dataclass(frozen=True)
class Generation:
    """A generation of replicas: its cluster's environment, and how it is reached."""

    environment: str
    address: str
    application: str
    secret: str
    http_port: int
    indexes: tuple[int, ...] = ()
    #: How the cluster finds their number; None where it is that of `indexes`.
    scaling: Scaling | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Generation:
        """From JSON's values."""
        scaling = values.get("scaling")
        return cls(
            **{
                **values,
                "indexes": tuple(values["indexes"]),
                "scaling": None if scaling is None else Scaling(**scaling),
            }
        )

    def urls(self, hosts: Sequence[str]) -> list[str]:
        """Its addresses for calls: at each of the hosts of proxies, or at the cluster's own where none is known."""
        found = hosts or [urlsplit(self.address).hostname or ""]
        return [f"http://{f'[{host}]' if ':' in host else host}:{self.http_port}/{self.application}" for host in found]

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "",
        timeout: float = 60.0,
        *,
        hosts: Sequence[str],
        trial: bool = False,
    ) -> tuple[int, bytes]:
        """The response of one of its replicas, whichever Serve chooses, by the first proxy that takes a connection.

        Raises OSError, HTTPException.
        """
        connection = self._connected(hosts, timeout)
        headers = {SECRET_HEADER: self.secret}
        if content_type:
            headers["Content-Type"] = content_type
        if trial:
            headers["X-Trial"] = "yes"
        try:
            connection.request(method, f"/{self.application}{path}", body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _connected(self, hosts: Sequence[str], timeout: float) -> http.client.HTTPConnection:
        urls = [urlsplit(url) for url in self.urls(hosts)]
        for parts in urls:
            seconds = timeout if len(urls) == 1 else min(timeout, _CONNECT_SECONDS)
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
            try:
                connection.connect()
            except OSError:
                connection.close()
                if parts is urls[-1]:
                    raise
                continue
            connection.sock.settimeout(timeout)
            return connection
        raise ConnectionRefusedError(f"{self.application} has no proxy")


class Generations:
    """The files, one for each generation that a cluster has or has yet to remove."""

    def __init__(self, home: Home) -> None:
        self._root = home.serving / "clusters"

    def _file(self, deployment: str, generation: int) -> Path:
        return self._root / deployment / f"{generation}.json"

    def known(self, deployment: str, generation: int) -> Generation | None:
        """A generation; None where no cluster has it."""
        try:
            return Generation.from_values(json.loads(self._file(deployment, generation).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def note(self, deployment: str, generation: int, known: Generation) -> None:
        """Stores the known facts about a generation. Raises OSError."""
        path = self._file(deployment, generation)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, json.dumps(asdict(known)))

    def _proxies(self, address: str) -> Path:
        return self._root / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.proxies"

    def hosts(self, address: str) -> tuple[str, ...]:
        """The hosts of a cluster's proxies, as they were last noted; none where only that of its address is known."""
        try:
            return tuple(json.loads(self._proxies(address).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return ()

    def note_hosts(self, address: str, hosts: Sequence[str]) -> None:
        """Stores the hosts of a cluster's proxies. Raises OSError."""
        if tuple(hosts) != self.hosts(address):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self._proxies(address), json.dumps(list(hosts)))

    def drop(self, deployment: str, generation: int) -> None:
        """Forgets a generation."""
        path = self._file(deployment, generation)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # other generations are there
            path.parent.rmdir()

    def of(self, deployment: str) -> Iterator[tuple[int, Generation]]:
        """The generations of a deployment, by their numbers."""
        for path in (self._root / deployment).glob("*.json"):
            if (known := self.known(deployment, int(path.stem))) is not None:
                yield int(path.stem), known

    def all(self) -> Iterator[tuple[str, int, Generation]]:
        """All generations, each after its deployment and its number."""
        for path in self._root.glob("*/*.json"):
            if (known := self.known(path.parent.name, int(path.stem))) is not None:
                yield path.parent.name, int(path.stem), known

    def secret(self, deployment: str, generation: int) -> str:
        """The secret that callers of a generation send; a new one for an unknown generation."""
        known = self.known(deployment, generation)
        return secrets.token_urlsafe(32) if known is None else known.secret
