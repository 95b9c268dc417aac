"""Saving files under names from outside, and comparing versions."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App
from textual.widgets import Input

from registry_tui.client.errors import ServiceUnavailable
from registry_tui.client.saving import Progress, Remote, Unsafe, partial_folder, safe_target, save_all, save_one
from registry_tui.client.version_sides import Side
from registry_tui.schemas.deployments import DeploymentSuggestion
from registry_tui.schemas.models import Manifest, ManifestEntry, ModelVersion, Origin, VersionStatus
from registry_tui.screens.base.download import DownloadForm
from registry_tui.screens.base.save import file_name
from registry_tui.wording.differences import difference

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.text(max_size=60))
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    folder = Path("/somewhere/else")
    try:
        target = safe_target(folder, name)
    except Unsafe:
        return
    assert target.is_relative_to(folder) and ".." not in target.parts and target != folder


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/passwd", "", ".", "a/./..", "a\0b"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(Unsafe):
        safe_target(Path("/somewhere"), name)


def remote(path: str, content: bytes, sha256: str | None = None) -> Remote:
    async def fetch(target: Path, progress: Progress) -> int:
        progress(len(content), len(content))
        with target.open("wb") as file:
            return file.write(content)

    return Remote(path, len(content), fetch, sha256)


async def each(*files: Remote) -> AsyncIterator[Remote]:
    for file in files:
        yield file


def list_folder(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_folder_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    told: list[Any] = []
    good = hashlib.sha256(b"abc").hexdigest()
    saved = await save_all(
        each(remote("a/b.txt", b"abc", good), remote("c.txt", b"de")), tmp_path / "x", lambda *now: told.append(now)
    )
    assert saved == 2 and (tmp_path / "x/a/b.txt").read_bytes() == b"abc" and told[-1] == (5, 5, 2)
    with pytest.raises(Unsafe, match="already"):
        await save_all(each(), tmp_path / "x", lambda *_: None)
    with pytest.raises(Unsafe, match="another sum"):
        await save_all(each(remote("a", b"abd", good)), tmp_path / "y", lambda *_: None)
    with pytest.raises(Unsafe, match="leads out"):
        await save_all(each(remote("ok", b"1"), remote("../evil", b"1")), tmp_path / "z", lambda *_: None)
    assert list_folder(tmp_path) == ["x"]
    (tmp_path / "empty").mkdir()
    assert await save_all(each(remote("a", b"1")), tmp_path / "empty", lambda *_: None) == 1
    await save_one(remote("c", b"de"), tmp_path / "one", lambda *_: None)
    with pytest.raises(Unsafe, match="already"):
        await save_one(remote("c", b"de"), tmp_path / "one", lambda *_: None)


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def test_a_download_goes_on_with_what_an_earlier_one_fetched(tmp_path: Path) -> None:
    fetched: list[str] = []

    def whole(path: str, content: bytes, *, fails: bool = False) -> Remote:
        async def fetch(target: Path, progress: Progress) -> None:
            at = size_of(target)
            fetched.append(f"{path} from {at}")
            with target.open("ab") as file:
                file.write(content[at : len(content) - 1 if fails else None])
            if fails:
                raise ServiceUnavailable("gone")

        return Remote(path, len(content), fetch, hashlib.sha256(content).hexdigest())

    folder = tmp_path / "x"
    with pytest.raises(ServiceUnavailable):
        await save_all(
            each(whole("a", b"abc"), whole("d/b", b"defgh", fails=True)), folder, lambda *_: None, resume=True
        )
    assert not folder.exists() and (partial_folder(folder) / "d/b").read_bytes() == b"defg"
    (partial_folder(folder) / "old").mkdir()
    (partial_folder(folder) / "old/file").write_bytes(b"of another archive")
    assert await save_all(each(whole("a", b"abc"), whole("d/b", b"defgh")), folder, lambda *_: None, resume=True) == 2
    assert fetched == ["a from 0", "d/b from 0", "d/b from 4"]
    assert sorted(path.name for path in folder.rglob("*")) == ["a", "b", "d"]
    assert (folder / "d/b").read_bytes() == b"defgh" and list_folder(tmp_path) == ["x"]

    # A piece of other bytes: found by the sum, and gone with the next attempt.
    other = tmp_path / "y"
    partial_folder(other).mkdir()
    (partial_folder(other) / "a").write_bytes(b"zz")
    with pytest.raises(Unsafe, match="another sum"):
        await save_all(each(whole("a", b"abc")), other, lambda *_: None, resume=True)
    assert await save_all(each(whole("a", b"abc")), other, lambda *_: None, resume=True) == 1


def version(number: int, **fields: Any) -> ModelVersion:
    return ModelVersion(
        id=str(number),
        model_id="m",
        model_name="Wine",
        registry_id="r",
        version=number,
        status=VersionStatus.READY,
        status_message="",
        notes="",
        creator="ada",
        created_at=NOW,
        updated_at=NOW,
        origin=Origin(),
        **fields,
    )


def side(number: int, sum_: str, requirement: str, kind: str) -> Side:
    files = [
        ManifestEntry(path="MLmodel", size=3, sha256="a" * 64),
        ManifestEntry(path="model.pkl", size=3, sha256=sum_),
    ]
    manifest = Manifest(
        model_id="m", model_name="Wine", version_id="v", version=number, source="", created_at=NOW, files=files
    )
    described = DeploymentSuggestion(
        name="d",
        description="",
        memory_bytes=1,
        machine_memory_bytes=1,
        free_memory_bytes=1,
        machine_cpus=1,
        signature={"inputs": [{"name": "alcohol", "type": kind}, {"name": "ash", "type": "double"}]},
        requirements=["mlflow==3.17.2", requirement],
    )
    return Side(version(number, tags={"stage": str(number)}), manifest, described, None)


def test_what_differs_between_two_versions() -> None:
    lines = difference([side(1, "b" * 64, "numpy==1.0", "double"), side(2, "c" * 64, "numpy==2.0", "long")])
    differing = {(line.kind, line.key): [cell.text for cell in line.cells] for line in lines if not line.same}
    assert differing == {
        ("tag", "stage"): ["1", "2"],
        ("signature inputs", "alcohol"): ["double", "long"],
        ("requirement", "numpy"): ["==1.0", "==2.0"],
        ("file", "model.pkl"): ["bbbbbbbbbbbb  3 B", "cccccccccccc  3 B"],
    }
    kinds = [line.kind for line in lines]
    assert kinds.index("file") > kinds.index("requirement") > kinds.index("signature inputs")


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("model", "model"),
        ("Wine v3", "Wine_v3"),
        (".bashrc", "bashrc"),
        ("..", "registry-tui.txt"),
        ("../../etc/cron.d/x", "_.._etc_cron.d_x"),
        ("~/.ssh/authorized_keys", "__.ssh_authorized_keys"),
        ("a\0b\x1b[2Jc\n", "a_b__2Jc_"),
        ("模" * 200, "模" * 66),
        ("\ud800", "_"),
    ],
)
async def test_a_suggested_name_is_a_plain_one_in_the_present_folder(name: str, suggested: str) -> None:
    class Asking(App[object]):
        def on_mount(self) -> None:
            self.push_screen(DownloadForm(name, each))

    app = Asking()
    async with app.run_test() as pilot:
        await pilot.pause()
        form = app.screen
        assert isinstance(form, DownloadForm)
        assert form.target == Path.cwd() / suggested
    exported = file_name(name)
    assert Path("/folder", exported).name == exported and exported[0] not in ".-"


async def test_a_second_try_lists_the_files_anew(tmp_path: Path) -> None:
    """A list that an attempt used up would save an empty folder and call it done."""
    gone = True

    async def fetch(target: Path, progress: Progress) -> int:
        if gone:
            raise OSError(5, "gone")
        with target.open("wb") as file:
            return file.write(b"abc")

    class Asking(App[object]):
        def on_mount(self) -> None:
            self.push_screen(DownloadForm("x", lambda: each(Remote("a", 3, fetch))))

    app = Asking()
    async with app.run_test() as pilot:
        form = app.screen
        assert isinstance(form, DownloadForm)
        form.query_one("#folder", Input).value = str(tmp_path / "x")
        with pytest.raises(OSError):
            await form.send()
        gone = False
        await form.send()
        await pilot.pause()
    assert (tmp_path / "x/a").read_bytes() == b"abc"
