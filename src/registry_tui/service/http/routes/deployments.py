"""Deployments: serving versions; their replicas, revisions, logs; API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query

from registry_tui.schemas.base import Page
from registry_tui.schemas.canaries import Canary, CanaryDecision
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
from registry_tui.schemas.operations import Accepted
from registry_tui.service.access import api_keys
from registry_tui.service.deployments import canaries, history, trying
from registry_tui.service.deployments import rules as deployments
from registry_tui.service.deployments import views as deployment_views
from registry_tui.service.http.routes.dependencies import Acting, NameIn, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.http.routes.models import VersionIn

router = new_router("deployments")

_ONE = "/deployments/{deployment}"


@router.get("/deployments")
def list_deployments(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    project: NameIn | None = None,
    registry: NameIn | None = None,
    model: NameIn | None = None,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Page[Deployment]:
    """The deployments of the projects that you collaborate in, by name."""
    return deployment_views.list_deployments(
        service,
        principal,
        project=project,
        registry=registry,
        model=model,
        version=version,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.post("/deployments", status_code=202)
def create_deployment(service: ServiceIn, principal: Acting, request: DeploymentCreate) -> Accepted[Deployment]:
    """Serves a version of a registered model from a project."""
    return deployments.create_deployment(service, principal, request)


@router.get(_ONE)
def get_deployment(service: ServiceIn, principal: Acting, deployment: str) -> Deployment:
    """One deployment, by ID, name or `project/name`."""
    return deployment_views.get_deployment(service, principal, deployment)


@router.patch(_ONE, status_code=202)
def update_deployment(
    service: ServiceIn, principal: Acting, deployment: str, request: DeploymentUpdate
) -> Accepted[Deployment] | Deployment:
    """Changes a deployment. Version, resources and environment roll out as a workflow; the rest at once."""
    return deployments.update_deployment(service, principal, deployment, request)


@router.delete(_ONE, status_code=202)
def delete_deployment(
    service: ServiceIn,
    principal: Acting,
    deployment: str,
    force: Annotated[bool, Query(description="Stops it first")] = False,
) -> Accepted[Deployment]:
    """Deletes a stopped deployment."""
    return deployments.delete_deployment(service, principal, deployment, force=force)


@router.post(f"{_ONE}/stop", status_code=202)
def stop_deployment(service: ServiceIn, principal: Acting, deployment: str) -> Accepted[Deployment]:
    """Ends all replicas once they have answered the requests under way."""
    return deployments.stop_deployment(service, principal, deployment)


@router.post(f"{_ONE}/restart", status_code=202)
def restart_deployment(service: ServiceIn, principal: Acting, deployment: str) -> Accepted[Deployment]:
    """Replaces all replicas by new ones; starts a stopped deployment."""
    return deployments.restart_deployment(service, principal, deployment)


@router.post(f"{_ONE}/rollback", status_code=202)
def roll_back(
    service: ServiceIn,
    principal: Acting,
    deployment: str,
    revision: Annotated[int | None, Query(ge=1, description="Default: the one that served before")] = None,
) -> Accepted[Deployment]:
    """Rolls back to an earlier revision."""
    return deployments.roll_back(service, principal, deployment, revision)


@router.get(f"{_ONE}/canary")
def get_canary(service: ServiceIn, principal: Acting, deployment: str) -> Canary:
    """The version that is tried on callers' requests, or the last one that was."""
    return canaries.get_canary(service, principal, deployment)


@router.post(f"{_ONE}/canary")
def decide_canary(service: ServiceIn, principal: Acting, deployment: str, request: CanaryDecision) -> Canary:
    """Pauses, resumes, promotes or aborts the canary. A moment later its rollout does so."""
    return canaries.decide(service, principal, deployment, request.decision)


@router.get(f"{_ONE}/replicas")
def list_replicas(service: ServiceIn, principal: Acting, deployment: str) -> list[ReplicaStatus]:
    """Every process of a deployment."""
    return deployment_views.replicas(service, principal, deployment)


@router.get(f"{_ONE}/revisions")
def list_revisions(service: ServiceIn, principal: Acting, deployment: str) -> list[Revision]:
    """The history with its builds, newest first."""
    return deployment_views.revisions(service, principal, deployment)


@router.get(f"{_ONE}/at")
def served_at(
    service: ServiceIn,
    principal: Acting,
    deployment: str,
    time: Annotated[datetime, Query(description="RFC 3339; without a zone UTC")],
) -> ServedAt:
    """The version that served at a time, who allowed it, and its neighbours; also of deleted deployments, by name."""
    return history.served_at(service, principal, deployment, time)


@router.get(f"{_ONE}/logs")
def list_replica_logs(service: ServiceIn, principal: Acting, deployment: str) -> list[ReplicaLogFile]:
    """The logs of all replicas, also of removed ones."""
    return deployment_views.replica_logs(service, principal, deployment)


@router.get(f"{_ONE}/logs/{{replica}}")
def read_replica_log(
    service: ServiceIn,
    principal: Acting,
    deployment: str,
    replica: str,
    offset: Annotated[int | None, Query(ge=0, description="An answer's next_offset; else the last lines")] = None,
    lines: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> ReplicaLog:
    """Lines of one replica's log, by its name or number; kept over restarts."""
    return deployment_views.replica_log(service, principal, deployment, replica, offset=offset, lines=lines)


@router.get(f"{_ONE}/example")
def get_example(service: ServiceIn, principal: Acting, deployment: str) -> DeploymentSuggestion:
    """A request to try, from the model's input example or its signature."""
    return trying.example_for(service, principal, deployment)


@router.post(f"{_ONE}/test")
def test_deployment(service: ServiceIn, principal: Acting, deployment: str, request: TestRequest) -> TestAnswer:
    """Sends a request to a replica, and shows how to do the same with curl and Python."""
    return trying.send(service, principal, deployment, request)


@router.get("/registries/{registry}/models/{model}/versions/{version}/deployment-suggestion")
def suggest_deployment(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn
) -> DeploymentSuggestion:
    """Suggestions for deploying this version."""
    return trying.suggest(service, principal, registry, model, version)


@router.get("/keys")
def list_keys(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    everybody: Annotated[bool, Query(description="As administrator: everybody's")] = False,
) -> Page[ApiKey]:
    """Your API keys, newest first."""
    return api_keys.list_keys(
        service, principal, everybody=everybody, page_size=page.page_size, page_token=page.page_token
    )


@router.post("/keys", status_code=201)
def create_key(service: ServiceIn, principal: Acting, request: ApiKeyCreate) -> NewApiKey:
    """Makes an API key; only this response contains it."""
    return api_keys.create_key(service, principal, request)


@router.put("/keys/{key}/limits")
def limit_key(service: ServiceIn, principal: Acting, key: str, request: KeyLimits) -> ApiKey:
    """Sets the limits of requests with an API key from now on."""
    return api_keys.limit_key(service, principal, key, request)


@router.delete("/keys/{key}")
def revoke_key(service: ServiceIn, principal: Acting, key: str) -> ApiKey:
    """Revokes an API key."""
    return api_keys.revoke_key(service, principal, key)
