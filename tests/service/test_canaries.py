"""Canaries and shadows: a new version is tried on callers' requests, and goes when it does worse."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from registry_tui.client.errors import RegistryError
from registry_tui.schemas.canaries import CanaryState, Decision
from registry_tui.schemas.deployments import DeploymentState, DeploymentUpdate, RevisionState
from registry_tui.schemas.operations import Accepted, WorkflowStatus
from support.load import Load
from support.platforms import PATIENCE, Platform, wait_for
from support.served import Served, answer, call, deploy, finish, now, register, replicas, split
from support.tried_versions import QUICK, begin, canary, decide


def test_a_canary_is_promoted_once_all_steps_are_done(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    with Load(deployment) as load:
        work = begin(platform, deployment, 2, strategy="canary", steps=[50, 100])
        assert now(platform, deployment).canary is not None
        finish(platform, work)
    assert set(load.statuses) == {200}, load.statuses
    assert load.predictions.keys() == {13.0, 23.0}
    found = canary(platform, deployment)
    assert (found.state, found.reason) == (CanaryState.PROMOTED, "all steps are done")
    assert found.old.requests > 0 and found.new.requests >= 20 and found.new.p99
    assert now(platform, deployment).canary is None
    assert answer(deployment) == [23.0]


def test_an_aborted_canary_costs_no_request(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    before = replicas(platform, deployment)[0].pid
    with Load(deployment, threads=16) as load:
        work = begin(platform, deployment, 2, strategy="canary", steps=[50], min_requests=1_000_000)
        wait_for(lambda: canary(platform, deployment).new.requests > 20, what="requests of the new version")
        decide(platform, deployment, Decision.ABORT)
        finish(platform, work, WorkflowStatus.CANCELLED)
    assert set(load.statuses) == {200}, load.statuses
    assert load.predictions[23.0] > 0
    found = now(platform, deployment)
    assert (found.state, found.version, found.canary) == (DeploymentState.DEPLOYED, 1, None)
    assert "aborted by" in found.reason and canary(platform, deployment).state is CanaryState.ABORTED
    assert [each.pid for each in replicas(platform, deployment)] == [before]
    assert platform.ask(lambda client: client.revisions(deployment.id))[0].state is RevisionState.CANCELLED
    with pytest.raises(RegistryError, match="has ended"):
        decide(platform, deployment, Decision.PROMOTE)


def test_a_version_that_fails_requests_is_rolled_back_and_callers_notice_nothing(
    platform: Platform, two: Served
) -> None:
    deployment = deploy(platform, two, version=1)
    failing = register(platform, two.project, two.version.model_name, raises="no").version.version
    with Load(deployment) as load:
        request = {"version": failing, "rollout": {**QUICK, "strategy": "canary", "steps": [30], "step_seconds": 600}}
        accepted = platform.ask(
            lambda client: client.update_deployment(deployment.id, DeploymentUpdate.model_validate(request))
        )
        assert isinstance(accepted, Accepted)
        ended = finish(platform, accepted.workflow, WorkflowStatus.FAILED)
    assert set(load.statuses) == {200} and load.predictions.keys() == {13.0}, load.statuses
    assert "failed (100.0 %), more than the 5.0 % allowed" in str(ended.error)
    assert canary(platform, deployment).state is CanaryState.ROLLED_BACK
    assert f"(version {failing}) was rolled back: " in now(platform, deployment).reason
    page = platform.ask(lambda client: client.events(action="deployment.roll-back", resource=deployment.id))
    assert "more than the 5.0 % allowed" in page.items[0].detail


def test_a_version_that_disagrees_is_rolled_back(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    for strategy in ("shadow", "canary"):
        with Load(deployment) as load:
            bounds = {"max_disagreement": 0.1, "step_seconds": 600, "steps": [50]}
            work = begin(platform, deployment, 2, strategy=strategy, **bounds)
            ended = finish(platform, work, WorkflowStatus.FAILED)
        assert set(load.statuses) == {200}, load.statuses
        assert (load.predictions[23.0] > 0) is (strategy == "canary")
        assert "differed from the old version's (100.0 %), more than the 10.0 % allowed" in str(ended.error)
        found = canary(platform, deployment)
        assert found.compared == found.disagreeing > 0


def test_a_shadow_that_agrees_is_promoted(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    same = register(platform, two.project, two.version.model_name, add=10 + 1e-9).version.version
    with Load(deployment) as load:
        finish(platform, begin(platform, deployment, same, strategy="shadow", max_disagreement=0.0))
    assert set(load.statuses) == {200}, load.statuses
    found = canary(platform, deployment)
    assert found.state is CanaryState.PROMOTED and found.compared > 0 and found.disagreeing == 0


def test_a_slow_version_is_rolled_back(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    slow = register(platform, two.project, two.version.model_name, add=10, hangs=0.3).version.version
    with Load(deployment, threads=4) as load:
        bounds = {"max_p99_seconds": 0.2, "step_seconds": 600, "steps": [100], "min_requests": 3}
        ended = finish(platform, begin(platform, deployment, slow, strategy="shadow", **bounds), WorkflowStatus.FAILED)
    assert set(load.statuses) == {200}, load.statuses
    assert "p99 of" in str(ended.error) and "more than the 200 ms allowed" in str(ended.error)


def test_a_paused_canary_waits_and_callers_stay_with_their_version(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    work = begin(platform, deployment, 2, strategy="canary", steps=[50, 100], pause_after=50, min_requests=0)
    wait_for(lambda: canary(platform, deployment).state == "paused", what="the pause")
    assert "resume, promote or abort it" in canary(platform, deployment).reason

    def says(name: str) -> float:
        [found] = answer(deployment, headers={"X-Affinity": name})
        return float(found)

    names = [f"caller {number}" for number in range(20)]
    first = [says(name) for name in names]
    assert set(first) == {13.0, 23.0} and [says(name) for name in names] == first
    wrapped = {"accessKey": deployment.access_key, "request": split(a=[1.0], b=[2.0])}
    told = httpx.post(
        deployment.model_url, json=wrapped, headers={"X-Affinity": names[0]}, timeout=PATIENCE, trust_env=False
    )
    assert told.json()["response"]["predictions"] == [first[0]]
    refused = platform.command("deployments", "scale", deployment.id, "2", check=False)
    assert refused.returncode != 0
    assert decide(platform, deployment, Decision.RESUME).state is CanaryState.RUNNING
    finish(platform, work)
    assert answer(deployment) == [23.0]


def test_a_wrong_request_is_not_the_new_versions_fault(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    work = begin(platform, deployment, 2, strategy="canary", steps=[100], step_seconds=600)
    for _ in range(15):
        assert call(deployment, {"nothing": 1}).status_code == 400
    found = canary(platform, deployment)
    assert (found.state, found.new.requests, found.new.errors) == (CanaryState.RUNNING, 15, 0)
    decide(platform, deployment, Decision.PROMOTE)
    finish(platform, work)
    assert "promoted by" in canary(platform, deployment).reason


def test_what_cannot_be_tried_is_refused(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)

    def refused(words: str, **fields: Any) -> None:
        request = DeploymentUpdate.model_validate({"rollout": {"strategy": "canary"}, **fields})
        with pytest.raises(RegistryError, match=words):
            platform.ask(lambda client: client.update_deployment(deployment.id, request))

    refused("nothing is changed")
    refused("nothing is changed", description="other")
    refused("nothing to try", replicas=2)
    with pytest.raises(RegistryError, match="has had no canary"):
        canary(platform, deployment)
    for wrong in ({"steps": [50, 25]}, {"steps": [0]}, {"steps": [101]}, {"pause_after": 7}):
        with pytest.raises(ValueError, match="step"):
            DeploymentUpdate.model_validate({"rollout": {"strategy": "canary", **wrong}})
    finish(platform, platform.ask(lambda client: client.stop_deployment(deployment.id)).workflow)
    refused("serves no version", version=2)
    assert json.loads(platform.command("deployments", "show", deployment.id, "--json").stdout)["canary"] is None


def test_versions_that_a_followed_alias_moves_to_are_tried_first(platform: Platform, two: Served) -> None:
    def move(number: int) -> None:
        model = two.version.model_name
        platform.ask(lambda client: client.set_alias(two.registry, model, "champion", number))

    move(1)
    kept = {**QUICK, "strategy": "canary", "steps": [50, 100], "step_seconds": 600}
    followed = {"version": None, "alias": "champion", "follow_alias": True}
    deployment = deploy(platform, two, **followed, follow_rollout=kept)
    shown = deployment.follow_rollout
    assert shown is not None and shown.shares == (50, 100)
    move(2)
    wait_for(lambda: now(platform, deployment).canary is not None, what="the canary of the alias's move")
    wait_for(lambda: canary(platform, deployment).state == "running", what="the new replicas")
    found = now(platform, deployment)
    assert found.version == 1 and found.canary is not None and found.canary.new.version == 2
    assert "by canary: 50, 100 % of the requests" in platform.command("deployments", "show", deployment.id).stdout
    decide(platform, deployment, Decision.ABORT)
    wait_for(lambda: now(platform, deployment).state is DeploymentState.DEPLOYED, what="the end")
    # The alias goes on naming the version that somebody did not want: it is not tried again until it moves.
    assert (now(platform, deployment).version, answer(deployment)) == (1, [13.0])
    platform.command("deployments", "update", deployment.id, "--follow-strategy", "all-at-once")
    found = now(platform, deployment)
    assert (found.follow_rollout, found.follow_alias, found.revision) == (None, True, 1)
    third = register(platform, two.project, two.version.model_name, add=30).version.version
    move(third)
    wait_for(lambda: now(platform, deployment).version == third, what="the move at once")
    refused = platform.command(
        "deployments", "update", deployment.id, "--no-follow", "--follow-strategy", "canary", check=False
    )
    assert refused.returncode != 0 and "it follows no alias" in refused.stderr
