"""Unpacked model files in a folder of an NFS: whole or invisible, never through a link, and nobody waits for ever."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from registry_tui.contracts import archive_check
from registry_tui.service.adapters import nfs_tree, nfs_worker
from registry_tui.service.adapters.nfs_folder import MODULE, NfsFault, NfsFolder
from support.platforms import PATIENCE, wait_for

CONTENT = {"MLmodel": b"flavors: {}\n", "code/deep/model.py": b"", "data.bin": bytes(range(256)) * 5000}
PATH = ["registry-tui-r", "model", "version-digest"]


def listed(content: Mapping[str, bytes]) -> list[dict[str, Any]]:
    return [
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for path, data in content.items()
    ]


def unpack(
    folder: NfsFolder,
    content: Mapping[str, bytes] = CONTENT,
    path: Sequence[str] = PATH,
    pieces: Iterable[bytes] | None = None,
    **more: Any,
) -> bool:
    files = listed(content)
    sent = list(content.values()) if pieces is None else pieces
    return folder.unpack(path, files, json.dumps({"files": files}), sent, **{"needed": 1, **more})


def holds(folder: NfsFolder, path: Sequence[str] = PATH) -> bool:
    manifest = json.dumps({"files": listed(CONTENT)}).encode()
    return folder.holds(path, listed(CONTENT), hashlib.sha256(manifest).hexdigest())


def patched(code: str) -> list[str]:
    """The worker, in which some code ran first."""
    return [
        sys.executable,
        "-c",
        f"import os, errno\nfrom {MODULE} import *\nimport {MODULE} as worker\n{code}\nmain()",
    ]


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
    before = _everything(share.parent)
    for work in works:
        with pytest.raises(NfsFault) as fault:
            work()
        assert fault.value.kind == "refused"
    assert _everything(share.parent) == before


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_nothing_is_written_read_or_removed_through_a_planted_link(share: Path, tmp_path: Path, depth: int) -> None:
    victim = tmp_path / "victim"
    unpack(NfsFolder(str(_made(victim))))
    if depth:
        _made(share.joinpath(*PATH[:depth]), mode=0o700)
    share.joinpath(*PATH[: depth + 1]).symlink_to(victim.joinpath(*PATH[: depth + 1]))
    before = _everything(victim)
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
    assert _everything(victim) == before


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
    _made(share / PATH[0], mode=0o777)
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
    _made(share / PATH[0], mode=0o700)
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
    assert _published(share) == []


def test_an_error_of_the_reader_leaves_nothing(share: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        unpack(NfsFolder(str(share)), pieces=broken())
    wait_for(lambda: list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == [], what="the partial folder to go")
    assert _published(share) == []


def test_what_is_cancelled_removes_what_it_has_written_however_long_that_takes(share: Path) -> None:
    code = """
import time
from registry_tui.service.adapters import nfs_tree
unlink, nfs_tree._TELL_EVERY = os.unlink, 0.05
def slow(*arguments, **more):
    time.sleep(0.1)
    unlink(*arguments, **more)
