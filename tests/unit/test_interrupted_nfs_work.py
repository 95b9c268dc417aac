"""Work in a folder of an NFS that is cut off, stopped, cancelled or refused: it publishes nothing and says why."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_tui.contracts import archive_check
from registry_tui.service.adapters import nfs_tree, nfs_worker
from registry_tui.service.adapters.nfs_folder import NfsFault, NfsFolder
from support.nfs_shares import CONTENT, PATH, holds, newest_worker, patched, published, unpack
from support.platforms import PATIENCE, wait_for


@pytest.fixture
def share(tmp_path: Path) -> Path:
    folder = tmp_path / "share"
    folder.mkdir()
    return folder.resolve()


def test_an_error_of_the_reader_leaves_nothing(share: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        unpack(NfsFolder(str(share)), pieces=broken())
    wait_for(lambda: list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == [], what="the partial folder to go")
    assert published(share) == []


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
    assert published(share) == []


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
        newest_worker().kill()
        yield CONTENT["data.bin"]

    with pytest.raises(NfsFault) as fault:
        unpack(folder, pieces=killed())
    assert fault.value.kind == "failed"
    unfinished = share / PATH[0] / nfs_worker.UNFINISHED
    (left,) = unfinished.iterdir()
    assert published(share) == []
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
        child = newest_worker()
        child.suspend()
        (partial,) = (share / PATH[0] / nfs_worker.UNFINISHED).iterdir()
        os.utime(partial, (time.time() - 2 * nfs_tree.ABANDONED,) * 2)
        assert unpack(NfsFolder(str(share)), path=[*PATH[:2], "other-1"])
        assert not partial.exists()
        child.resume()
        yield CONTENT["data.bin"]

    with pytest.raises(NfsFault):
        unpack(folder, pieces=stopped())
    assert [each.name for each in published(share)] == ["other-1"]


def test_work_that_stands_still_is_ended_and_says_that_the_server_does_not_answer(share: Path) -> None:
    folder, children = NfsFolder(str(share)), []

    def stopped() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        children.append(newest_worker())
        children[0].suspend()
        while True:
            yield CONTENT["data.bin"]

    with pytest.raises(NfsFault) as fault:
        unpack(folder, pieces=stopped(), seconds=1.0)
    assert fault.value.kind == "silent" and "does not answer" in str(fault.value)
    wait_for(lambda: not children[0].is_running(), what="the process to be ended")
    assert published(share) == []


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
    assert published(share) == []


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
    assert published(share) == [] and list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == []


def test_a_file_that_outgrows_its_limit_is_a_full_disk(share: Path) -> None:
    limited = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", *NfsFolder("").command]
    with pytest.raises(NfsFault) as fault:
        unpack(NfsFolder(str(share), command=limited))
    assert fault.value.kind == "full"
    assert published(share) == []


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
    assert published(share) == [], "it is out of sight at once"
    NfsFolder(str(share)).remove(PATH[:2])
    assert list((share / PATH[0] / nfs_worker.UNFINISHED).iterdir()) == []


def test_a_signal_to_the_service_does_not_stay_with_the_worker(share: Path) -> None:
    folder = NfsFolder(str(share))

    def ended() -> Iterator[bytes]:
        yield CONTENT["MLmodel"]
        os.kill(newest_worker().pid, signal.SIGTERM)
        yield CONTENT["data.bin"]

    with pytest.raises(NfsFault):
        unpack(folder, pieces=ended())
    assert published(share) == []
