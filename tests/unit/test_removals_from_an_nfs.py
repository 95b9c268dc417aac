"""Pending removals from an NFS: they delay no start, and none delays another."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.service.adapters.nfs_folder import NfsFault, NfsFolder
from registry_tui.service.core import nfs
from registry_tui.service.core.context import Service
from registry_tui.service.core.kept import Kept
from registry_tui.service.deployments import shared_files
from registry_tui.service.loops import background
from registry_tui.service.loops.background import Background
from support.mount_tables import mount_table, nfs_line, replace_table
from support.platforms import PATIENCE

SOURCE = "10.0.0.4:/exports/models"


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service on whose machine an NFS is not mounted yet."""
    home = SimpleNamespace(serving=tmp_path / "serving")
    found = cast(Service, SimpleNamespace(kept=Kept(), home=home))
    found.kept.of(nfs.Shares).table = tmp_path / "mountinfo"
    replace_table(tmp_path / "mountinfo", mount_table())
    return found


def mounted(tmp_path: Path) -> Path:
    share = (tmp_path / "share").resolve()
    share.mkdir()
    replace_table(tmp_path / "mountinfo", mount_table(nfs_line(SOURCE, share)))
    return share


def registry(id_: str, version: str = "4.1") -> Any:
    return SimpleNamespace(id=id_, name=f"registry-{id_}", existing_nfs=SOURCE, nfs_protocol_version=version)


def pending(service: Service) -> list[Path]:
    return sorted(nfs.pending_removals(service).iterdir())


def test_a_removal_that_is_asked_for_again_is_noted_once(service: Service) -> None:
    for _ in range(3):
        shared_files.remove(service, registry("a"), ["m", "v"])
    assert len(pending(service)) == 1
    shared_files.remove(service, registry("a"), ["m"])
    assert len(pending(service)) == 2


def test_a_removal_that_is_refused_holds_up_no_other_and_is_logged_once(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        shared_files.remove(service, registry(str(number)))
    shared_files.remove(service, registry("old", "3"))
    share = mounted(tmp_path)
    folders = [share / nfs.registry_folder(str(number)) for number in range(5)]
    for folder in folders:
        folder.mkdir(mode=0o700)
    # The first in the order in which they are looked at.
    wanted = next(each for each in map(shared_files._wanted, pending(service)) if each and each["id"] != "old")
    refused = share / wanted["path"][0]
    refused.chmod(0o777)
    for _ in range(2):
        shared_files.remove_pending(service)
    assert [folder for folder in folders if folder.exists()] == [refused]
    assert len(pending(service)) == 2, "the one that is refused, and the one of another version of the protocol"
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warned) == 2 and any("chmod go-w" in each for each in warned)


def test_a_server_that_falls_silent_is_asked_for_one_removal_at_a_time(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        shared_files.remove(service, registry(str(number)))
    mounted(tmp_path)
    asked: list[object] = []

    def silent(_folder: NfsFolder, path: object) -> None:
        asked.append(path)
        raise NfsFault("silent", "does not answer")

    monkeypatch.setattr(NfsFolder, "remove", silent)
    shared_files.remove_pending(service)
    assert len(asked) == 1 and len(pending(service)) == 3


def test_a_note_that_is_damaged_is_left_out(service: Service) -> None:
    shared_files.remove(service, registry("a"))
    pending(service)[0].write_text('{"id": "a"}')
    shared_files.remove_pending(service)
    assert pending(service) == []


def test_the_start_waits_for_no_removal_from_an_nfs_and_a_thread_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    removed = threading.Event()
    monkeypatch.setattr(f"{background.__name__}.projects.clean_up", lambda _service: done.append("projects"))
    monkeypatch.setattr(f"{background.__name__}.environments.clean_up", lambda _service: done.append("environments"))
    monkeypatch.setattr(f"{background.__name__}.request_logs.clean_up", lambda _service: done.append("request logs"))
    monkeypatch.setattr(shared_files, "remove_pending", lambda _service: removed.set())
    work = Background.__new__(Background)
    locks = SimpleNamespace(keep=lambda _name: True)
    workflows = SimpleNamespace(launched=True)
    work._service = cast(Service, SimpleNamespace(workflows=workflows, locks=locks))
    work._process, work._uploads_at, work._stopping = "service", float("inf"), threading.Event()
    work._clean_up()
    assert done == ["projects", "environments", "request logs"] and not removed.is_set()

    monkeypatch.setattr(background, "CLEAN_UP_EVERY", 0.01)
    thread = threading.Thread(target=work._remove_from_nfs)
    thread.start()
    assert removed.wait(PATIENCE)
    work._stopping.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
