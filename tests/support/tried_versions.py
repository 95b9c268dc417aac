"""Canaries and shadows, begun and decided for tests."""

from __future__ import annotations

from typing import Any

from registry_tui.schemas.canaries import Canary, Decision
from registry_tui.schemas.deployments import Deployment, DeploymentUpdate
from registry_tui.schemas.operations import Accepted, Workflow
from support.platforms import Platform, wait_for

#: Short steps that are judged by few requests.
QUICK = {"step_seconds": 1, "min_requests": 10}


def begin(platform: Platform, deployment: Deployment, version: int, **rollout: Any) -> Workflow:
    """Begins to try a version; it is on trial afterwards."""
    request = DeploymentUpdate.model_validate({"version": version, "rollout": {**QUICK, **rollout}})
    accepted = platform.ask(lambda client: client.update_deployment(deployment.id, request))
    assert isinstance(accepted, Accepted)
    wait_for(lambda: canary(platform, deployment).state != "pending", what="the new replicas")
    return accepted.workflow


def canary(platform: Platform, deployment: Deployment) -> Canary:
    return platform.ask(lambda client: client.canary(deployment.id))


def decide(platform: Platform, deployment: Deployment, decision: Decision) -> Canary:
    return platform.ask(lambda client: client.decide_canary(deployment.id, decision))
