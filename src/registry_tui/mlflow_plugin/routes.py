"""Where each project's artifacts and registrations go: `mlflow/routes.json`.

The service writes it whenever projects or registries change; MLflow's server reads it again when it changed.
Only the standard library is imported, so that either side may use it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from registry_tui.platform.secrets import write_private

FORMAT = 1


@dataclass(frozen=True)
class ProjectRoute:
    """One project: where its run artifacts lie, and which registry it registers into."""

    project_id: str
    project_name: str
    workspace_name: str
    environment_name: str
    bucket: str
    #: The registry's MLflow workspace; None when this project cannot register.
    registry: str | None
    #: Why it cannot register and what to do; empty when it can.
    refusal: str = ""


@dataclass(frozen=True)
class RegistryRoute:
    """One Model Registry: where its archives lie."""

    registry_id: str
    bucket: str
    prefix: str


@dataclass(frozen=True)
class Routes:
    """Every project and registry, by MLflow workspace."""

    projects: Mapping[str, ProjectRoute] = field(default_factory=dict)
    registries: Mapping[str, RegistryRoute] = field(default_factory=dict)

    def registry_of(self, workspace: str) -> str | None:
        """The registry's MLflow workspace that calls from `workspace` go to, or None."""
        if workspace in self.registries:
            return workspace
        project = self.projects.get(workspace)
        return project.registry if project and project.registry in self.registries else None

    def dump(self, path: Path) -> None:
        """Replaces the file, mode 0600, atomically. Raises OSError."""
        write_private(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1))


def read_routes(path: Path) -> Routes:
    """What the file says; nothing is routed while there is none. Raises OSError, ValueError when it is damaged."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Routes()
    try:
        if raw["format"] != FORMAT:
            raise ValueError(f"{path} has format {raw['format']}; this version reads {FORMAT}")
        return Routes(
            projects={name: ProjectRoute(**route) for name, route in raw["projects"].items()},
            registries={name: RegistryRoute(**route) for name, route in raw["registries"].items()},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged; restart the service, which writes it again") from error


class RoutesFile:
    """Reads the file again only when it was replaced (another inode, time or size). Threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._routes = Routes()

    def load(self) -> Routes:
        """The present routes. Raises OSError, ValueError when the file is damaged."""
        try:
            stat = self._path.stat()
            found = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except FileNotFoundError:
            found = None
        with self._lock:
            if found != self._seen:
                self._routes = read_routes(self._path)
                self._seen = found
            return self._routes
