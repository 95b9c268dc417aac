"""The progress of a rollout that waits until its replicas are ready."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.schemas.operations import Progress
from registry_tui.service.backends.base import ReplicaName, ReplicaProcess
from registry_tui.service.deployments import starting
from registry_tui.service.settings import Settings

WAITS = "waits for a larger node"
NAMES = [ReplicaName("d", 1, index) for index in range(2)]


def replica(name: ReplicaName, *, ready: bool) -> ReplicaProcess:
    state, waits = ("RUNNING", "") if ready else ("STARTING", WAITS)
    return ReplicaProcess(name, state, 1, "", 0, None, None, ready, waits=waits)


def test_what_a_replica_waits_for_is_shown_while_others_become_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_LOOK_EVERY", 0)
    looks = iter([[replica(name, ready=name.index < count) for name in NAMES] for count in (0, 1, 1, 2)])
    shown: list[Progress] = []
    logged: list[str] = []
    context = SimpleNamespace(
        service=SimpleNamespace(
            backends=SimpleNamespace(replicas=SimpleNamespace(look=lambda _: next(looks))), settings=Settings()
        ),
        log=lambda text, _level="info": logged.append(text),
        progress=shown.append,
        check_cancelled=lambda: None,
    )
    starting._wait(cast(Any, context), NAMES, ())
    assert [(each.files_done, each.waits) for each in shown] == [(0, WAITS), (1, WAITS), (2, "")]
    assert logged == ["0 of 2 replicas ready", f"a replica {WAITS}", "1 of 2 replicas ready", "2 of 2 replicas ready"]
