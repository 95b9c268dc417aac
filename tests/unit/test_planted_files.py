"""Saving in folders that others may write: their files are neither written through nor over, nor removed."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_tui.cli import artifacts
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError, ServiceUnavailable
from registry_tui.client.saving import (
    Progress,
    Remote,
    Unsafe,
    artifact_files,
    partial_folder,
    place_below,
    save_all,
    save_one,
)
from registry_tui.contracts import new_files
from registry_tui.schemas.tracking import Artifact, ArtifactFolder
from registry_tui.widgets.exporting import TableWriter

THEIRS = b"somebody's"


def remote(path: str, content: bytes, sum_: bool = False) -> Remote:
    async def fetch(target: Path, _: Progress) -> None:
        with target.open("wb") as file:
            file.write(content)

    return Remote(path, len(content), fetch, hashlib.sha256(content).hexdigest() if sum_ else None)


async def each(*files: Remote) -> AsyncIterator[Remote]:
    for file in files:
        yield file


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder of the person who saves, with a file that must stay as it is."""
    folder = tmp_path / "private"
    (folder / "deeper").mkdir(parents=True)
    (folder / "file").write_bytes(THEIRS)
    (folder / "deeper/file").write_bytes(THEIRS)
    return folder


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder in which others may make files, too."""
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


def untouched(private: Path) -> bool:
    found = {path.relative_to(private).as_posix(): path.read_bytes() for path in private.rglob("*") if path.is_file()}
    return found == {"file": THEIRS, "deeper/file": THEIRS}


def exists(path: Path) -> bool:
    return os.path.lexists(path)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replace(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("to", ["private", "private/none", "private/file"])
async def test_a_link_in_place_of_the_folder_that_is_filled_leads_nowhere(
    private: Path, shared: Path, to: str, resume: bool
) -> None:
    partial_folder(shared / "model").symlink_to(private.parent / to)
    with pytest.raises(Unsafe, match="nothing was saved") as caught:
        await save_all(each(remote("file", b"new", True)), shared / "model", lambda *_: None, resume=resume)
    assert untouched(private) and not (private / "none").exists() and not (shared / "model").exists()
    assert caught.value.action


@pytest.mark.parametrize("resume", [False, True])
async def test_a_folder_of_another_user_is_not_filled(
    shared: Path, resume: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = partial_folder(shared / "model")
    partial.mkdir()
    (partial / "theirs").write_bytes(THEIRS)
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    with pytest.raises(Unsafe, match="elongs to another user"):
        await save_all(each(remote("file", b"new")), shared / "model", lambda *_: None, resume=resume)
    assert (partial / "theirs").read_bytes() == THEIRS and names_in(partial) == ["theirs"]


@pytest.mark.parametrize("resume", [False, True])
async def test_links_in_what_an_earlier_download_left_are_removed_and_not_followed(
    private: Path, shared: Path, resume: bool
) -> None:
    partial = partial_folder(shared / "model")
    partial.mkdir()
    (partial / "file").symlink_to(private / "file")
    (partial / "deeper").symlink_to(private / "deeper")
    (partial / "other").symlink_to(private)
    files = each(remote("file", b"new", True), remote("deeper/file", b"new", True))
    assert await save_all(files, shared / "model", lambda *_: None, resume=resume) == 2
    assert untouched(private)
    assert [(shared / "model" / name).read_bytes() for name in ("file", "deeper/file")] == [b"new", b"new"]


async def test_one_file_is_written_under_a_name_that_nobody_foresees_and_over_nothing(
    private: Path, shared: Path
) -> None:
    names: list[str] = []

    def saved_with(then: Callable[[], None]) -> Remote:
        async def fetch(target: Path, _: Progress) -> None:
            names.append(target.name)
            replace(target, b"new")
            then()

        return Remote("x", 3, fetch)

    for name in ("one", "two"):
        await save_one(saved_with(lambda: None), shared / name, lambda *_: None)
    assert len(set(names)) == 2 and (shared / "two").read_bytes() == b"new"
    target = shared / "three"
    for plant in (lambda: target.symlink_to(private / "file"), lambda: replace(target, THEIRS)):
        with pytest.raises(FileExistsError):
            await save_one(saved_with(plant), target, lambda *_: None)
        assert exists(target) and target.read_bytes() == THEIRS and untouched(private)
        target.unlink()
    assert names_in(shared) == ["one", "two"]


def test_a_table_is_written_neither_through_a_link_nor_over_a_file(private: Path, shared: Path) -> None:
    (shared / ".rows.csv.part").symlink_to(private / "file")
    writer = TableWriter(shared / "rows.csv", [])
    (shared / "rows.csv").symlink_to(private / "file")
    with pytest.raises(FileExistsError):
        writer.finish()
    writer.give_up()
    with pytest.raises(FileExistsError):
        TableWriter(shared / "rows.csv", [])
    (shared / "rows.csv").unlink()
    (shared / "rows.csv").symlink_to(private / "none")
    with pytest.raises(FileExistsError):
        TableWriter(shared / "rows.csv", [])
    assert untouched(private) and names_in(shared) == [".rows.csv.part", "rows.csv"]


def test_a_file_gets_its_name_where_there_are_no_hard_links(
    private: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    partial = new_files.partial_of(shared / "x")
    partial.write_bytes(b"new")
    (shared / "x").symlink_to(private / "file")
    with pytest.raises(FileExistsError):
        new_files.publish(partial, shared / "x")
    (shared / "x").unlink()
    new_files.publish(partial, shared / "x")
    assert names_in(shared) == ["x"] and (shared / "x").read_bytes() == b"new" and untouched(private)


def test_a_file_that_does_not_get_its_name_leaves_that_free(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    partial = new_files.partial_of(shared / "x")
    partial.write_bytes(b"new")
    with monkeypatch.context() as broken, pytest.raises(OSError, match="not permitted"):
        broken.setattr(Path, "replace", refuse)
        new_files.publish(partial, shared / "x")
    new_files.publish(partial, shared / "x")
    assert names_in(shared) == ["x"] and (shared / "x").read_bytes() == b"new"


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "", ".", "a/./..", "a\0b", "a\\b", "%2e%2e/x"])
def test_no_path_of_the_service_leads_out_of_the_folder(shared: Path, path: str) -> None:
    with pytest.raises(Unsafe):
        place_below(shared / "run", path)
    assert names_in(shared) == []


def test_no_link_between_leads_out_of_the_folder(private: Path, shared: Path) -> None:
    assert place_below(shared, "a/b/file") == shared / "a/b/file" and (shared / "a/b").is_dir()
    (shared / "model").symlink_to(private)
    for path in ("model/file", "model/deeper/file", "model/new/file"):
        with pytest.raises(Unsafe, match="is a link"):
            place_below(shared, path)
    assert untouched(private) and names_in(private) == ["deeper", "file"]


def answering(content: bytes, before: Callable[[], None]) -> RegistryClient:
    def answer(_: httpx.Request) -> httpx.Response:
        before()
        return httpx.Response(200, content=content)

    return RegistryClient(base_url="http://registry-tui", transport=httpx.MockTransport(answer))


async def test_a_download_replaces_a_planted_link_instead_of_writing_through_it(private: Path, shared: Path) -> None:
    """Names that can be computed from the target's can be planted, too."""
    target = shared / "weights"
    foreseen = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]

    def plant() -> None:
        for path in (target, shared / f".{foreseen}.part", shared / ".weights.part"):
            path.symlink_to(private / "file")

    async with answering(b"new", plant) as client:
        assert await client.download_artifact("p", "r", "weights", target) == 3
    assert untouched(private) and not target.is_symlink() and target.read_bytes() == b"new"


