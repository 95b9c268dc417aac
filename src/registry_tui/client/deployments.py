"""Calls about deployments and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.contracts.api_keys import id_of
from registry_tui.schemas.base import Page
from registry_tui.schemas.canaries import Canary, CanaryDecision, Decision
from registry_tui.schemas.deployments import (
    ApiKey,
    ApiKeyCreate,
    Deployment,
    DeploymentCreate,
    DeploymentSuggestion,
    DeploymentUpdate,
    KeyLimits,
    NewApiKey,
    ReplicaLog,
    ReplicaLogFile,
    ReplicaStatus,
    Revision,
    ServedAt,
    TestAnswer,
    TestRequest,
)
from registry_tui.schemas.drift import Drift, DriftRules
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.request_log import LoggedRequest, RequestLog, RequestLogRules


class Deployments(Transport):
    """Calls about deployments and API keys."""

    async def deployments(
        self,
        *,
        project: str | None = None,
        registry: str | None = None,
        model: str | None = None,
        version: int | None = None,
        **page: Any,
    ) -> Page[Deployment]:
        """Sorted by name."""
        params = {"project": project, "registry": registry, "model": model, "version": version, **page}
        return await self._ask(Page[Deployment], "GET", "/deployments", params=params)

    async def deployment(self, deployment: str) -> Deployment:
        return await self._ask(Deployment, "GET", f"/deployments/{segment(deployment)}")

    async def create_deployment(self, request: DeploymentCreate) -> Accepted[Deployment]:
        return await self._ask(Accepted[Deployment], "POST", "/deployments", body=request)

    async def update_deployment(self, deployment: str, request: DeploymentUpdate) -> Accepted[Deployment] | Deployment:
        """Returns the deployment with the rollout's workflow; the deployment alone when no rollout is needed."""
        kind: Any = Accepted[Deployment] | Deployment
        found: Accepted[Deployment] | Deployment = await self._ask(
            kind, "PATCH", f"/deployments/{segment(deployment)}", body=request
        )
        return found

    async def stop_deployment(self, deployment: str) -> Accepted[Deployment]:
        return await self._ask(Accepted[Deployment], "POST", f"/deployments/{segment(deployment)}/stop")

    async def restart_deployment(self, deployment: str) -> Accepted[Deployment]:
        """Replaces all replicas, or starts a stopped deployment."""
        return await self._ask(Accepted[Deployment], "POST", f"/deployments/{segment(deployment)}/restart")

    async def roll_back_deployment(self, deployment: str, revision: int | None = None) -> Accepted[Deployment]:
        """Rolls back to a revision, or to the previous one."""
        path = f"/deployments/{segment(deployment)}/rollback"
        return await self._ask(Accepted[Deployment], "POST", path, params={"revision": revision})

    async def canary(self, deployment: str) -> Canary:
        """The version that is being tried on callers' requests, or the last one that was."""
        return await self._ask(Canary, "GET", f"/deployments/{segment(deployment)}/canary")

    async def decide_canary(self, deployment: str, decision: Decision) -> Canary:
        """Pauses, resumes, promotes or aborts it."""
        path = f"/deployments/{segment(deployment)}/canary"
        return await self._ask(Canary, "POST", path, body=CanaryDecision(decision=decision))

    async def delete_deployment(self, deployment: str, *, force: bool = False) -> Accepted[Deployment]:
        """Deletes a stopped deployment; with `force` stops it first."""
        path = f"/deployments/{segment(deployment)}"
        return await self._ask(Accepted[Deployment], "DELETE", path, params={"force": force})

    async def replicas(self, deployment: str) -> list[ReplicaStatus]:
        return await self._ask(list[ReplicaStatus], "GET", f"/deployments/{segment(deployment)}/replicas")

    async def revisions(self, deployment: str) -> list[Revision]:
        """Newest first."""
        return await self._ask(list[Revision], "GET", f"/deployments/{segment(deployment)}/revisions")

    async def served_at(self, deployment: str, time: datetime) -> ServedAt:
        """The state of a deployment at that time; also of a deleted one."""
        path = f"/deployments/{segment(deployment)}/at"
        return await self._ask(ServedAt, "GET", path, params={"time": time.isoformat()})

    async def replica_logs(self, deployment: str) -> list[ReplicaLogFile]:
        """The existing logs, also of removed replicas."""
        return await self._ask(list[ReplicaLogFile], "GET", f"/deployments/{segment(deployment)}/logs")

    async def replica_log(
        self, deployment: str, replica: str, *, offset: int | None = None, lines: int = 1000
    ) -> ReplicaLog:
        """The last lines, or those from an `offset` on."""
        path = f"/deployments/{segment(deployment)}/logs/{segment(replica)}"
        return await self._ask(ReplicaLog, "GET", path, params={"offset": offset, "lines": lines})

    async def deployment_example(self, deployment: str) -> DeploymentSuggestion:
        return await self._ask(DeploymentSuggestion, "GET", f"/deployments/{segment(deployment)}/example")

    async def test_deployment(self, deployment: str, request: TestRequest) -> TestAnswer:
        """Sends a request to a replica."""
        path = f"/deployments/{segment(deployment)}/test"
        return await self._ask(TestAnswer, "POST", path, body=request, timeout=None)

    async def suggest_deployment(self, registry: str, model: str, version: int) -> DeploymentSuggestion:
        """The initial values of a form for deploying a version."""
        place = f"/registries/{segment(registry)}/models/{segment(model)}/versions/{segment(version)}"
        return await self._ask(DeploymentSuggestion, "GET", f"{place}/deployment-suggestion")

    # -- the request log ----------------------------------------------------------------------------

    async def request_log(self, deployment: str) -> RequestLog:
        """The rules of its request log, and the number of kept requests."""
        return await self._ask(RequestLog, "GET", f"/deployments/{segment(deployment)}/request-log")

    async def set_request_log(self, deployment: str, rules: RequestLogRules) -> RequestLog:
        """Sets the rules of the request log from now on."""
        return await self._ask(RequestLog, "PUT", f"/deployments/{segment(deployment)}/request-log", body=rules)

    async def logged_requests(self, deployment: str, **page: Any) -> Page[LoggedRequest]:
        """The kept requests, newest first; `values` of each column at most (default: all)."""
        return await self._ask(Page[LoggedRequest], "GET", f"/deployments/{segment(deployment)}/requests", params=page)

    async def logged_request(self, deployment: str, request_id: str, *, at: datetime | None = None) -> LoggedRequest:
        """A kept request with all its values: the newest with this ID, or the one of that time."""
        path = f"/deployments/{segment(deployment)}/requests/{segment(request_id)}"
        return await self._ask(LoggedRequest, "GET", path, params={"at": None if at is None else at.isoformat()})

    async def delete_requests(self, deployment: str) -> RequestLog:
        """Deletes all requests kept so far."""
        return await self._ask(RequestLog, "DELETE", f"/deployments/{segment(deployment)}/requests")

    async def drift(self, deployment: str, **rules: Any) -> Drift:
        """Compares the kept requests with the training data, by the deployment's rules or by others for this call
        only."""
        return await self._ask(Drift, "GET", f"/deployments/{segment(deployment)}/drift", params=rules)

    async def set_drift_rules(self, deployment: str, rules: DriftRules) -> Drift:
        """Sets how drift is judged from now on, and whether alerts are sent."""
        return await self._ask(Drift, "PUT", f"/deployments/{segment(deployment)}/drift", body=rules)

    # -- API keys ---------------------------------------------------------------------------------

    async def keys(self, *, everybody: bool = False, **page: Any) -> Page[ApiKey]:
        """The user's own, newest first; with `everybody`, those of all users, for administrators."""
        return await self._ask(Page[ApiKey], "GET", "/keys", params={"everybody": everybody, **page})

    async def create_key(self, request: ApiKeyCreate) -> NewApiKey:
        """Creates a key; only this response contains it."""
        return await self._ask(NewApiKey, "POST", "/keys", body=request)

    async def limit_key(self, key: str, limits: KeyLimits) -> ApiKey:
        """`key` is its ID, its beginning, or the whole key, whose secret is not sent."""
        return await self._ask(ApiKey, "PUT", f"/keys/{segment(id_of(key))}/limits", body=limits)

    async def revoke_key(self, key: str) -> ApiKey:
        """`key` is its ID, its beginning, or the whole key, whose secret is not sent."""
        return await self._ask(ApiKey, "DELETE", f"/keys/{segment(id_of(key))}")
