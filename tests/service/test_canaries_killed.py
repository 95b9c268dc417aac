"""Versions that are tried on callers' requests while each process that takes part is killed, under load."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from registry_tui.platform import lifecycle, supervisor
from registry_tui.platform.paths import GATEWAYS
from registry_tui.schemas.canaries import Canary, CanaryState, Decision
from registry_tui.schemas.deployments import Deployment
from registry_tui.schemas.operations import WorkflowStatus
from support.load import Load
from support.platforms import PATIENCE, Platform, wait_for
from support.served import Served, answer, deploy, finish, now, replicas, two_versions
from support.tried_versions import begin, canary, decide

#: Connections, and seconds between two requests on each.
CALLERS, PAUSE = 16, 0.05


@pytest.fixture(scope="module")
def two(own_platform: Platform) -> Served:
    """Version 1 adds 10, version 2 adds 20; on the platform that these tests may break."""
    return two_versions(own_platform)


def kill_replicas(platform: Platform, deployment: Deployment) -> None:
    """Kills one replica of each version, and waits until both are there again."""
    victims = {each.version: each for each in replicas(platform, deployment) if each.pid}
    for victim in victims.values():
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)

    def back() -> bool:
        found = {each.name: each for each in replicas(platform, deployment)}
        again = [found[each.name] for each in victims.values() if found[each.name].pid != each.pid]
        return len(again) == len(victims) == 2 and all(each.state == "ready" for each in again)

    wait_for(back, what="the replicas to come back")


def kill_part(platform: Platform, part: str) -> None:
    """Kills a part, and waits until another process has taken its place and all answer."""
    require_gateways(platform)
    gone = platform.kill(part)
    wait_for(lambda: platform.pid(part) not in (0, gone), what=f"{part} to come back")
    require_gateways(platform)
    wait_for(lambda: platform.ask(lambda client: client.deployments()), what="the service to answer")


def require_gateways(platform: Platform) -> None:
    """Waits until both of the gateway's processes listen: one that is starting takes the port over from the other."""
    for socket in platform.home.gateway_sockets:
        transport = httpx.HTTPTransport(uds=str(socket))
        with httpx.Client(transport=transport, timeout=PATIENCE) as control:
            wait_for(partial(control.get, "http://gateway/health"), what="the gateway to listen")


def kill_supervisor(platform: Platform) -> None:
    """Kills the supervisor, and starts the platform again."""
    os.kill(supervisor.pid(platform.home), signal.SIGKILL)
    wait_for(lambda: supervisor.state(platform.home) == "stopped", what="the supervisor's end")
    for _ in lifecycle.up(platform.home):
        pass


def standing(found: Canary) -> dict[str, Any]:
    """The facts that a kill must not change."""
    kept = {"id", "state", "step", "steps", "strategy", "reason", "decided_by", "pause_after"}
    return {**found.model_dump(include=kept), "versions": (found.old.version, found.new.version)}


def kill_everything(platform: Platform, deployment: Deployment, load: Load) -> None:
    """Kills each kind of process while the canary stands still; it must stand as before, and callers notice nothing."""
    kills: dict[str, Callable[[], None]] = {
        "a replica of each version": lambda: kill_replicas(platform, deployment),
        "the service": lambda: kill_part(platform, "service"),
        "the supervisor": lambda: kill_supervisor(platform),
        **{each: lambda each=each: kill_part(platform, each) for each in GATEWAYS},  # type: ignore[misc]
    }
    for what, kill in kills.items():
        before, failed = canary(platform, deployment), load.failed()
        kill()
        after = canary(platform, deployment)
        assert standing(after) == standing(before), what
        assert after.old.requests >= before.old.requests and after.new.requests >= before.new.requests, what
        lost = load.failed() - failed
        # Requests under way in a killed process of the gateway fail: at most one of each caller.
        assert lost.total() <= (CALLERS if what in GATEWAYS else 0), (what, lost)
        assert not any(isinstance(each, int) for each in lost), (what, lost)
        seen = after.new.requests
        wait_for(lambda: canary(platform, deployment).new.requests > seen, what=f"requests after the end of {what}")  # noqa: B023


def test_a_canary_goes_on_whatever_is_killed(own_platform: Platform, two: Served) -> None:
    platform = own_platform
    deployment = deploy(platform, two, version=1, replicas=2)
    with Load(deployment, CALLERS, PAUSE) as load:
        work = begin(platform, deployment, 2, strategy="canary", steps=[40, 70, 100], pause_after=40)
        wait_for(lambda: canary(platform, deployment).state == "paused", what="the pause")
        kill_everything(platform, deployment, load)
        failed = load.failed()
        decide(platform, deployment, Decision.RESUME)
        kill_part(platform, "service")
        finish(platform, work)
        assert load.failed() == failed
    found = canary(platform, deployment)
    assert (found.state, found.reason, found.step) == (CanaryState.PROMOTED, "all steps are done", 3)
    assert load.predictions.keys() == {13.0, 23.0} and answer(deployment) == [23.0]


def test_a_shadow_goes_on_whatever_is_killed_and_is_aborted(own_platform: Platform, two: Served) -> None:
    platform = own_platform
    deployment = deploy(platform, two, version=1, replicas=2)
    with Load(deployment, CALLERS, PAUSE) as load:
        work = begin(platform, deployment, 2, strategy="shadow", step_seconds=6000)
        kill_everything(platform, deployment, load)
        failed = load.failed()
        decide(platform, deployment, Decision.ABORT)
        kill_part(platform, "service")
        finish(platform, work, WorkflowStatus.CANCELLED)
        assert load.failed() == failed
    found = canary(platform, deployment)
    assert found.state is CanaryState.ABORTED and found.reason.startswith("aborted by")
    assert now(platform, deployment).version == 1 and set(load.predictions) == {13.0}


def test_callers_are_answered_by_a_version_that_is_promoted_while_the_other_one_is_gone(
    own_platform: Platform, two: Served
) -> None:
    platform = own_platform
    deployment = deploy(platform, two, version=1)
    with Load(deployment, CALLERS, PAUSE) as load:
        work = begin(platform, deployment, 2, strategy="canary", steps=[20], step_seconds=6000)
        wait_for(lambda: load.predictions[23.0], what="requests of the new version")
        [old] = [each.pid for each in replicas(platform, deployment) if each.version == 1]
        assert old is not None
        os.kill(old, signal.SIGKILL)
        decide(platform, deployment, Decision.PROMOTE)
        kill_part(platform, "service")
        finish(platform, work)
    assert set(load.statuses) == {200}, load.statuses
    found = canary(platform, deployment)
    assert found.state is CanaryState.PROMOTED and found.reason.startswith("promoted by")
    assert (now(platform, deployment).version, answer(deployment)) == (2, [23.0])
