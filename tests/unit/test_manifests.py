"""Manifests of archives: only an archive has one, and none makes the service read or ask without bound."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry_tui.contracts.mlflow_routes import Location, RoutesFile
from registry_tui.schemas.models import Manifest, ManifestEntry
from registry_tui.service.core import artifact_places
from registry_tui.service.errors import InvalidInput, WrongState
from registry_tui.service.registering import sources
from registry_tui.service.stores import archives
from registry_tui.service.stores.base import StoredObject
from registry_tui.service.stores.bucket_files import Place, StoreFolder, files_there
from registry_tui.service.stores.directory import Directory
from registry_tui.service.workflows import archive as workflow


class Watched(Directory):
    """A store that remembers which objects were read and asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_keys: list[str] = []
        self.asked: list[str] = []

    def read(self, key: str, start: int = 0, size: int | None = None, *, etag: str = "") -> bytes:
        self.read_keys.append(key)
        return super().read(key, start, size, etag=etag)

    def head(self, key: str) -> StoredObject:
        self.asked.append(key)
        return super().head(key)


def manifest_of(*paths: str) -> Manifest:
    entries = [ManifestEntry(path=path, size=1, sha256="0" * 64) for path in paths]
    return Manifest(
        model_id="m",
        model_name="churn",
        version_id="v",
        version=1,
        source="s",
        created_at=datetime.now(UTC),
        files=entries,
    )


@pytest.fixture
def store(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def huge(store: Watched, key: str) -> None:
    """An object just too large for a manifest, which takes no room."""
    store.put(key, b"")
    with (store.root / key).open("r+b") as file:
        file.truncate(archives.MAX_MANIFEST_BYTES + 1)


@pytest.mark.parametrize("registry", [None, "registry"])
def test_only_the_manifest_of_an_archive_is_read(
    store: Watched, monkeypatch: pytest.MonkeyPatch, registry: str | None
) -> None:
    """A file logged as `manifest.json` next to a folder `files` is a file like others."""
    store.put("x/files/MLmodel", b"1")
    archives.write_manifest(StoreFolder(store, "x/"), manifest_of("MLmodel", *(f"gone-{n}" for n in range(20))))
    location = Location(workspace="w", bucket="", key="x/files", writable=False, registry=registry, outside=True)
    routes = SimpleNamespace(locate=lambda _: location, registries={registry: SimpleNamespace(registry_id="r")})
    monkeypatch.setattr(RoutesFile, "load", lambda _: routes)
    monkeypatch.setattr(sources, "enter_registry", lambda *_: None)
    monkeypatch.setattr(sources, "_archived", lambda *_: {})
    monkeypatch.setattr(artifact_places, "store_of", lambda *_: store)
    monkeypatch.setattr(workflow, "enter_registry", lambda *_: None)
    service = SimpleNamespace(home=SimpleNamespace(routes_file=store.root / "routes.json"))
    context: Any = SimpleNamespace(
        service=service, arguments={"source": "mlflow-artifacts:/workspaces/w/x/files", "registry_id": "r"}
    )
    store.read_keys.clear()
    found = workflow._source(context).files(lambda: None)
    assert [file.path for file in found] == ["MLmodel"]
    assert store.read_keys == ([] if registry is None else ["x/manifest.json"])
    assert len([key for key in store.asked if "gone-" in key]) == (0 if registry is None else 20)


def test_a_manifest_that_is_too_large_is_not_read(store: Watched) -> None:
    store.put("x/files/MLmodel", b"1")
    huge(store, "x/manifest.json")
    with pytest.raises(WrongState, match="has more than 64 MiB"):
        archives.read_manifest(StoreFolder(store, "x/"))
    assert [file.path for file in archives.source_files(StoreFolder(store, "x/files/"), archived=True)] == ["MLmodel"]
    assert store.read_keys == []


def test_a_manifest_that_is_too_large_is_not_read_from_the_embedded_store() -> None:
    class Body:
        closed = False

        def read(self) -> bytes:
            raise AssertionError("it is read")

        def close(self) -> None:
            self.closed = True

    body = Body()
    answer = {"Body": body, "ContentLength": archives.MAX_MANIFEST_BYTES + 1}
    client = SimpleNamespace(
        get_object=lambda **_: answer, exceptions=SimpleNamespace(NoSuchKey=type("NoSuchKey", (Exception,), {}))
    )
    with pytest.raises(WrongState, match="has more than 64 MiB"):
        archives.read_manifest(Place(client, "bucket", "x/"))
    assert body.closed


def test_a_manifest_that_names_more_files_than_a_model_has_is_refused(
    store: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives.write_manifest(StoreFolder(store, "x/"), manifest_of("a", "b", "c"))
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    with pytest.raises(WrongState, match="names more than 2 files"):
        archives.read_manifest(StoreFolder(store, "x/"))


def test_no_manifest_is_written_that_could_not_be_read_again(store: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MANIFEST_BYTES", 200)
    with pytest.raises(InvalidInput, match="more than 200"):
        archives.write_manifest(StoreFolder(store, "x/"), manifest_of("a", "b", "c"))
    assert list(store.list()) == []


def test_asking_for_files_one_by_one_can_be_stopped(store: Watched) -> None:
    def stop() -> None:
        raise InterruptedError

    store.put("x/a", b"1")
    with pytest.raises(InterruptedError):
        files_there(StoreFolder(store, "x/"), [f"gone-{n}" for n in range(500)], check=stop)
    assert len(store.asked) < 100