os.unlink = slow
"""
    content = {f"part-{number}": b"x" for number in range(40)}

    def broken() -> Iterator[bytes]:
        yield from content.values()
        wait_for(lambda: len(list(share.rglob("part-*"))) == len(content), what="files that are written")
        raise ZeroDivisionError

    more = {**content, "last": b"y"}
    with pytest.raises(ZeroDivisionError):
        unpack(NfsFolder(str(share), command=patched(code)), more, pieces=broken())
    wait_for(lambda: list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == [], what="the partial folder to go")
    assert _published(share) == []


@pytest.mark.parametrize("work", ["full", "remove a model"])
def test_what_was_left_behind_is_swept_before_room_is_looked_for_and_by_removals(share: Path, work: str) -> None:
    folder = NfsFolder(str(share))
    unpack(folder)
    old, young = (share / PATH[0] / nfs_worker.UNFINISHED / name for name in ("old", "young"))
    probes = [share / f"{nfs_tree.PROBE}{name}" for name in ("old", "young")]
    for left in (old, young):
        (left / "files").mkdir(parents=True)
    for probe in probes:
        probe.touch()
    for left in (old, probes[0]):
        os.utime(left, (time.time() - 2 * nfs_tree.ABANDONED,) * 2)
    if work == "full":
        with pytest.raises(NfsFault) as fault:
            unpack(folder, path=[*PATH[:2], "other-1"], needed=1 << 60)
        assert fault.value.kind == "full"
    else:
        folder.remove(PATH[:2])
    assert (old.exists(), young.exists()) == (False, True)
    assert [probe.exists() for probe in probes] == [False, True]


def test_two_hosts_unpack_at_once_and_one_is_first(share: Path) -> None:
    both, first = threading.Barrier(2), []

    def pieces() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        both.wait(PATIENCE)
        yield CONTENT["data.bin"]

    threads = [
        threading.Thread(target=lambda: first.append(unpack(NfsFolder(str(share)), pieces=pieces()))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(first) == [False, True]
    archive_check.check(share.joinpath(*PATH))
    assert list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == []


def test_what_a_killed_process_leaves_is_invisible_and_swept_once_it_is_old(share: Path) -> None:
    folder = NfsFolder(str(share))

    def killed() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        wait_for(lambda: any(share.rglob("MLmodel")), what="a file that is being written")
        _child().kill()
        yield CONTENT["data.bin"]

    with pytest.raises(NfsFault) as fault:
        unpack(folder, pieces=killed())
    assert fault.value.kind == "failed"
    unfinished = share / PATH[0] / nfs_worker.UNFINISHED
    (left,) = unfinished.iterdir()
    assert _published(share) == []
    assert not holds(folder)
    # Another host may be at it: it stays while it is young.
    assert unpack(folder, path=[*PATH[:2], "other-1"])
    assert left.exists()
    os.utime(left, (time.time() - 2 * nfs_tree.ABANDONED,) * 2)
    assert unpack(folder)
    assert list(unfinished.iterdir()) == []


def test_work_that_was_stopped_for_so_long_that_it_was_swept_publishes_nothing(share: Path) -> None:
    folder = NfsFolder(str(share))

    def stopped() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        wait_for(lambda: any(share.rglob("MLmodel")), what="a file that is being written")
        child = _child()
        child.suspend()
        (partial,) = (share / PATH[0] / nfs_worker.UNFINISHED).iterdir()
        os.utime(partial, (time.time() - 2 * nfs_tree.ABANDONED,) * 2)
        assert unpack(NfsFolder(str(share)), path=[*PATH[:2], "other-1"])
        assert not partial.exists()
        child.resume()
        yield CONTENT["data.bin"]

    with pytest.raises(NfsFault):
        unpack(folder, pieces=stopped())
    assert [each.name for each in _published(share)] == ["other-1"]


def test_work_that_stands_still_is_ended_and_says_that_the_server_does_not_answer(share: Path) -> None:
    folder, children = NfsFolder(str(share)), []

    def stopped() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        children.append(_child())
        children[0].suspend()
        while True:
            yield CONTENT["data.bin"]

    with pytest.raises(NfsFault) as fault:
        unpack(folder, pieces=stopped(), seconds=1.0)
    assert fault.value.kind == "silent" and "does not answer" in str(fault.value)
    wait_for(lambda: not children[0].is_running(), what="the process to be ended")
    assert _published(share) == []


def test_a_server_that_does_not_answer_is_not_waited_for(share: Path) -> None:
    folder = NfsFolder(str(share), command=patched("import time\nworker._opened = lambda _folder: time.sleep(3600)"))
    with pytest.raises(NfsFault) as fault:
        folder.try_it(1.0)
    assert fault.value.kind == "silent"
    assert folder.hanging == []


def test_nobody_is_sent_after_a_process_that_cannot_be_ended(share: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as hanging:
        folder = NfsFolder(str(share), command=["/nothing/there"], hanging=[hanging])
        with pytest.raises(NfsFault) as fault:
            folder.try_it()
        assert fault.value.kind == "silent"
        assert hanging.stdin is not None
        hanging.stdin.write(b"\n")
    folder.command = NfsFolder("").command
    assert folder.try_it() > 0


def test_work_can_be_cancelled(share: Path) -> None:
    class CancelledError(Exception):
        pass

    def cancel() -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        unpack(NfsFolder(str(share)), check=cancel)
    assert _published(share) == []


@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
def test_a_full_disk_says_so_and_leaves_nothing(share: Path, error: str) -> None:
    code = f"""
def full(*_):
    raise OSError(errno.{error}, os.strerror(errno.{error}))
