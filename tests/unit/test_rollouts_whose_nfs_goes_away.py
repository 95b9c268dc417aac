"""Rollouts whose NFS goes away after its files were unpacked there go on with files that they fetch."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.service.core import clusters
from registry_tui.service.deployments import preparing, shared_files, starting
from registry_tui.service.deployments.shared_files import NfsSilent, Placed
from registry_tui.service.deployments.signed_files import Checked
from registry_tui.service.engine.steps import StepContext
from registry_tui.service.errors import WrongState
from registry_tui.service.workflows import deploy


class Replicas:
    """Replicas whose specs name a folder; those that read from the NFS have the reason that it does not answer."""

    def __init__(self) -> None:
        self.running: dict[str, str] = {}
        self.removed: list[str] = []

    def names(self, _deployment: str) -> list[str]:
        return list(self.running)

    def configured(self, _name: str) -> bool:
        return True

    def start(self, missing: dict[str, tuple[str, str]]) -> None:
        self.running.update({name: spec for name, (spec, _) in missing.items()})

    def remove(self, names: list[str]) -> None:
        self.removed += names
        for name in names:
            del self.running[name]

    def look(self, names: list[str]) -> list[SimpleNamespace]:
        reasons = {name: "The NFS server of /mnt/x does not answer" for name in names if "nfs" in self.running[name]}
        return [
            SimpleNamespace(
                name=name, ready=name not in reasons, reason=reasons.get(name, ""), state="RUNNING", waits=""
            )
            for name in names
        ]


class Rollout:
    """A rollout of two replicas that has unpacked its files to an NFS."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.replicas, self.logged, self.without = Replicas(), list[str](), list[str]()
        service = SimpleNamespace(
            backends=SimpleNamespace(replicas=self.replicas),
            database=SimpleNamespace(reading=nullcontext),
            settings=SimpleNamespace(replica_patience=60),
            home=SimpleNamespace(serving=Path("/home")),
        )
        reporter = SimpleNamespace(
            log=lambda text, _level="info": self.logged.append(text),
            progress=lambda _progress: None,
            check_cancelled=lambda: None,
        )
        self.context = StepContext(
            service=cast(Any, service),
            principal=cast(Any, None),
            workflow_id="w",
            resource=cast(Any, SimpleNamespace(id="d", name="d")),
            arguments={"revision": 1},
            state={"model": "/mnt/nfs/model", "files": "read from it", "shared": True, "environment": "e"},
            reporter=cast(Any, reporter),
        )
        row = SimpleNamespace(id="d", name="d", registry_id="r", model_id="m")
        monkeypatch.setattr(clusters, "cluster_for", lambda *_: None)
        monkeypatch.setattr(preparing, "row_of", lambda _context: row)
        monkeypatch.setattr(preparing, "revision_of", lambda _context, _row: SimpleNamespace(version_id="v", version=1))
        monkeypatch.setattr(preparing, "change", lambda *_, **__: None)
        monkeypatch.setattr(starting, "_spec", lambda context, *_: context.state["model"])
        for module in (deploy, starting):
            monkeypatch.setattr(module, "replica_names", lambda *_: ["r-0", "r-1"])
        monkeypatch.setattr(f"{preparing.__name__}.python_environments.of_key", lambda *_: "python")
        monkeypatch.setattr(f"{starting.__name__}.registries.load", lambda *_: None)
        monkeypatch.setattr(f"{preparing.__name__}.fetching.fetch", self.fetch)

    def fetch(self, _context: object, _row: object, _revision: object, without: str = "") -> tuple[Placed, Checked]:
        self.without.append(without)
        return Placed(Path("/home/model"), f"fetched to this machine: {without}"), Checked()


@pytest.fixture
def rollout(monkeypatch: pytest.MonkeyPatch) -> Rollout:
    return Rollout(monkeypatch)


def test_replicas_that_cannot_read_it_start_again_from_fetched_files(
    rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_files, "why_away", lambda *_: "it does not answer")
    placed = starting.start(rollout.context)
    assert rollout.replicas.running == {"r-0": "/home/model", "r-1": "/home/model"}
    assert rollout.replicas.removed == ["r-0", "r-1"] and rollout.without == ["it does not answer"]
    # The later steps read there too.
    assert (placed["model"], placed["shared"]) == ("/home/model", False)


def test_replicas_that_cannot_serve_for_another_reason_fail_the_rollout(
    rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_files, "why_away", lambda *_: "")
    with pytest.raises(WrongState, match="does not answer"):
        starting.start(rollout.context)
    assert rollout.without == []


def test_what_is_built_is_read_from_fetched_files(rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(f"{preparing.__name__}.model_requirements.read_wanted", read.append)
    monkeypatch.setattr(f"{preparing.__name__}.python_environments.ensure", lambda *_: SimpleNamespace(key="e2"))

    def silent(_work: object, *, shared: bool) -> None:
        assert shared
        raise NfsSilent("The NFS does not answer", action="Mend it")

    monkeypatch.setattr(shared_files, "reading", silent)
    done = preparing.build(rollout.context)
    assert read == [Path("/home/model/files")] and rollout.without == ["The NFS does not answer"]
    assert (done["model"], done["shared"], done["environment"]) == ("/home/model", False, "e2")


def test_an_example_that_cannot_be_read_any_more_fails_nothing(
    rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_work: object, *, shared: bool) -> None:
        raise NfsSilent("The NFS does not answer", action="Mend it")

    monkeypatch.setattr(shared_files, "reading", silent)
    deploy._check(rollout.context)
    assert "not tried" in rollout.logged[0]
