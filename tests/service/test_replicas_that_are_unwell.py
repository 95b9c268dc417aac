"""A replica that does not answer `/ping` gets no calls while another one does, and gets them again once it is well."""

from __future__ import annotations

import os
import signal

from registry_tui.platform.paths import GATEWAYS
from support.platforms import Platform, wait_for
from support.served import call, deploy, register, replicas


def test_a_replica_that_stands_still_is_left_out_and_comes_back(platform: Platform) -> None:
    deployment = deploy(platform, register(platform, platform.new_project()), replicas=2, memory_bytes=400 << 20)
    still, other = replicas(platform, deployment)
    assert still.pid is not None

    def answered_by() -> set[str]:
        return {call(deployment).headers["x-replica"] for _ in range(12)}

    def left_out() -> bool:
        log = (platform.home.logs / "gateway.log").read_text()
        return log.count(f"replica {still.name} is not well") >= len(GATEWAYS)

    os.kill(still.pid, signal.SIGSTOP)
    try:
        wait_for(left_out, what="both processes of the gateway to see it")
        assert answered_by() == {other.name}
    finally:
        os.kill(still.pid, signal.SIGCONT)
    wait_for(lambda: answered_by() == {still.name, other.name}, what="it to be called again")
