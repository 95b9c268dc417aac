"""Calls about events, log lines and workflows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.schemas.base import Page
from registry_tui.schemas.cleaning import PlatformClean, PlatformCleaned, UnusedThings
from registry_tui.schemas.operations import ChainCheck, ChainLink, Event, EventChoices, LogLine, Workflow
from registry_tui.schemas.secrets import SecretsRotate, SecretsRotated


class Operations(Transport):
    """Calls about events, log lines and workflows."""

    async def events(
        self,
        *,
        registry: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        outcome: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        **page: Any,
    ) -> Page[Event]:
        """Newest first. `resource` is the ID of the resource that they are about."""
        params = {
            "registry": registry,
            "actor": actor,
            "action": action,
            "outcome": outcome,
            "resource": resource,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            **page,
        }
        return await self._ask(Page[Event], "GET", "/events", params=params)

    async def event_choices(self, *, registry: str | None = None) -> EventChoices:
        """The actors and actions that events can be filtered by."""
        return await self._ask(EventChoices, "GET", "/events/choices", params={"registry": registry})

    async def verify_events(self, after: int = 0) -> ChainCheck:
        """Verifies the next events after one; `next_after` is where to continue."""
        return await self._ask(ChainCheck, "GET", "/events/verification", params={"after": after}, timeout=None)

    async def event_links(self, after: int = 0, **page: Any) -> Page[ChainLink]:
        """The hash chain over the events after one, oldest first."""
        return await self._ask(Page[ChainLink], "GET", "/events/chain", params={"after": after, **page})

    async def event_logs(self, event: int, **page: Any) -> Page[LogLine]:
        return await self._ask(Page[LogLine], "GET", f"/events/{segment(event)}/logs", params=page)

    async def rotate_secrets(self, request: SecretsRotate) -> SecretsRotated:
        """Replaces the platform's own secrets; takes some seconds, on a busy machine longer than the usual timeout."""
        return await self._ask(SecretsRotated, "POST", "/secrets/rotate", body=request, timeout=None)

    async def unused(self, older_than_days: float = 0.0) -> UnusedThings:
        """The unused files on the platform's disk; counting them takes a while."""
        params = {"older_than_days": older_than_days}
        return await self._ask(UnusedThings, "GET", "/unused", params=params, timeout=None)

    async def clean_platform(self, request: PlatformClean) -> PlatformCleaned:
        """Removes unused files; takes seconds for large environments."""
        return await self._ask(PlatformCleaned, "POST", "/unused/clean", body=request, timeout=None)

    async def workflows(self, *, kind: str | None = None, status: str | None = None, **page: Any) -> Page[Workflow]:
        """Newest first. `status` may be "active"."""
        return await self._ask(Page[Workflow], "GET", "/workflows", params={"kind": kind, "status": status, **page})

    async def workflow(self, workflow: str) -> Workflow:
        return await self._ask(Workflow, "GET", f"/workflows/{segment(workflow)}")

    async def workflow_logs(self, workflow: str, **page: Any) -> Page[LogLine]:
        return await self._ask(Page[LogLine], "GET", f"/workflows/{segment(workflow)}/logs", params=page)

    async def cancel_workflow(self, workflow: str) -> Workflow:
        return await self._ask(Workflow, "POST", f"/workflows/{segment(workflow)}/cancel")

    async def retry_workflow(self, workflow: str) -> Workflow:
        """Starts a failed or cancelled workflow's work again, as a new workflow."""
        return await self._ask(Workflow, "POST", f"/workflows/{segment(workflow)}/retry")

    async def wait_for_workflow(
        self,
        workflow: str,
        progress: Callable[[Workflow], None] | None = None,
        every: float = 0.2,
    ) -> Workflow:
        """Polls every `every` seconds until the workflow is finished; `progress` gets each response."""
        while True:
            found = await self.workflow(workflow)
            if progress is not None:
                progress(found)
            if found.status.finished:
                return found
            await asyncio.sleep(every)