@pytest.mark.parametrize("listed", ["model", "other/x", "../x", "/etc/passwd", "model/../x", "mode", "modelx"])
@pytest.mark.parametrize("is_folder", [False, True])
async def test_a_folder_that_lists_what_is_not_in_it_is_not_saved(shared: Path, listed: str, is_folder: bool) -> None:
    folder = ArtifactFolder(path="model", entries=[Artifact(path=listed, is_folder=is_folder)], is_model=False)
    async with answering(folder.model_dump_json().encode(), lambda: None) as client:
        with pytest.raises(Unsafe, match="nothing was saved"):
            await save_all(artifact_files(client, "p", "r", "model"), shared / "x", lambda *_: None)
    assert names_in(shared) == []


async def test_a_download_that_fails_leaves_what_was_there(shared: Path) -> None:
    (shared / "weights").write_bytes(THEIRS)

    def fail() -> None:
        raise httpx.ReadError("gone")

    async with answering(b"new", fail) as client:
        with pytest.raises(ServiceUnavailable):
            await client.download_artifact("p", "r", "weights", shared / "weights")
    assert (shared / "weights").read_bytes() == THEIRS and names_in(shared) == ["weights"]


async def test_an_events_log_lines_are_saved_under_their_own_name_only(private: Path, shared: Path) -> None:
    from registry_tui.screens.registries.registry_events import save_lines

    class Lines:
        event_logs = None

        async def every(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
            (shared / "log").symlink_to(private / "file")
            lines: tuple[Any, ...] = ()
            for line in lines:
                yield line

    class Event:
        id = 1

    (shared / ".log.part").write_bytes(THEIRS)
    with pytest.raises((FileExistsError, RegistryError)):
        await save_lines(Lines(), Event(), shared / "log")  # type: ignore[arg-type]
    assert untouched(private) and (shared / ".log.part").read_bytes() == THEIRS
    assert names_in(shared) == [".log.part", "log"]


@pytest.mark.parametrize("path", ["model", "model/weights"], ids=["a folder", "a file"])
def test_the_command_writes_over_no_file_unless_it_is_asked_to(
    shared: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    fetched = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/content"):
            fetched.append(request.url.params["path"])
            return httpx.Response(200, content=b"new")
        if request.url.params["path"] != "model":
            problem = {"type": "x", "title": "x", "status": 404, "detail": "x", "code": "not-found", "request_id": "x"}
            return httpx.Response(404, json=problem)
        entries = [Artifact(path=f"model/{name}", is_folder=False) for name in ("MLmodel", "weights")]
        folder = ArtifactFolder(path="model", entries=entries, is_model=True)
        return httpx.Response(200, content=folder.model_dump_json())

    def ask(question: Callable[[RegistryClient], Coroutine[Any, Any, Any]]) -> Any:
        async def asked() -> Any:
            transport = httpx.MockTransport(answer)
            async with RegistryClient(base_url="http://registry-tui", transport=transport) as client:
                return await question(client)

        return asyncio.run(asked())

    monkeypatch.setattr("registry_tui.cli.session.ask", ask)
    (shared / "weights").write_bytes(THEIRS)

    def get(**more: Any) -> None:
        artifacts.get("run", path, project="p", target=shared, **more)

    with pytest.raises(RegistryError, match="weights already exists") as caught:
        get(overwrite=False)
    assert "--overwrite" in (caught.value.action or "")
    assert not fetched and names_in(shared) == ["weights"] and (shared / "weights").read_bytes() == THEIRS
    get(overwrite=True)
    assert (shared / "weights").read_bytes() == b"new"
    for name in names_in(shared):
        (shared / name).unlink()
    get(overwrite=False)
    assert (shared / "weights").read_bytes() == b"new"
    assert names_in(shared) == (["MLmodel", "weights"] if path == "model" else ["weights"])
