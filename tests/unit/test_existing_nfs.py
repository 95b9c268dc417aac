"""The state of a registry's existing NFS on this machine: by the list of mounts, and by a try."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.schemas.registries import NfsState, NfsStatus
from registry_tui.service.adapters.nfs_folder import NfsFolder
from registry_tui.service.core import nfs
from registry_tui.service.core.context import Service
from registry_tui.service.core.kept import Kept
from registry_tui.wording.nfs import nfs_said, status_with_nfs
from support.mount_tables import mount_table, nfs_line, replace_table

SOURCE = "10.0.0.4:/exports/models"
REGISTRY = SimpleNamespace(id="r", name="registry-east", existing_nfs=SOURCE, nfs_protocol_version="4.1")
MOUNT = f"mkdir -p /mnt/registry-east && mount -t nfs -o vers=4.1 {SOURCE} /mnt/registry-east"

Mounted = Callable[..., Service]


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = (tmp_path / "share").resolve()
    folder.mkdir()
    return folder


@pytest.fixture
def mounted(tmp_path: Path) -> Mounted:
    """A service on whose machine these lines are in the list of mounts."""
    service = cast(Service, SimpleNamespace(kept=Kept()))
    service.kept.of(nfs.Shares).table = tmp_path / "mountinfo"

    def mount(*lines: str) -> Service:
        replace_table(tmp_path / "mountinfo", mount_table(*lines))
        return service

    return mount


def state(service: Service, row: Any = REGISTRY, *, tried: bool = True) -> NfsStatus:
    found = nfs.try_again(service, row, 0) if tried else nfs.look(service, row)
    assert found is not None
    return found


def test_a_registry_without_one_has_no_state(mounted: Mounted) -> None:
    row = SimpleNamespace(id="r", name="n", existing_nfs=None, nfs_protocol_version=None)
    assert nfs.look(mounted(), row) is None and nfs.try_again(mounted(), row, 0) is None


def test_what_is_not_mounted_says_how_to_mount_it(mounted: Mounted) -> None:
    found = state(mounted())
    assert (found.state, found.folder, found.mount_command) == (NfsState.NOT_MOUNTED, "", MOUNT)
    said = nfs_said(found)
    assert said.startswith("NFS not mounted: 10.0.0.4:/exports/models is not mounted on this machine")
    assert MOUNT in said and "each host fetches" in said
    assert status_with_nfs("Available", found) == "Available, NFS not mounted"


def test_mounting_it_is_seen_without_anything_else(mounted: Mounted, share: Path) -> None:
    assert state(mounted(), tried=False).state is NfsState.NOT_MOUNTED
    service = mounted(nfs_line(SOURCE, share))
    looked = state(service, tried=False)
    assert (looked.state, looked.folder, looked.tried_at) == (NfsState.MOUNTED, str(share), None)
    tried = state(service)
    assert tried.mounted and tried.tried_at is not None
    assert str(share) in nfs_said(tried) and status_with_nfs("Available", tried) == "Available"
    assert list(share.iterdir()) == []
    assert state(mounted()).state is NfsState.NOT_MOUNTED


@pytest.mark.parametrize("version", ["3", "4.0", "4.2"])
def test_another_version_of_the_protocol_is_not_the_one(mounted: Mounted, share: Path, version: str) -> None:
    found = state(mounted(nfs_line(SOURCE, share, version)))
    assert found.state is NfsState.OTHER_VERSION
    assert f"with version {version} of the protocol, not with 4.1" in found.detail
    assert found.mount_command == f"umount {share} && mkdir -p {share} && mount -t nfs -o vers=4.1 {SOURCE} {share}"


def test_a_larger_export_of_another_version_stays_mounted(mounted: Mounted, share: Path) -> None:
    found = state(mounted(nfs_line("10.0.0.4:/exports", share, "3")))
    assert found.state is NfsState.OTHER_VERSION and found.mount_command == MOUNT
    assert "mounted apart" in found.detail


def test_a_long_command_is_shown_whole(mounted: Mounted) -> None:
    row = SimpleNamespace(**{**vars(REGISTRY), "existing_nfs": "10.0.0.4:/" + "a" * 1000})
    found = state(mounted(), row)
    assert found.mount_command in nfs_said(found)


def test_of_several_mounts_the_one_of_the_right_version_that_can_be_written_counts(
    mounted: Mounted, share: Path
) -> None:
    service = mounted(
        nfs_line(SOURCE, "/mnt/a", "3", number=90),
        nfs_line(SOURCE, "/mnt/b", "4.1", number=91, options="ro,relatime"),
        nfs_line(SOURCE, share, "4.1", number=92),
    )
    assert state(service).folder == str(share)


def test_a_mount_that_is_read_only_says_how_to_change_that(mounted: Mounted, share: Path) -> None:
    found = state(mounted(nfs_line(SOURCE, share, options="ro,relatime")))
    assert found.state is NfsState.NOT_USABLE and found.mount_command == f"mount -o remount,rw {share}"


def test_a_folder_of_a_larger_export_is_used(mounted: Mounted, share: Path) -> None:
    (share / "models").mkdir()
    assert state(mounted(nfs_line("10.0.0.4:/exports", share))).folder == str(share / "models")


def test_a_folder_that_the_export_does_not_hold_says_so(mounted: Mounted, share: Path) -> None:
    found = state(mounted(nfs_line("10.0.0.4:/exports", share)))
    assert found.state is NfsState.NOT_USABLE and "No such file" in found.detail


def test_commands_are_quoted(mounted: Mounted, share: Path) -> None:
    row = SimpleNamespace(**{**vars(REGISTRY), "existing_nfs": "h:/a b;reboot"})
    assert "'h:/a b;reboot'" in state(mounted(), row).mount_command
    assert state(mounted(nfs_line("h:/a b;reboot", share)), row).mounted


def test_a_path_that_climbs_is_never_used(mounted: Mounted, share: Path) -> None:
    row = SimpleNamespace(**{**vars(REGISTRY), "existing_nfs": "10.0.0.4:/exports/../etc"})
    assert state(mounted(nfs_line("10.0.0.4:/", share)), row).state is NfsState.NOT_USABLE


def test_a_server_that_does_not_answer_is_said_and_nobody_waits_for_it(
    mounted: Mounted, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = [sys.executable, "-c", "import time; print('{\"started\": 1}', flush=True); time.sleep(3600)"]
    plain = NfsFolder.try_it
    monkeypatch.setattr(
        NfsFolder, "try_it", lambda self: plain(NfsFolder(self.path, command=asleep, hanging=self.hanging), 0.5)
    )
    service = mounted(nfs_line(SOURCE, share))
    found = state(service)
    assert found.state is NfsState.SILENT and "does not answer" in found.detail
    assert status_with_nfs("Available", found) == "Available, NFS does not answer"
    # Readers get the result of the try; the server is not contacted.
    monkeypatch.setattr(NfsFolder, "try_it", lambda _self: pytest.fail("the server was asked"))
    assert state(service, tried=False).state is NfsState.SILENT
    monkeypatch.undo()
    assert state(service).mounted, "it is back"


def test_who_looks_soon_again_takes_the_last_try(mounted: Mounted, share: Path) -> None:
    service = mounted(nfs_line(SOURCE, share))
    first = state(service).tried_at
    again = nfs.try_again(service, REGISTRY, 3600)
    assert again is not None and again.tried_at == first
    # Of another mount nothing is known yet.
    moved = nfs.try_again(mounted(nfs_line(SOURCE, share, number=97)), REGISTRY, 3600)
    assert moved is not None and moved.tried_at != first


def test_a_list_of_mounts_that_cannot_be_read_is_nothing_mounted(mounted: Mounted, tmp_path: Path) -> None:
    service = mounted()
    (tmp_path / "mountinfo").unlink()
    assert state(service).state is NfsState.NOT_MOUNTED
