"""Where each project's artifacts and registrations go: `mlflow/routes.json`.

The service writes it whenever projects or registries change; MLflow's server reads it again when it changed.
Only the standard library is imported, so that either side may use it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from registry_tui.contracts import file_paths
from registry_tui.contracts.encoding import fully_decoded

FORMAT = 1

#: IDs of models and versions: four groups of four.
ID_PATTERN = re.compile(r"[a-z0-9]{4}(-[a-z0-9]{4}){3}")

#: MLflow's own workspace, whose artifact paths carry no `workspaces/<name>/` (`mlflow.utils.workspace_utils`).
_DEFAULT_WORKSPACE = "default"
_ARCHIVES = "registry"

#: A tracking URI ends in `/projects/NAME`, so that clients without workspaces work in that project.
PROJECTS_PATH = "/projects"


class RouteError(ValueError):
    """A path that leads nowhere; its text is for people."""


@dataclass(frozen=True)
class Location:
    """The place of an artifact path in the object store; archives are read-only."""

    workspace: str
    bucket: str
    key: str
    writable: bool
    #: Of an archive: the registry's MLflow workspace and the model's ID.
    registry: str | None = None
    model_id: str | None = None
    #: Whether it is in its environment's own store, which only the service reaches.
    outside: bool = False
    #: Of artifacts: the folder of the whole project, which `key` begins with.
    folder: str = ""


def artifact_path(uri: str) -> str:
    """The path behind an `mlflow-artifacts:/…` URI, percent-decoded once: a name may hold `%20` itself.

    Raises RouteError for any other URI, and for one that leads upwards however often it was encoded.
    """
    try:
        parts = urlsplit(uri)
        decoded = fully_decoded(parts.path)
    except ValueError as error:
        raise RouteError(f"'{uri[:200]}' is not an artifact of this installation") from error
    if parts.scheme != "mlflow-artifacts" or parts.netloc or parts.query or parts.fragment:
        raise RouteError(f"'{uri}' is not an artifact of this installation")
    if {".", ".."} & set(decoded.split("/")):
        raise RouteError(f"'{uri}' leads upwards")
    return unquote(parts.path).lstrip("/")


def archive_uri(workspace: str, model_id: str, version_id: str) -> str:
    """The URI through which a client in an MLflow workspace reads an archive's files."""
    return f"mlflow-artifacts:/workspaces/{workspace}/{_ARCHIVES}/{model_id}/{version_id}/files"


def project_path(workspace: str) -> str:
    """The end of the tracking URI of a project, by its MLflow workspace."""
    return f"{PROJECTS_PATH}/{quote(workspace, safe='')}"


def role_prefix(workspace: str) -> str:
    """Begins the names of a project's roles in registries, by its MLflow workspace; the rest is the role."""
    return f"{workspace}:"


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
    #: Why it cannot register, with the remedy; empty when it can.
    refusal: str = ""
    #: Role (`schemas.places.Role`) by user.
    collaborators: Mapping[str, str] = field(default_factory=dict)
    #: The folder of its artifacts in the environment's own store; empty where they lie in `bucket`.
    folder: str = ""


@dataclass(frozen=True)
class RegistryRoute:
    """One Model Registry: where its archives lie."""

    registry_id: str
    bucket: str
    prefix: str
    #: Whether they lie in the environment's own store, which only the service reaches.
    outside: bool = False
    #: Whether to ask the service before an alias moves to another version: its environment has rules about that.
    alias_rules: bool = False
    #: Aliases and MLflow stages that require asking the service first.
    guarded_aliases: Sequence[str] = ()
    guarded_stages: Sequence[str] = ()


