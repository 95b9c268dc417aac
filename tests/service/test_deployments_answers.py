"""What deployments answer where JSON, callers or models are not as they should be."""

from __future__ import annotations

import pytest

from registry_tui.schemas.deployments import Batching, Deployment, DeploymentUpdate
from registry_tui.schemas.operations import Accepted
from support.platforms import Platform
from support.served import Served, answer, call, deploy, finish, register, split


@pytest.fixture(scope="module")
def adder(platform: Platform) -> Served:
    """A model that adds, and does what else a row asks for; without an example."""
    return register(platform, platform.new_project())


def shown(platform: Platform, deployment: Deployment) -> str:
    return platform.command("deployments", "show", deployment.name).stdout


def update(platform: Platform, deployment: Deployment, **fields: object) -> Deployment:
    request = DeploymentUpdate.model_validate(fields)
    accepted = platform.ask(lambda client: client.update_deployment(deployment.id, request))
    assert isinstance(accepted, Accepted)
    finish(platform, accepted.workflow)
    return platform.ask(lambda client: client.deployment(deployment.id))


def test_whether_requests_share_calls_is_set_and_shown_with_the_reason(platform: Platform, adder: Served) -> None:
    deployment = deploy(platform, adder)
    assert deployment.batching is Batching.AUTO
    assert deployment.batching_decision.startswith("each request is predicted alone: models of the flavour served_")
    changed = update(platform, deployment, batching="on")
    assert (changed.batching, changed.revision) == (Batching.ON, 2)
    assert "requests that wait together share a call: the deployment's setting is on" in shown(platform, deployment)
    history = platform.ask(lambda client: client.revisions(deployment.id))
    assert [each.batching for each in history] == ["on", "auto"]
    # What older clients send still means what it meant.
    assert DeploymentUpdate.model_validate({"batching": False}).batching is Batching.OFF
    done = platform.command("deployments", "update", deployment.name, "--batching", "off")
    assert "off: each request is predicted alone: the deployment's setting is off" in done.stdout
    assert answer(deployment) == [3.0]


def test_nan_and_infinities_are_answered_as_by_mlflow_or_as_strict_json(platform: Platform, adder: Served) -> None:
    deployment = deploy(platform, adder)
    body = split(nan=[1])
    assert call(deployment, body).text == '{"predictions": [NaN, Infinity, -Infinity, 0.30000000000000004]}'
    update(platform, deployment, strict_json=True)
    assert call(deployment, body).text == '{"predictions": [null, null, null, 0.30000000000000004]}'
    assert "answered as null (strict JSON)" in shown(platform, deployment)
