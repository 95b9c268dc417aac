"""The room of this machine's disk counts for the embedded store alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from registry_tui.platform.space import space_of
from registry_tui.service.core import room
from registry_tui.service.core.context import Service
from registry_tui.service.errors import PartUnavailable, StorageFull
from registry_tui.service.stores.bucket_files import Folder, Place, StoreFolder
from registry_tui.service.stores.directory import Directory
from support.bare import bare_service

EMBEDDED = Place(cast(Any, None), "lab", "modelregistry/")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path) as made:
        yield made


def too_much(service: Service) -> int:
    """More bytes than this machine's disk has."""
    needed = 1 << 60
    assert space_of(service.home.root).lacks(needed)
    return needed


def test_an_own_store_takes_more_than_this_machine_s_disk(service: Service, tmp_path: Path) -> None:
    room.require_room(service, too_much(service), StoreFolder(Directory(tmp_path), "a/"))
    with pytest.raises(StorageFull):
        room.require_room(service, too_much(service), EMBEDDED)


@pytest.mark.parametrize(("own", "error"), [(True, PartUnavailable), (False, StorageFull)])
def test_a_full_disk_is_not_the_reason_that_an_own_store_does_not_answer(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, error: type[Exception]
) -> None:
    monkeypatch.setattr(room, "storage_full", lambda _service: StorageFull("The disk is full"))
    folder: Folder = StoreFolder(Directory(tmp_path), "a/") if own else EMBEDDED
    with pytest.raises(error), room.storing(service, folder):
        raise PartUnavailable("The store does not answer")
