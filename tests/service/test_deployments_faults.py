"""Deployments while what runs them is killed and started again, under load."""

from __future__ import annotations

import os
import signal

from registry_tui.platform import lifecycle, processes, supervisor
from support.load import Load
from support.platforms import Platform, wait_for
from support.served import answer, deploy, register


def test_nobody_notices_a_killed_supervisor_and_the_next_start(own_platform: Platform) -> None:
    platform, home = own_platform, own_platform.home
    deployment = deploy(platform, register(platform, platform.new_project()), replicas=2)
    before = {pid for pid, part in processes.ours(home).items() if part in lifecycle.SERVING}
    with Load(deployment) as load:
        os.kill(supervisor.pid(home), signal.SIGKILL)
        wait_for(lambda: supervisor.state(home) == "stopped", what="the supervisor's end")
        told = list(lifecycle.up(home))
    assert set(load.statuses) == {200}, load.statuses
    assert [each.detail for each in told if each.part == "replicas"][-1] == "2 of 2 answer"
    # Whoever answers now was started anew; nobody else is left.
    now_serving = {pid for pid, part in processes.ours(home).items() if part in lifecycle.SERVING}
    assert len(now_serving) == 3 and not now_serving & before
    assert all(info.running for info in supervisor.processes(home).values())
    assert answer(deployment) == answer(deployment)
