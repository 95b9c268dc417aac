"""`RegistryClient`: the service's REST API as typed coroutines."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from registry_tui.client.errors import RegistryError, ServiceUnavailable, from_problem
from registry_tui.platform.paths import Home
from registry_tui.schemas.base import Page, Problem
from registry_tui.schemas.models import (
    ArchiveCheck,
    Manifest,
    ModelUpdate,
    ModelVersion,
    RegisteredModel,
    RegisterModel,
    VersionUpdate,
)
from registry_tui.schemas.operations import Accepted, Event, LogLine, PlatformStatus, Workflow
from registry_tui.schemas.places import (
    Collaborator,
    CollaboratorChange,
    Environment,
    EnvironmentCreate,
    Project,
    ProjectCreate,
    ProjectCredentials,
    User,
    Workspace,
    WorkspaceCreate,
)
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete
from registry_tui.schemas.tracking import ArtifactFolder, Experiment, MetricPoint, Run, RunDetails, RunSearch

Answer = TypeVar("Answer")
Item = TypeVar("Item")

#: Seconds to wait for a connection and for the next bytes of an answer.
TIMEOUT = httpx.Timeout(30.0, connect=3.0)
CHUNK = 1 << 20


def _segment(value: str | int) -> str:
    return quote(str(value), safe="")


class RegistryClient:
    """Talks to one service: over its unix socket, or over HTTPS when `base_url` is given.

    Every method may raise `ServiceUnavailable` or a `ServiceProblem` (see `errors`). Names or IDs are
    accepted wherever a resource is named. Use it as an async context manager, or call `close`.
    """

    def __init__(
        self,
        home: Home | None = None,
        *,
        base_url: str | None = None,
        token: str | None = None,
        user: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if transport is None and base_url is None:
            # A unix socket has no TLS; making a context for it reads every certificate of the system.
            transport = httpx.AsyncHTTPTransport(uds=str((home or Home.resolve()).service_socket), verify=False)
        headers = {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if acting := user or os.environ.get("REGISTRY_TUI_USER"):
            headers["X-Registry-User"] = acting
        self._http = httpx.AsyncClient(
            base_url=base_url or "http://registry-tui",
            transport=transport,
            headers=headers,
            timeout=TIMEOUT,
            # A proxy is for services elsewhere.
            trust_env=base_url is not None,
        )

    async def __aenter__(self) -> RegistryClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    # -- this installation -------------------------------------------------------------------

    async def whoami(self) -> User:
        """The acting principal."""
        return await self._ask(User, "GET", "/user")

    async def status(self) -> PlatformStatus:
        """The parts' health as the service sees it, by real probes."""
        return await self._ask(PlatformStatus, "GET", "/status")

    # -- environments, workspaces, projects ---------------------------------------------------

    async def environments(self, **page: Any) -> Page[Environment]:
        return await self._ask(Page[Environment], "GET", "/environments", params=page)

    async def environment(self, environment: str) -> Environment:
        return await self._ask(Environment, "GET", f"/environments/{_segment(environment)}")

    async def create_environment(self, request: EnvironmentCreate) -> Environment:
        return await self._ask(Environment, "POST", "/environments", body=request)

    async def delete_environment(self, environment: str) -> None:
        await self._send("DELETE", f"/environments/{_segment(environment)}")

    async def workspaces(self, environment: str | None = None, **page: Any) -> Page[Workspace]:
        return await self._ask(Page[Workspace], "GET", "/workspaces", params={"environment": environment, **page})

    async def workspace(self, workspace: str) -> Workspace:
        return await self._ask(Workspace, "GET", f"/workspaces/{_segment(workspace)}")

    async def create_workspace(self, request: WorkspaceCreate) -> Workspace:
        return await self._ask(Workspace, "POST", "/workspaces", body=request)

    async def delete_workspace(self, workspace: str) -> None:
        await self._send("DELETE", f"/workspaces/{_segment(workspace)}")

    async def projects(self, workspace: str | None = None, **page: Any) -> Page[Project]:
        return await self._ask(Page[Project], "GET", "/projects", params={"workspace": workspace, **page})

    async def project(self, project: str) -> Project:
        return await self._ask(Project, "GET", f"/projects/{_segment(project)}")

    async def create_project(self, request: ProjectCreate) -> Project:
        return await self._ask(Project, "POST", "/projects", body=request)

    async def delete_project(self, project: str, *, force: bool = False) -> None:
        """Deletes a project; one that holds experiments only with `force`."""
        await self._send("DELETE", f"/projects/{_segment(project)}", params={"force": force})

    async def collaborators(self, project: str) -> Page[Collaborator]:
        return await self._ask(Page[Collaborator], "GET", f"/projects/{_segment(project)}/collaborators")

    async def set_collaborator(self, project: str, user: str, change: CollaboratorChange) -> Collaborator:
        path = f"/projects/{_segment(project)}/collaborators/{_segment(user)}"
        return await self._ask(Collaborator, "PUT", path, body=change)

    async def remove_collaborator(self, project: str, user: str) -> None:
        await self._send("DELETE", f"/projects/{_segment(project)}/collaborators/{_segment(user)}")

    async def credentials(self, project: str) -> ProjectCredentials:
        """What stock MLflow code needs in this project, for the acting principal."""
        return await self._ask(ProjectCredentials, "GET", f"/projects/{_segment(project)}/credentials")

    # -- Model Registries ----------------------------------------------------------------------

    async def registries(
        self,
        *,
        name: str | None = None,
        status: str | None = None,
        environment: str | None = None,
        order_by: str | None = None,
        **page: Any,
    ) -> Page[ModelRegistry]:
        """`name` matches a part of the name; `status` is a status or its label; `order_by` is `field` or `-field`."""
        params = {"name": name, "status": status, "environment": environment, "order_by": order_by, **page}
        return await self._ask(Page[ModelRegistry], "GET", "/registries", params=params)

    async def registry(self, registry: str) -> ModelRegistry:
        return await self._ask(ModelRegistry, "GET", f"/registries/{_segment(registry)}")

    async def create_registry(self, request: RegistryCreate) -> Accepted[ModelRegistry]:
        return await self._ask(Accepted[ModelRegistry], "POST", "/registries", body=request)

    async def synchronize_registry(self, registry: str) -> Accepted[ModelRegistry]:
        path = f"/registries/{_segment(registry)}/synchronize"
        return await self._ask(Accepted[ModelRegistry], "POST", path)

    async def delete_registry(self, registry: str, request: RegistryDelete) -> Accepted[ModelRegistry]:
        path = f"/registries/{_segment(registry)}/delete"
        return await self._ask(Accepted[ModelRegistry], "POST", path, body=request)

    async def grant_storage_access(self, registry: str) -> ModelRegistry:
        """Lets the registry's machine user use its prefix on the object store."""
        return await self._ask(ModelRegistry, "PUT", f"/registries/{_segment(registry)}/storage-access")

    async def revoke_storage_access(self, registry: str) -> ModelRegistry:
        return await self._ask(ModelRegistry, "DELETE", f"/registries/{_segment(registry)}/storage-access")

    # -- tracking ----------------------------------------------------------------------------------

    async def experiments(
        self, project: str, *, name: str | None = None, order_by: str | None = None, **page: Any
    ) -> Page[Experiment]:
        params = {"name": name, "order_by": order_by, **page}
        return await self._ask(Page[Experiment], "GET", f"/projects/{_segment(project)}/experiments", params=params)

    async def experiment(self, project: str, experiment: str) -> Experiment:
        path = f"/projects/{_segment(project)}/experiments/{_segment(experiment)}"
        return await self._ask(Experiment, "GET", path)

    async def search_runs(self, project: str, request: RunSearch) -> Page[Run]:
        path = f"/projects/{_segment(project)}/runs/search"
        return await self._ask(Page[Run], "POST", path, body=request)

    async def run(self, project: str, run: str) -> RunDetails:
        return await self._ask(RunDetails, "GET", f"/projects/{_segment(project)}/runs/{_segment(run)}")

    async def metric_history(self, project: str, run: str, metric: str, **page: Any) -> Page[MetricPoint]:
        path = f"/projects/{_segment(project)}/runs/{_segment(run)}/metric-history"
        return await self._ask(Page[MetricPoint], "GET", path, params={"metric": metric, **page})

    async def artifacts(self, project: str, run: str, path: str = "") -> ArtifactFolder:
        """The entries directly below a folder of the run's artifacts."""
        url = f"/projects/{_segment(project)}/runs/{_segment(run)}/artifacts"
        return await self._ask(ArtifactFolder, "GET", url, params={"path": path})

    async def read_artifact(
        self, project: str, run: str, path: str, *, start: int = 0, length: int | None = None
    ) -> bytes:
        """Bytes of one artifact, from `start`, at most `length`."""
        url = f"/projects/{_segment(project)}/runs/{_segment(run)}/artifacts/content"
        return await self._read(url, {"path": path}, start, length)

    async def download_artifact(
        self,
        project: str,
        run: str,
        path: str,
        target: Path,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> int:
        """Writes one artifact to `target`; returns its size. `progress` gets bytes done and in all, if known."""
        url = f"/projects/{_segment(project)}/runs/{_segment(run)}/artifacts/content"
        return await self._download(url, {"path": path}, target, progress)

    # -- registered models -----------------------------------------------------------------------

    async def register_model(self, project: str, request: RegisterModel) -> Accepted[ModelVersion]:
        """Registers a logged model of the project into the registry of its workspace."""
        path = f"/projects/{_segment(project)}/register"
        return await self._ask(Accepted[ModelVersion], "POST", path, body=request)

    async def models(
        self,
        registry: str,
        *,
        search: str | None = None,
        owner: str | None = None,
        order_by: str | None = None,
        **page: Any,
    ) -> Page[RegisteredModel]:
        """`search` finds names, descriptions, owners and tags."""
        params = {"search": search, "owner": owner, "order_by": order_by, **page}
        return await self._ask(Page[RegisteredModel], "GET", f"/registries/{_segment(registry)}/models", params=params)

    async def model(self, registry: str, model: str) -> RegisteredModel:
        return await self._ask(RegisteredModel, "GET", self._model(registry, model))

    async def update_model(self, registry: str, model: str, request: ModelUpdate) -> RegisteredModel:
        return await self._ask(RegisteredModel, "PATCH", self._model(registry, model), body=request)

    async def delete_model(self, registry: str, model: str, *, keep_archives: bool = False) -> None:
        """Deletes a model with all versions, and their archives unless told to keep them."""
        await self._send("DELETE", self._model(registry, model), params={"keep_archives": keep_archives})

    async def set_alias(self, registry: str, model: str, alias: str, version: int) -> RegisteredModel:
        path = f"{self._model(registry, model)}/aliases/{_segment(alias)}"
        return await self._ask(RegisteredModel, "PUT", path, params={"version": version})

    async def delete_alias(self, registry: str, model: str, alias: str) -> RegisteredModel:
        return await self._ask(RegisteredModel, "DELETE", f"{self._model(registry, model)}/aliases/{_segment(alias)}")

    async def versions(
        self, registry: str, model: str, *, order_by: str | None = None, **page: Any
    ) -> Page[ModelVersion]:
        """Newest first, unless `order_by` says otherwise."""
        path = f"{self._model(registry, model)}/versions"
        return await self._ask(Page[ModelVersion], "GET", path, params={"order_by": order_by, **page})

    async def version(self, registry: str, model: str, version: int) -> ModelVersion:
        return await self._ask(ModelVersion, "GET", self._version(registry, model, version))

    async def update_version(self, registry: str, model: str, version: int, request: VersionUpdate) -> ModelVersion:
        return await self._ask(ModelVersion, "PATCH", self._version(registry, model, version), body=request)

    async def delete_version(self, registry: str, model: str, version: int, *, keep_archive: bool = False) -> None:
        path = self._version(registry, model, version)
        await self._send("DELETE", path, params={"keep_archive": keep_archive})

    async def manifest(self, registry: str, model: str, version: int) -> Manifest:
        return await self._ask(Manifest, "GET", f"{self._version(registry, model, version)}/manifest")

    async def verify_archive(self, registry: str, model: str, version: int) -> ArchiveCheck:
        """Reads the whole archive and compares it with its manifest."""
        path = f"{self._version(registry, model, version)}/verify"
        return await self._ask(ArchiveCheck, "POST", path, timeout=None)

    async def read_archive(
        self,
        registry: str,
        model: str,
        version: int,
        path: str,
        *,
        start: int = 0,
        length: int | None = None,
    ) -> bytes:
        url = f"{self._version(registry, model, version)}/content"
        return await self._read(url, {"path": path}, start, length)

    # -- operations ---------------------------------------------------------------------------------

    async def events(
        self,
        *,
        registry: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        outcome: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        **page: Any,
    ) -> Page[Event]:
        """Newest first."""
        params = {
            "registry": registry,
            "actor": actor,
            "action": action,
            "outcome": outcome,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            **page,
        }
        return await self._ask(Page[Event], "GET", "/events", params=params)

    async def event_logs(self, event: int, **page: Any) -> Page[LogLine]:
        return await self._ask(Page[LogLine], "GET", f"/events/{event}/logs", params=page)

    async def workflows(self, *, kind: str | None = None, status: str | None = None, **page: Any) -> Page[Workflow]:
        """Newest first. `status` may be "active"."""
        return await self._ask(Page[Workflow], "GET", "/workflows", params={"kind": kind, "status": status, **page})

    async def workflow(self, workflow: str) -> Workflow:
        return await self._ask(Workflow, "GET", f"/workflows/{_segment(workflow)}")

    async def workflow_logs(self, workflow: str, **page: Any) -> Page[LogLine]:
        return await self._ask(Page[LogLine], "GET", f"/workflows/{_segment(workflow)}/logs", params=page)

    async def cancel_workflow(self, workflow: str) -> Workflow:
        return await self._ask(Workflow, "POST", f"/workflows/{_segment(workflow)}/cancel")

    async def retry_workflow(self, workflow: str) -> Workflow:
        """Starts a failed or cancelled workflow's work again, as a new workflow."""
        return await self._ask(Workflow, "POST", f"/workflows/{_segment(workflow)}/retry")

    async def wait_for_workflow(
        self,
        workflow: str,
        progress: Callable[[Workflow], None] | None = None,
        every: float = 0.2,
    ) -> Workflow:
        """Asks every `every` seconds until the workflow is finished; `progress` gets each answer."""
        while True:
            found = await self.workflow(workflow)
            if progress is not None:
                progress(found)
            if found.status.finished:
                return found
            await asyncio.sleep(every)

    # -- underneath -----------------------------------------------------------------------------------

    async def every(self, fetch: Callable[..., Any], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """All items of a paged list: `async for run in client.every(client.models, "registry")`."""
        token: str | None = None
        while True:
            page = await fetch(*args, page_token=token, **kwargs)
            for item in page.items:
                yield item
            token = page.next_page_token
            if token is None:
                return

    @staticmethod
    def _model(registry: str, model: str) -> str:
        return f"/registries/{_segment(registry)}/models/{_segment(model)}"

    def _version(self, registry: str, model: str, version: int) -> str:
        return f"{self._model(registry, model)}/versions/{version}"

    async def _ask(self, kind: type[Answer], method: str, path: str, **options: Any) -> Answer:
        response = await self._send(method, path, **options)
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            raise RegistryError(
                f"The service's answer to {method} {path} is not what this version understands",
                action="Use the same version of registry-tui on both sides",
                request_id=response.headers.get("X-Request-ID"),
            ) from error

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, Any] | None = None,
        body: BaseModel | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | httpx.Timeout | None = TIMEOUT,
    ) -> httpx.Response:
        request_id = str(uuid.uuid4())
        sent = {"X-Request-ID": request_id, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            response = await self._http.request(
                method,
                f"/api/v1{path}",
                params={key: value for key, value in (params or {}).items() if value is not None},
                content=None if body is None else body.model_dump_json(),
                headers=sent,
                timeout=timeout,
            )
        except httpx.HTTPError as error:
            raise _unavailable(error, request_id) from error
        if response.is_error:
            raise _problem(response, request_id)
        return response

    async def _read(self, url: str, params: dict[str, Any], start: int, length: int | None) -> bytes:
        if length == 0:
            return b""
        end = "" if length is None else str(start + length - 1)
        headers = {} if start == 0 and length is None else {"Range": f"bytes={start}-{end}"}
        return (await self._send("GET", url, params=params, headers=headers)).content

    async def _download(
        self,
        url: str,
        params: dict[str, Any],
        target: Path,
        progress: Callable[[int, int | None], None] | None,
    ) -> int:
        request_id = str(uuid.uuid4())
        partial = target.with_name(f".{target.name}.part")
        done = 0
        try:
            async with self._http.stream(
                "GET", f"/api/v1{url}", params=params, headers={"X-Request-ID": request_id}
            ) as response:
                if response.is_error:
                    await response.aread()
                    raise _problem(response, request_id)
                length = response.headers.get("Content-Length")
                with partial.open("wb") as file:
                    async for chunk in response.aiter_bytes(CHUNK):
                        file.write(chunk)
                        done += len(chunk)
                        if progress is not None:
                            progress(done, int(length) if length else None)
            partial.replace(target)
        except httpx.HTTPError as error:
            raise _unavailable(error, request_id) from error
        except OSError as error:
            raise RegistryError(f"Cannot write {target}: {error.strerror or error}", request_id=request_id) from error
        finally:
            partial.unlink(missing_ok=True)
        return done


def _unavailable(error: httpx.HTTPError, request_id: str) -> ServiceUnavailable:
    if isinstance(error, httpx.TimeoutException):
        message, action = "The service did not answer in time", "Try again; see `registry-tui logs service`"
    else:
        message, action = "The service is not running", "Start it with `registry-tui up`"
    return ServiceUnavailable(message, action=action, request_id=request_id)


def _problem(response: httpx.Response, request_id: str) -> RegistryError:
    try:
        return from_problem(Problem.model_validate_json(response.content))
    except ValidationError:
        return RegistryError(
            f"The service answered {response.status_code} without saying why",
            action="See `registry-tui logs service`",
            request_id=response.headers.get("X-Request-ID", request_id),
        )
