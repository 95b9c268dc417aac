"""Whether attached servers can be read now: one request at a time asks each, so that a slow one holds no others."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import httpx

from registry_tui.service.adapters.attached_mlflow import ServerAddress, check_server
from registry_tui.service.errors import ServiceError

#: Seconds for each question of a look, and those that a request waits for the look of another one.
_TIMEOUT = httpx.Timeout(15.0, connect=5.0, pool=5.0)
PATIENCE = 2.0


@dataclass
class _Look:
    problem: str | None
    done: threading.Event = field(default_factory=threading.Event)


class Looks:
    """The looks that are under way, by the ID of the attached server."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._under_way: dict[str, _Look] = {}

    def problem_of(self, server_id: str, address: ServerAddress) -> str | None:
        """Why a server cannot be read now; None when it can."""
        with self._guard:
            look = self._under_way.get(server_id)
            mine = look is None
            if look is None:
                look = self._under_way[server_id] = _Look(f"MLflow at {address.url} has not answered yet")
        if not mine:
            look.done.wait(PATIENCE)
            return look.problem
        try:
            check_server(address, _TIMEOUT)
            look.problem = None
        except ServiceError as error:
            look.problem = error.detail
        finally:
            with self._guard:
                del self._under_way[server_id]
            look.done.set()
        return look.problem
