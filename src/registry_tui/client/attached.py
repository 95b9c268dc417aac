"""Calls about external MLflow servers that are shown as workspaces."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.schemas.attached import (
    AttachedImport,
    AttachedModel,
    AttachedServer,
    AttachedServerChange,
    AttachedServerCreate,
    AttachedVersion,
)
from registry_tui.schemas.base import Page
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.places import Project


class Attached(Transport):
    """Calls about attached MLflow servers; each is identified by its workspace."""

    async def attached_servers(self, **page: Any) -> Page[AttachedServer]:
        return await self._ask(Page[AttachedServer], "GET", "/attached-servers", params=page)

    async def attached_server(self, workspace: str) -> AttachedServer:
        """One server; it is contacted, to check whether it can be read now."""
        return await self._ask(AttachedServer, "GET", f"/attached-servers/{segment(workspace)}")

    async def attach_server(self, request: AttachedServerCreate) -> AttachedServer:
        """Makes a workspace with one project that shows a server, which is contacted first."""
        return await self._ask(AttachedServer, "POST", "/attached-servers", body=request)

    async def change_server(self, workspace: str, request: AttachedServerChange) -> AttachedServer:
        """Reads a server that has moved at its new address, or with other credentials."""
        return await self._ask(AttachedServer, "PUT", f"/attached-servers/{segment(workspace)}", body=request)

    async def detach_server(self, workspace: str) -> None:
        """Forgets a server with its workspace and project; nothing changes there."""
        await self._send("DELETE", f"/attached-servers/{segment(workspace)}")

    async def attached_models(self, project: str, *, name: str | None = None, **page: Any) -> Page[AttachedModel]:
        """The registered models of the server that a project shows; `name` is a part of the name."""
        path = f"/projects/{segment(project)}/attached-models"
        return await self._ask(Page[AttachedModel], "GET", path, params={"name": name, **page})

    async def attached_versions(self, project: str, model: str, **page: Any) -> Page[AttachedVersion]:
        """The versions of a registered model of the server that a project shows, the newest first."""
        path = f"/projects/{segment(project)}/attached-models/{segment(model)}/versions"
        return await self._ask(Page[AttachedVersion], "GET", path, params=page)

    async def import_attached(self, project: str, request: AttachedImport) -> Accepted[Project]:
        """Brings registered models of the server that a project shows into its registry; all when none is named."""
        path = f"/projects/{segment(project)}/attached-models/import"
        return await self._ask(Accepted[Project], "POST", path, body=request)