@dataclass(frozen=True)
class Routes:
    """Every project and registry, by MLflow workspace."""

    projects: Mapping[str, ProjectRoute] = field(default_factory=dict)
    registries: Mapping[str, RegistryRoute] = field(default_factory=dict)
    #: Users with access to every model.
    administrators: Sequence[str] = ()
    #: Names under which this machine is known besides its own.
    hosts: Sequence[str] = ()

    def roles_of(self, user: str) -> dict[str, str]:
        """A user's role by project ID."""
        return {
            project.project_id: project.collaborators[user]
            for project in self.projects.values()
            if user in project.collaborators
        }

    def registry_of(self, workspace: str) -> str | None:
        """The registry's MLflow workspace that calls from `workspace` go to, or None."""
        if workspace in self.registries:
            return workspace
        project = self.projects.get(workspace)
        return project.registry if project and project.registry in self.registries else None

    def refusal_of(self, workspace: str) -> str:
        """Why calls from `workspace` reach no registry, with the remedy."""
        project = self.projects.get(workspace)
        if project is None:
            return f"The MLflow workspace '{workspace}' is not a project; `registry-tui projects list` shows all."
        return project.refusal or (
            f"Project '{project.project_name}' cannot register models: its workspace '{project.workspace_name}' is not "
            f"synchronized with a Model Registry of environment '{project.environment_name}'. "
            "`registry-tui registries list` shows them; then `registry-tui registries synchronize NAME`."
        )

    def project_named(self, name: str) -> str:
        """The MLflow workspace of a project: by that itself, its ID, `workspace/project`, or its name.

        Raises RouteError when no project, or more than one, is named so.
        """
        if name in self.projects:
            return name
        found = [
            workspace
            for workspace, project in self.projects.items()
            if name in (project.project_id, f"{project.workspace_name}/{project.project_name}")
        ]
        found = found or [workspace for workspace, each in self.projects.items() if each.project_name == name]
        if len(found) > 1:
            raise RouteError(
                f"Several projects are named '{name}'. Name one by its MLflow workspace, which "
                "`registry-tui projects show` prints."
            )
        if not found:
            raise RouteError(f"There is no project '{name}'. `registry-tui projects list` shows the projects.")
        return found[0]

    def locate(self, path: str) -> Location:
        """The location of an artifact path of MLflow's proxy. Raises RouteError."""
        parts = [part for part in path.split("/") if part]
        if parts and (problem := file_paths.problem("/".join(parts))):
            raise RouteError(f"An artifact's path {problem}: {path[-100:]!r}")
        workspace = _DEFAULT_WORKSPACE
        if parts[:1] == ["workspaces"]:
            if len(parts) < 2:
                raise RouteError(f"'{path}' names no project")
            workspace, parts = parts[1], parts[2:]
        if parts[:1] == [_ARCHIVES]:
            return self._locate_archive(workspace, parts[1:])
        project = self.projects.get(workspace)
        if project is None:
            raise RouteError(self.refusal_of(workspace))
        folder = project.folder or f"workspaces/{workspace}"
        key = _checked_key([folder, *parts])
        return Location(workspace, project.bucket, key, writable=True, folder=folder, outside=bool(project.folder))

    def _locate_archive(self, workspace: str, parts: list[str]) -> Location:
        name = self.registry_of(workspace)
        if name is None:
            raise RouteError(self.refusal_of(workspace))
        if len(parts) < 2 or not all(ID_PATTERN.fullmatch(part) for part in parts[:2]):
            raise RouteError("An archive is named by its model's and its version's ID")
        registry = self.registries[name]
        key = _checked_key([registry.prefix, *parts])
        return Location(
            workspace,
            registry.bucket,
            key,
            writable=False,
            registry=name,
            model_id=parts[0],
            outside=registry.outside,
        )

    def to_json(self) -> str:
        """Returns the text of the file."""
        # Written at each change, with all projects: `asdict` and an indent would take ten times as long.
        return json.dumps({"format": FORMAT, **vars(self)}, default=vars)


def _checked_key(parts: list[str]) -> str:
    key = "/".join(parts)
    if problem := file_paths.problem(key):
        raise RouteError(f"The key of an artifact {problem}: {key[-100:]!r}")
    return key


def read_routes(path: Path) -> Routes:
    """The routes of the file, or no routes before it exists. Raises OSError, ValueError when it is damaged."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Routes()
    try:
        if raw["format"] != FORMAT:
            raise ValueError(f"{path} has format {raw['format']}; this version reads {FORMAT}")
        return Routes(
            projects={name: ProjectRoute(**route) for name, route in raw["projects"].items()},
            registries={name: _registry_route(route) for name, route in raw["registries"].items()},
            administrators=tuple(raw.get("administrators", ())),
            hosts=tuple(raw.get("hosts", ())),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged; restart the service, which writes it again") from error


def _registry_route(route: Mapping[str, Any]) -> RegistryRoute:
    """JSON has lists for tuples."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in route.items()}
    return RegistryRoute(**values)


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

    def hosts(self) -> Sequence[str]:
        """Names under which this machine is known besides its own; none while the file cannot be read."""
        try:
            return self.load().hosts
        except (OSError, ValueError):
            return ()
