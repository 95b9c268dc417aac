"""Leftovers of killed uploads in an own store are removed before something is stored or deleted there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from registry_tui.service.errors import NotPermitted
from registry_tui.service.stores.archives import delete_archive
from registry_tui.service.stores.bucket_files import StoredFile, StoreFolder, list_files
from registry_tui.service.stores.copying import copy_files, store_files
from registry_tui.service.stores.directory import Directory

#: The calls of the store, emptied for each test.
seen: list[str] = []

Work = Callable[[StoreFolder, StoreFolder], object]
WORKS: list[Work] = [
    lambda source, target: copy_files(list_files(source), source, target),
    lambda source, target: store_files([StoredFile("a", 3, "")], lambda _: iter([b"abc"]), target),
    lambda source, target: delete_archive(target),
]


class _Store(Directory):
    """Records its calls; uploads may be refused to it."""

    refuses = False

    def abort_uploads(self, folder: str) -> None:
        seen.append(f"abort {folder}")
        if self.refuses:
            raise NotPermitted("no s3:ListBucketMultipartUploads")

    def put(self, key: str, *given: object, **options: object) -> None:
        seen.append(f"put {key}")

    def delete(self, keys: object) -> None:
        seen.append("delete")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[StoreFolder, StoreFolder]:
    for name in ("source/run", "target/archive"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a").write_bytes(b"abc")
    seen.clear()
    return StoreFolder(Directory(tmp_path / "source"), "run/"), StoreFolder(_Store(tmp_path / "target"), "archive/")


@pytest.mark.parametrize("work", WORKS)
def test_left_parts_go_first(folders: tuple[StoreFolder, StoreFolder], work: Work) -> None:
    work(*folders)
    assert seen[0] == "abort archive/" and len(seen) == 2


@pytest.mark.parametrize("work", WORKS)
def test_credentials_that_may_not_look_for_parts_are_enough(
    folders: tuple[StoreFolder, StoreFolder],
    work: Work,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(_Store, "refuses", True)
    with caplog.at_level(logging.WARNING):
        work(*folders)
    assert len(seen) == 2 and "parts of unfinished uploads may stay" in caplog.text
