"""`platform clean` on a real platform: its list, and the things it keeps."""

from __future__ import annotations

import json

from support.platforms import Platform
from support.served import answer, deploy, finish, register


def test_the_log_of_a_replica_that_is_gone_is_listed_and_nothing_that_is_used(platform: Platform) -> None:
    deployment = deploy(platform, register(platform, platform.new_project()))
    finish(platform, platform.ask(lambda client: client.restart_deployment(deployment.id)).workflow)
    found = json.loads(platform.command("platform", "clean", "--dry-run", "--json").stdout)
    mine = [each for each in found["items"] if each["name"].startswith(deployment.id)]
    # The others' are the others': on the shared platform nothing of today is removed.
    assert [(each["kind"], each["name"], each["detail"]) for each in mine] == [
        ("log", f"{deployment.id}/1-0", f"of {deployment.name}")
    ]
    assert mine[0]["size_bytes"] > 0 and found["count"] >= 1
    shown = platform.command("platform", "clean", "--dry-run")
    assert f"{deployment.id}/1-0" in shown.stdout and "would be removed" in shown.stderr
    done = platform.command("platform", "clean", "--older-than", "30000", "--yes")
    assert "Nobody leaves anything unused" in done.stderr
    assert answer(deployment) == [3.0]
    assert f"{deployment.id}/1-0" in platform.command("platform", "clean", "--dry-run").stdout
