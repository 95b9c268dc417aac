"""Replicas and rollouts that read model files from an NFS: nobody waits for a server that is gone."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from registry_tui.contracts import archive_check
from registry_tui.contracts.replica_spec import ReplicaSpec, reason_file, unread_file
from registry_tui.service.adapters import nfs_tree, nfs_worker
from registry_tui.service.core.context import Service
from registry_tui.service.deployments import shared_files
from registry_tui.service.errors import PartUnavailable
from registry_tui.serving.__main__ import UNUSABLE, Unusable, check
from support.platforms import PATIENCE

SILENT = """
import sys, time
from pathlib import Path
from registry_tui.contracts.replica_spec import ReplicaSpec
import registry_tui.serving.__main__ as serving
serving.SILENT_SECONDS = 0.5
spec = ReplicaSpec(name="r", deployment="d", model="/mnt/gone", model_name="m", version=1, socket="s", shared=True)
with serving._going_on(spec, Path(sys.argv[1])):
    time.sleep(3600)
"""


def archive(folder: Path, content: bytes) -> ReplicaSpec:
    """An archive with one file, and the spec of a replica that reads it."""
    (folder / "files").mkdir(exist_ok=True)
    (folder / "files" / "MLmodel").write_bytes(content)
    entry = {"path": "MLmodel", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = json.dumps({"files": [entry]})
    (folder / "manifest.json").write_text(manifest)
    sum_ = hashlib.sha256(manifest.encode()).hexdigest()
    return ReplicaSpec(
        name="r", deployment="d", model=str(folder), model_name="m", version=1, socket="s", manifest_sha256=sum_
    )


def test_a_replica_ends_with_the_reason_when_nothing_comes_from_an_nfs(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SILENT, str(tmp_path / "reason")], timeout=PATIENCE, check=False)
    assert done.returncode == UNUSABLE
    assert "NFS server of /mnt/gone does not answer" in (tmp_path / "reason").read_text()


@pytest.mark.parametrize("wrong", ["missing", "damaged", "model"])
def test_a_replica_notes_that_it_could_not_read_its_files_unless_they_are_as_they_should_be(
    tmp_path: Path, wrong: str
) -> None:
    spec = archive(tmp_path, b"flavors: {}\n")
    path = tmp_path / "spec.json"
    path.write_text(spec.to_json())
    match wrong:
        case "missing":
            (tmp_path / "manifest.json").unlink()
        case "damaged":
            (tmp_path / "files" / "MLmodel").write_bytes(b"x")
    code = "import registry_tui.serving.__main__ as serving; serving.main()"
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=PATIENCE, check=False)
    assert done.returncode == UNUSABLE and reason_file(path).read_text()
    assert unread_file(path).exists() == (wrong != "model")


def test_a_replica_loads_nothing_whose_manifest_and_files_were_replaced_together(tmp_path: Path) -> None:
    spec = archive(tmp_path, b"flavors: {}\n")
    assert check(spec) == tmp_path / "files"
    other = archive(tmp_path, b"flavors: {evil: {}}\n")
    assert check(replace(other, manifest_sha256="")) == tmp_path / "files", "its own sums agree"
    with pytest.raises(Unusable, match="replaced"):
        check(spec)


def test_a_rollout_does_not_wait_for_a_server_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_files, "STALL_SECONDS", 0.2)
    held = threading.Event()
    with pytest.raises(PartUnavailable, match="does not answer"):
        shared_files.reading(held.wait, shared=True)
    held.set()
    monkeypatch.undo()
    assert shared_files.reading(lambda: "read", shared=True) == shared_files.reading(lambda: "read", shared=False)
    with pytest.raises(ZeroDivisionError):
        shared_files.reading(lambda: 1 // 0, shared=True)


def test_every_name_counts_as_going_on_also_of_empty_files(tmp_path: Path) -> None:
    paths = [f"folder/deep/file-{number}" for number in range(50)]
    sum_ = hashlib.sha256(b"").hexdigest()
    for path in paths:
        (tmp_path / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / path).touch()
    entries = [{"path": path, "size": 0, "sha256": sum_} for path in paths]
    (tmp_path / "manifest.json").write_text(json.dumps({"files": entries}))
    advanced: list[None] = []
    archive_check.check(tmp_path, lambda: advanced.append(None))
    assert len(advanced) >= 2 * len(paths)


class Told(nfs_tree.Telling):
    """Counts how often it is called."""

    calls = 0

    def __call__(self, bytes_: int) -> None:
        self.calls += 1


def test_the_worker_says_for_every_name_that_it_goes_on_and_asks_for_no_names_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    for number in range(50):
        (tmp_path / "deep" / str(number)).touch()
    (tmp_path / "link").symlink_to(tmp_path / "deep")
    monkeypatch.setattr(os, "stat", lambda *_, **__: pytest.fail("the server was asked"))
    descriptor = os.open(tmp_path, nfs_tree.FOLDER)
    try:
        telling = Told()
        assert set(nfs_tree.paths(descriptor, telling)) == {"link", *(f"deep/{number}" for number in range(50))}
        assert telling.calls == 52
        telling = Told()
        nfs_worker._make_read_only(descriptor, telling)
        assert telling.calls == 52
    finally:
        os.close(descriptor)
        for folder in (tmp_path, tmp_path / "deep"):
            folder.chmod(0o700)


def test_what_a_rollout_notes_and_fetches_while_others_are_dropped_stays(tmp_path: Path) -> None:
    notes, models = tmp_path / "nfs-versions", tmp_path / "models" / "model"

    def place(version: str) -> None:
        (models / version).mkdir(parents=True)
        notes.mkdir(exist_ok=True)
        (notes / f"{version}.json").write_text("{}")

    def used(_query: object) -> list[str]:
        place("begun-meanwhile")
        return ["used"]

    for version in ("used", "unused"):
        place(version)
    database = SimpleNamespace(reading=lambda: nullcontext(SimpleNamespace(scalars=used)))
    service = cast(Service, SimpleNamespace(home=SimpleNamespace(serving=tmp_path), database=database))
    shared_files.drop_unused(service)
    assert {path.name for path in models.iterdir()} == {"used", "begun-meanwhile"}
    assert shared_files.noted(service) == {"used", "begun-meanwhile"}
