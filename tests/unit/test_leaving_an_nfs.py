"""Deployments whose replicas cannot read their registry's NFS are rolled out again, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.platform import supervisor
from registry_tui.platform.paths import Home
from registry_tui.service.adapters.nfs_folder import NfsFault, NfsFolder
from registry_tui.service.backends.base import ReplicaName
from registry_tui.service.backends.supervisord import LocalReplicas
from registry_tui.service.core import nfs
from registry_tui.service.core.context import Service
from registry_tui.service.core.kept import Kept
from registry_tui.service.errors import InUse, WrongState
from registry_tui.service.loops import nfs_minder
from registry_tui.service.loops.nfs_minder import NfsMinder
from support.mount_tables import mount_table, nfs_line, replace_table

SOURCE = "10.0.0.4:/exports/models"


class Stage:
    """Deployments with one replica each, of registries that have one NFS; rollouts are noted."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.share, self.table = (folder / "share").resolve(), folder / "mountinfo"
        self.share.mkdir()
        self.notes = folder / "serving" / "nfs-versions"
        self.notes.mkdir(parents=True)
        self.replicas: dict[str, SimpleNamespace] = {}
        self.rolled_out: list[str] = []
        self.reports: list[str] = []
        self.tries: list[str] = []
        self.refusal: Exception | None = None
        local = SimpleNamespace(
            names=lambda deployment: [deployment], look=lambda names: [self.replicas[name] for name in names]
        )
        self.service = cast(
            Service,
            SimpleNamespace(
                kept=Kept(),
                backends=SimpleNamespace(replicas=local),
                home=SimpleNamespace(serving=folder / "serving"),
            ),
        )
        self.service.kept.of(nfs.Shares).table = self.table
        self.unmount()
        self.minder = NfsMinder(self.service)
        plain = NfsFolder.try_it

        def tried(folder: NfsFolder, seconds: float = 10.0) -> int:
            self.tries.append(folder.path)
            return plain(folder, seconds)

        monkeypatch.setattr(NfsFolder, "try_it", tried)
        monkeypatch.setattr(NfsMinder, "_deployed", lambda _self, noted: [self.row(name) for name in self.replicas])
        monkeypatch.setattr(f"{nfs_minder.__name__}.registries.load", self.registry)
        monkeypatch.setattr(nfs_minder, "settings_now", lambda *_: None)
        monkeypatch.setattr(nfs_minder, "creator_of", lambda *_: None)
        monkeypatch.setattr(nfs_minder, "report", lambda *arguments: self.reports.append(arguments[-1]))
        monkeypatch.setattr(f"{nfs_minder.__name__}.deployments.roll_out", self.roll_out)

    def deployed(self, name: str, *, ready: bool = False, **more: Any) -> None:
        (self.notes / f"version-of-{name}.json").write_text("{}")
        self.replicas[name] = SimpleNamespace(ready=ready, **{"shared": True, "unread": False, **more})

    def row(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(id=name, name=name, registry_id=f"registry-of-{name}", revisions=[])

    def registry(self, _service: object, registry_id: str) -> SimpleNamespace:
        return SimpleNamespace(id=registry_id, name=registry_id, existing_nfs=SOURCE, nfs_protocol_version="4.1")

    def roll_out(self, _service: object, _creator: object, row: Any, *_: object, **__: object) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.rolled_out.append(row.id)

    def mount(self) -> None:
        replace_table(self.table, mount_table(nfs_line(SOURCE, self.share)))

    def unmount(self) -> None:
        replace_table(self.table, mount_table())


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_who_cannot_read_an_nfs_that_is_not_mounted_leaves_it_and_not_again_soon(stage: Stage) -> None:
    stage.deployed("waits")
    stage.deployed("serves", ready=True)
    for _ in range(2):
        stage.minder.look()
    assert stage.rolled_out == ["waits"]
    assert len(stage.reports) == 1 and "is not mounted" in stage.reports[0]


def test_who_reads_local_files_stays_whatever_ends_its_replicas_and_however_its_nfs_is(stage: Stage) -> None:
    stage.deployed("fetched", shared=False)
    stage.minder.look()
    assert stage.rolled_out == [] and stage.reports == []


def test_a_silent_server_is_tried_once_a_look_for_all_that_read_from_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        NfsFolder, "_ask", lambda _self, *_, **__: (_ for _ in ()).throw(NfsFault("silent", "does not answer"))
    )
    stage.mount()
    for name in ("a", "b", "c"):
        stage.deployed(name)
    stage.minder.look()
    assert stage.rolled_out == ["a", "b", "c"] and all("does not answer" in each for each in stage.reports)
    assert len(stage.tries) == 1


def test_a_replica_that_ends_again_and_again_has_a_sound_server_tried_rarely(stage: Stage) -> None:
    stage.mount()
    stage.deployed("crashes")
    for _ in range(3):
        stage.minder.look()
    assert stage.rolled_out == [] and len(stage.tries) == 1


def test_files_that_vanished_from_a_sound_nfs_are_put_in_place_again_and_not_again_soon(stage: Stage) -> None:
    stage.mount()
    stage.deployed("unread", unread=True, reason="manifest.json is missing")
    stage.deployed("fetched", shared=False, unread=True, reason="manifest.json is missing")
    for _ in range(2):
        stage.minder.look()
    assert stage.rolled_out == ["unread"]
    assert len(stage.reports) == 1 and "manifest.json is missing" in stage.reports[0]


@pytest.mark.parametrize("refusal", [InUse("another change is under way"), WrongState("the machine is full")])
def test_a_rollout_that_was_not_accepted_is_tried_again_before_one_that_was(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(nfs_minder, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    stage.deployed("waits")
    stage.refusal = refusal
    for _ in range(3):
        stage.minder.look()
        clock[0] += nfs_minder.AGAIN_AFTER + 1
    assert len(stage.reports) == (1 if isinstance(refusal, WrongState) else 0), "a refusal is reported once"
    stage.refusal = None
    stage.minder.look()
    assert stage.rolled_out == ["waits"]
    clock[0] += nfs_minder.LEAVE_EVERY - 1
    stage.minder.look()
    assert stage.rolled_out == ["waits"]
    clock[0] += 2
    stage.minder.look()
    assert stage.rolled_out == ["waits", "waits"]


@pytest.mark.parametrize("shared", [True, False])
def test_where_a_replica_reads_is_what_its_own_spec_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    monkeypatch.setattr(supervisor, "processes", lambda _home: {})
    local, name = LocalReplicas(Home(tmp_path)), ReplicaName("deployment", 1, 0)
    assert not local.look([name])[0].shared, "it has no spec"
    path = local.spec(name)
    path.parent.mkdir(parents=True)
    spec = ReplicaSpec("r", "deployment", "/mnt/model", "m", 1, "s", shared=shared)
    path.write_text(spec.to_json())
    assert local.look([name])[0].shared == shared
