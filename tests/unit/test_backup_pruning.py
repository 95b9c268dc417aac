"""Older backups are removed with the content that only they had; shared content stays, also after an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry_tui.cli.main import app
from registry_tui.service.backup import pruning
from registry_tui.service.backup.place import BackupPlace, PlaceBusy
from registry_tui.service.backup.sealing import DamagedBackup
from registry_tui.service.stores.directory import Directory
from support.little_backups import backed_up, digest, pruned


@pytest.fixture
def place(tmp_path: Path) -> BackupPlace:
    (tmp_path / "place").mkdir()
    return BackupPlace(Directory(tmp_path / "place"))


def test_the_newest_of_each_platform_stay_with_all_that_they_need(place: BackupPlace) -> None:
    first = backed_up(place, 1, b"shared", b"old only")
    second = backed_up(place, 2, b"shared", b"middle")
    third = backed_up(place, 3, b"shared", b"new")
    other = backed_up(place, 0, b"of another", b"old only too", platform="q")
    place.keep(digest(b"cut off"), b"cut off", 7)
    done = pruned(place, 2)
    assert done.backups == [first] and place.ids() == [third, second, other]
    assert (done.contents, done.bytes) == (3, len(b"p 1") + len(b"old only") + len(b"cut off"))
    left = {b"shared", b"middle", b"new", b"of another", b"old only too", b"p 2", b"p 3", b"q 0"}
    assert set(place.content()) == {digest(each) for each in left}
    for each in left:
        assert b"".join(place.read(digest(each), len(each))) == each
    assert pruned(place, 2) == pruning.Pruned([], 0, 0)


def test_one_that_is_cut_off_at_any_moment_is_ended_by_the_next(place: BackupPlace) -> None:
    for steps in range(1, 6):
        older, newer = backed_up(place, 2 * steps, b"shared", b"old %d" % steps), 2 * steps + 1
        kept = backed_up(place, newer, b"shared", b"new")
        work = pruning.prune(place, 1)
        for _ in range(steps):
            next(work, None)
        del work  # no step follows; marks are undone
        assert kept in place.ids()
        pruned(place, 1)
        assert place.ids() == [kept] and older not in place.ids()
        assert set(place.content()) == {digest(each) for each in (b"shared", b"new", b"p %d" % newer)}


def test_nothing_is_pruned_while_a_backup_is_made_nor_the_other_way_round(place: BackupPlace) -> None:
    backed_up(place, 1, b"a")
    backed_up(place, 2, b"b")
    with place.being_made("20261130T000000Z-0123abcd", "m:/h"):
        with pytest.raises(PlaceBusy, match="A backup of m:/h is being made"):
            pruned(place, 1)
        assert len(place.ids()) == 2 and len(place.content()) == 4
    with place.being_pruned():
        with pytest.raises(PlaceBusy, match="being pruned"), place.being_made("20261130T000000Z-0123abcd", "m:/h"):
            pass
        with pytest.raises(PlaceBusy, match="already"):
            pruned(place, 1)
    # A backup of the same platform that was killed left its mark.
    place.bucket.put("being-made/20261129T000000Z-0123abcd.json", b"m:/h")
    with pytest.raises(PlaceBusy):
        pruned(place, 1)
    with place.being_made("20261130T000000Z-0123abcd", "m:/h"):
        pass
    assert len(pruned(place, 1).backups) == 1
    # So does a pruning.
    place.bucket.put("being-pruned.json", b"{}")
    assert pruned(place, 1, cut_off=True).backups == []
    assert {each.key.partition("/")[0] for each in place.bucket.list()} == {"backups", "content"}


def test_a_backup_that_cannot_be_read_keeps_everything(place: BackupPlace, tmp_path: Path) -> None:
    for day in (1, 2):
        backed_up(place, day, b"a")
    (tmp_path / "place/backups/20261129T000000Z-0123abcd.json.gz").write_bytes(b"torn")
    with pytest.raises(DamagedBackup):
        pruned(place, 1)
    assert len(place.ids()) == 3 and len(place.content()) == 3


def test_the_command_deletes_what_was_said_and_asks_before(place: BackupPlace, tmp_path: Path) -> None:
    older, newer = backed_up(place, 1, b"a"), backed_up(place, 2, b"b")
    words = ["backups", "prune", str(tmp_path / "place"), "--keep", "1"]
    asked = CliRunner().invoke(app, words)
    assert asked.exit_code == 2 and place.ids() == [newer, older]
    done = CliRunner().invoke(app, [*words, "--yes", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"backups": [older], "contents": 2, "bytes": 4}
    assert CliRunner().invoke(app, ["backups", "prune", str(tmp_path / "place"), "--keep", "0"]).exit_code == 2
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0 and "0 objects went" in said.output, said.output