os.fsync = full
"""
    with pytest.raises(NfsFault) as fault:
        unpack(NfsFolder(str(share), command=patched(code)))
    assert fault.value.kind == "full"
    assert _published(share) == [] and list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == []


def test_a_file_that_outgrows_its_limit_is_a_full_disk(share: Path) -> None:
    limited = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *NfsFolder("").command]
    with pytest.raises(NfsFault) as fault:
        unpack(NfsFolder(str(share), command=limited))
    assert fault.value.kind == "full"
    assert _published(share) == []


def test_room_is_looked_for_first(share: Path) -> None:
    with pytest.raises(NfsFault) as fault:
        unpack(NfsFolder(str(share)), needed=1 << 60)
    assert fault.value.kind == "full"
    assert list(share.iterdir()) == []


@pytest.mark.parametrize("error", ["EPERM", "EACCES", "EROFS"])
def test_a_server_that_squashes_this_account_is_a_refusal(share: Path, error: str) -> None:
    code = f"""
def refuse(*_, **__):
    raise OSError(errno.{error}, os.strerror(errno.{error}))
os.mkdir = refuse
"""
    with pytest.raises(NfsFault) as fault:
        unpack(NfsFolder(str(share), command=patched(code)))
    assert fault.value.kind == "refused"


@pytest.mark.parametrize("error", [errno.ESTALE, errno.EIO])
def test_other_errors_of_the_server_are_failures_in_its_words(share: Path, error: int) -> None:
    code = f"""
def fail(*_, **__):
    raise OSError({error}, os.strerror({error}))
os.fstatvfs = fail
"""
    with pytest.raises(NfsFault, match=os.strerror(error)) as fault:
        unpack(NfsFolder(str(share), command=patched(code)))
    assert fault.value.kind == "failed"


def test_a_version_a_model_and_a_registry_are_removed(share: Path) -> None:
    folder = NfsFolder(str(share))
    for model, version in (("m1", "v1-a"), ("m1", "v1-b"), ("m1", "v2-a"), ("m2", "v1-a")):
        assert unpack(folder, path=[PATH[0], model, version])
    for _ in range(2):  # also when it is done already
        folder.remove([PATH[0], "m1", "v1"])
    assert sorted(each.name for each in _published(share)) == ["v1-a", "v2-a"]
    folder.remove([PATH[0], "m1"])
    assert [str(each.relative_to(share / PATH[0])) for each in _published(share)] == ["m2/v1-a"]
    (share / "somebody-elses").touch()
    for _ in range(2):
        folder.remove([PATH[0]])
    assert [each.name for each in share.iterdir()] == ["somebody-elses"]


def test_a_removal_that_was_cut_off_is_finished_by_the_next(share: Path) -> None:
    unpack(NfsFolder(str(share)))
    code = """
rmdir = os.rmdir
def cut(*_, **__):
    os._exit(9)
os.rmdir = cut
"""
    with pytest.raises(NfsFault):
        NfsFolder(str(share), command=patched(code)).remove(PATH[:2])
    assert _published(share) == [], "it is out of sight at once"
    NfsFolder(str(share)).remove(PATH[:2])
    assert list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == []


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
    assert _published(share) == []
    unpack(folder)
    assert list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == [], "the next work takes the rest away"


def _made(folder: Path, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True)
    folder.chmod(mode)
    return folder.resolve()


def _everything(folder: Path) -> dict[str, tuple[int, int]]:
    found = [folder, *folder.rglob("*")]
    return {str(each): (each.lstat().st_mode, each.lstat().st_size) for each in found}


def _published(share: Path) -> list[Path]:
    """The folders of versions that others see."""
    return [
        version
        for top in share.iterdir()
        if top.is_dir()
        for model in top.iterdir()
        if model.name != nfs_worker.UNFINISHED
        for version in model.iterdir()
    ]


def _child() -> psutil.Process:
    """The worker that this process has started last."""
    workers = [each for each in psutil.Process().children() if MODULE in each.cmdline()]
    return max(workers, key=lambda each: each.create_time())


def test_a_signal_to_the_service_does_not_stay_with_the_worker(share: Path) -> None:
    folder = NfsFolder(str(share))

    def ended() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        os.kill(_child().pid, signal.SIGTERM)
        yield CONTENT["data.bin"]

    with pytest.raises(NfsFault):
        unpack(folder, pieces=ended())
    assert _published(share) == []
