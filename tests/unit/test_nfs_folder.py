"""Unpacked model files in a folder of an NFS: whole or invisible, never through a link, and nobody waits for ever."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from registry_tui.contracts import archive_check
from registry_tui.service.adapters import nfs_worker
from registry_tui.service.adapters.nfs_folder import NfsFault, NfsFolder
from support.nfs_shares import CONTENT, PATH, everything, holds, listed, made, patched, published, unpack


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    return folder.resolve()


def test_a_version_is_unpacked_whole_read_only_and_as_its_manifest_says(share: Path) -> None:
    folder = NfsFolder(str(share))
    assert not holds(folder)
    assert unpack(folder)
    own = share.joinpath(*PATH)
    assert archive_check.check(own) == own / "files"
    files = {path.relative_to(own).as_posix(): path.read_bytes() for path in own.rglob("*") if path.is_file()}
    assert json.loads(files.pop("manifest.json"))["files"] == listed(CONTENT)
    assert files == {f"files/{path}": data for path, data in CONTENT.items()}
    for path in (own / "files", *(own / "files").rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o222, path
    assert holds(folder)
    assert not unpack(folder), "it is there already"
    assert list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == []


def test_a_try_leaves_nothing_and_knows_the_room(share: Path) -> None:
    assert NfsFolder(str(share)).try_it() > 0
    assert list(share.iterdir()) == []


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x"])
def test_a_manifest_that_climbs_is_refused(share: Path, path: str) -> None:
    with pytest.raises(NfsFault) as fault:
        unpack(NfsFolder(str(share)), {path: b"x"})
    assert fault.value.kind == "refused"
    assert [each for each in share.parent.rglob("*") if each.name == "x"] == []


@pytest.mark.parametrize("position", [0, 1, 2])
def test_names_of_folders_that_climb_are_refused(share: Path, position: int) -> None:
    path = [*PATH]
    path[position] = ("..", "a/b", "../../x")[position]
    folder = NfsFolder(str(share))
    works: Sequence[Callable[[], object]] = (
        lambda: unpack(folder, path=path),
        lambda: holds(folder, path),
        lambda: folder.remove(path),
    )
    before = everything(share.parent)
    for work in works:
        with pytest.raises(NfsFault) as fault:
            work()
        assert fault.value.kind == "refused"
    assert everything(share.parent) == before


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_nothing_is_written_read_or_removed_through_a_planted_link(share: Path, tmp_path: Path, depth: int) -> None:
    victim = tmp_path / "victim"
    unpack(NfsFolder(str(made(victim))))
    if depth:
        made(share.joinpath(*PATH[:depth]), mode=0o700)
    share.joinpath(*PATH[: depth + 1]).symlink_to(victim.joinpath(*PATH[: depth + 1]))
    before = everything(victim)
    folder = NfsFolder(str(share))
    with pytest.raises(NfsFault) as fault:
        holds(folder)
    assert fault.value.kind == "refused" and "link" in str(fault.value)
    if depth == 2:
        assert unpack(folder), "the link is put away"
        assert not share.joinpath(*PATH).is_symlink()
    else:
        with pytest.raises(NfsFault):
            unpack(folder)
        with pytest.raises(NfsFault):
            folder.remove(PATH[: depth + 1])
    assert everything(victim) == before


def test_a_link_among_the_files_is_damage_and_its_removal_leaves_what_it_names(share: Path, tmp_path: Path) -> None:
    folder = NfsFolder(str(share))
    unpack(folder)
    files = share.joinpath(*PATH, "files")
    files.chmod(0o700)
    outside = tmp_path / "outside"
    outside.write_bytes(CONTENT["MLmodel"])
    (files / "MLmodel").unlink()
    (files / "MLmodel").symlink_to(outside)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (files / "folder").symlink_to(tmp_path / "kept")
    with pytest.raises(NfsFault):
        holds(folder)
    folder.remove(PATH[:1])
    assert not (share / PATH[0]).exists()
    assert outside.exists() and (tmp_path / "kept" / "file").exists()


def test_a_folder_that_a_link_leads_to_is_refused(share: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(share)
    with pytest.raises(NfsFault) as fault:
        NfsFolder(str(tmp_path / "link")).try_it()
    assert fault.value.kind == "refused"


def test_a_folder_that_others_may_change_is_not_used(share: Path) -> None:
    made(share / PATH[0], mode=0o777)
    with pytest.raises(NfsFault, match="other accounts"):
        unpack(NfsFolder(str(share)))


def test_a_folder_in_which_others_could_replace_ours_is_not_used(share: Path) -> None:
    (share / "team").mkdir()
    folder = NfsFolder(str(share / "team"), str(share))
    share.chmod(0o777)
    with pytest.raises(NfsFault, match="chmod"):
        folder.try_it()
    share.chmod(0o1777)
    assert folder.try_it() > 0
    (share / "team").chmod(0o770)
    with pytest.raises(NfsFault, match="chmod"):
        unpack(folder)
    assert list((share / "team").iterdir()) == []


def test_a_folder_of_another_account_is_not_used(share: Path) -> None:
    made(share / PATH[0], mode=0o700)
    folder = NfsFolder(str(share), command=patched("worker._own_users = lambda _folder: frozenset({123456})"))
    with pytest.raises(NfsFault, match="another account"):
        unpack(folder)


@pytest.mark.parametrize("damage", ["changed", "missing", "added", "manifest", "other manifest"])
def test_damage_is_found_and_unpacked_again(share: Path, damage: str) -> None:
    folder = NfsFolder(str(share))
    unpack(folder)
    own = share.joinpath(*PATH)
    (own / "files").chmod(0o700)
    (own / "files" / "data.bin").chmod(0o600)
    match damage:
        case "changed":
            (own / "files" / "data.bin").write_bytes(CONTENT["data.bin"][::-1])
        case "missing":
            (own / "files" / "data.bin").unlink()
        case "added":
            (own / "files" / "extra.py").touch()
        case "manifest":
            (own / "manifest.json").unlink()
        case _:
            (own / "manifest.json").chmod(0o600)
            (own / "manifest.json").write_text(json.dumps({"files": listed(CONTENT), "more": 1}))
    with pytest.raises(NfsFault) as fault:
        holds(folder)
    assert fault.value.kind == "damaged"
    assert unpack(folder)
    assert holds(folder)


def test_wrong_bytes_are_never_published(share: Path) -> None:
    with pytest.raises(NfsFault) as fault:
        unpack(NfsFolder(str(share)), pieces=[bytes(len(data)) for data in CONTENT.values()])
    assert fault.value.kind == "damaged"
    assert published(share) == []


def test_a_version_a_model_and_a_registry_are_removed(share: Path) -> None:
    folder = NfsFolder(str(share))
    for model, version in (("m1", "v1-a"), ("m1", "v1-b"), ("m1", "v2-a"), ("m2", "v1-a")):
        assert unpack(folder, path=[PATH[0], model, version])
    for _ in range(2):  # also when it is done already
        folder.remove([PATH[0], "m1", "v1"])
    assert sorted(each.name for each in published(share)) == ["v1-a", "v2-a"]
    folder.remove([PATH[0], "m1"])
    assert [str(each.relative_to(share / PATH[0])) for each in published(share)] == ["m2/v1-a"]
    (share / "somebody-elses").touch()
    for _ in range(2):
        folder.remove([PATH[0]])
    assert [each.name for each in share.iterdir()] == ["somebody-elses"]


def test_a_file_that_a_client_of_nfs_keeps_open_holds_nothing_up(share: Path) -> None:
    folder = NfsFolder(str(share))
    unpack(folder)
    code = """
rmdir = os.rmdir
def busy(name, **more):
    if name == "deep":
        raise OSError(errno.ENOTEMPTY, "not empty")
    return rmdir(name, **more)
os.rmdir = busy
"""
    NfsFolder(str(share), command=patched(code)).remove([*PATH[:2], "version"])
    assert published(share) == []
    unpack(folder)
    assert list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == [], "the next work takes the rest away"
