"""A deployment that does not answer is described in the same words at every door."""

from __future__ import annotations

import json

from registry_tui.gateway.words import unanswered
from registry_tui.platform import supervisor
from support.platforms import Platform, wait_for
from support.served import answer, call, deploy, register, split


def test_a_dead_replica_is_described_in_the_same_words_at_every_door(platform: Platform) -> None:
    deployment = deploy(platform, register(platform, platform.new_project()))
    [replica] = platform.ask(lambda client: client.replicas(deployment.id))
    supervisor.stop_part(platform.home, replica.name)
    try:
        detail, action = unanswered(deployment.name, "deployed", has_replicas=True)
        refused = call(deployment)
        assert refused.status_code == 503 and refused.headers["Retry-After"]
        assert (refused.json()["detail"], refused.json()["action"]) == (detail, action)
        assert platform.ask(lambda client: client.deployment(deployment.id)).reason == detail
        [listed] = platform.ask(lambda client: client.deployments(project=deployment.project_id)).items
        assert listed.reason == detail
        tested = platform.command(
            "deployments", "test", deployment.id, "--body", json.dumps(split(a=[1.0], b=[2.0])), check=False
        )
        assert tested.returncode == 1 and detail in tested.stderr and action in tested.stderr
        assert "it is deployed" not in tested.stderr
    finally:
        supervisor.start_part(platform.home, replica.name)
    wait_for(lambda: call(deployment).status_code == 200, what="the replica to answer again")
    assert answer(deployment) == [3.0]

    def reason() -> str:
        return platform.ask(lambda client: client.deployment(deployment.id)).reason

    wait_for(lambda: reason() == "", what="the reason to go")
