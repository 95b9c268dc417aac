"""Calls about the installation, environments, workspaces and projects."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import STORE_PATIENCE, Transport, segment
from registry_tui.schemas.base import Page
from registry_tui.schemas.operations import PlatformStatus
from registry_tui.schemas.places import (
    BackendChange,
    Collaborator,
    CollaboratorChange,
    Environment,
    EnvironmentCreate,
    Project,
    ProjectCreate,
    ProjectCredentials,
    Workspace,
    WorkspaceCreate,
)
from registry_tui.schemas.stores import StoreChange, StoreCheck, StoreReport


class Places(Transport):
    """Calls about the installation, environments, workspaces and projects."""

    async def status(self) -> PlatformStatus:
        """The parts' health as the service sees it, by real probes."""
        return await self._ask(PlatformStatus, "GET", "/status")

    async def environments(self, **page: Any) -> Page[Environment]:
        return await self._ask(Page[Environment], "GET", "/environments", params=page)

    async def environment(self, environment: str) -> Environment:
        return await self._ask(Environment, "GET", f"/environments/{segment(environment)}")

    async def create_environment(self, request: EnvironmentCreate) -> Environment:
        """One with its own store is created after every operation was tried there."""
        if request.store is None:
            return await self._ask(Environment, "POST", "/environments", body=request)
        answer = await self._send("POST", "/environments", body=request, timeout=STORE_PATIENCE)
        return Environment.model_validate_json(answer.content)

    async def change_store(self, environment: str, request: StoreChange) -> Environment:
        """Sets other credentials, or another address, for an environment's own store."""
        path = f"/environments/{segment(environment)}/store"
        answer = await self._send("PUT", path, body=request, timeout=STORE_PATIENCE)
        return Environment.model_validate_json(answer.content)

    async def change_backend(self, environment: str, request: BackendChange) -> Environment:
        """Makes an environment's deployments run on this machine, or in a cluster, which is tried first."""
        path = f"/environments/{segment(environment)}/backend"
        answer = await self._send("PUT", path, body=request, timeout=STORE_PATIENCE)
        return Environment.model_validate_json(answer.content)

    async def delete_environment(self, environment: str) -> None:
        await self._send("DELETE", f"/environments/{segment(environment)}")

    async def check_environment_store(self, environment: str) -> Environment:
        """Tries an environment's own store; the findings are in the response's store."""
        path = f"/environments/{segment(environment)}/store/check"
        answer = await self._send("POST", path, timeout=STORE_PATIENCE, reads=True)
        return Environment.model_validate_json(answer.content)

    async def check_store(self, request: StoreCheck) -> StoreReport:
        """Tries a store; missing permissions and the like are in the response."""
        answer = await self._send("POST", "/stores/check", body=request, timeout=STORE_PATIENCE, reads=True)
        return StoreReport.model_validate_json(answer.content)

    async def workspaces(self, environment: str | None = None, **page: Any) -> Page[Workspace]:
        return await self._ask(Page[Workspace], "GET", "/workspaces", params={"environment": environment, **page})

    async def workspace(self, workspace: str) -> Workspace:
        return await self._ask(Workspace, "GET", f"/workspaces/{segment(workspace)}")

    async def create_workspace(self, request: WorkspaceCreate) -> Workspace:
        return await self._ask(Workspace, "POST", "/workspaces", body=request)

    async def delete_workspace(self, workspace: str) -> None:
        await self._send("DELETE", f"/workspaces/{segment(workspace)}")

    async def projects(
        self,
        workspace: str | None = None,
        *,
        name: str | None = None,
        environment: str | None = None,
        order_by: str | None = None,
        **page: Any,
    ) -> Page[Project]:
        """`name` is a part of the name; `order_by` is `field` or `-field`."""
        params = {"workspace": workspace, "name": name, "environment": environment, "order_by": order_by, **page}
        return await self._ask(Page[Project], "GET", "/projects", params=params)

    async def project(self, project: str) -> Project:
        return await self._ask(Project, "GET", f"/projects/{segment(project)}")

    async def create_project(self, request: ProjectCreate) -> Project:
        return await self._ask(Project, "POST", "/projects", body=request)

    async def delete_project(self, project: str, *, force: bool = False) -> None:
        """Deletes a project; one that contains experiments only with `force`."""
        await self._send("DELETE", f"/projects/{segment(project)}", params={"force": force})

    async def collaborators(self, project: str) -> Page[Collaborator]:
        return await self._ask(Page[Collaborator], "GET", f"/projects/{segment(project)}/collaborators")

    async def set_collaborator(self, project: str, user: str, change: CollaboratorChange) -> Collaborator:
        path = f"/projects/{segment(project)}/collaborators/{segment(user)}"
        return await self._ask(Collaborator, "PUT", path, body=change)

    async def remove_collaborator(self, project: str, user: str) -> None:
        await self._send("DELETE", f"/projects/{segment(project)}/collaborators/{segment(user)}")

    async def credentials(self, project: str) -> ProjectCredentials:
        """The settings that stock MLflow code needs in this project, for the acting principal."""
        found = await self._ask(ProjectCredentials, "GET", f"/projects/{segment(project)}/credentials")
        if self.context is None:
            return found
        return found.model_copy(update={"token": self.context.token, "certificate": self.context.trusted})
