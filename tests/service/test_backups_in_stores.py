"""Backups in stores of each kind: kept once, read back and verified, and pruned, with marks that exclude each other."""

from __future__ import annotations

import pytest

from registry_tui.service.backup import restoring
from registry_tui.service.backup.place import BackupPlace, PlaceBusy
from registry_tui.service.backup.sealing import DamagedBackup
from support.little_backups import backed_up, digest, pruned
from support.other_stores import STORES, started


@pytest.mark.parametrize("kind", [each for each in STORES if each != "embedded"])
def test_backups_are_kept_verified_and_pruned_in_every_store(kind: str) -> None:
    large = b"0123456789abcdef" * (1 << 19)
    with started(kind) as bucket:
        place = BackupPlace(bucket)
        with place.being_made("20261130T000000Z-0123abcd", "m:/h"), pytest.raises(PlaceBusy):
            pruned(place, 1)
        older = backed_up(place, 1, large, b"old only")
        newer = backed_up(place, 2, large, b"new")
        assert place.ids() == [newer, older]
        assert place.content()[digest(large)] == len(large) == 8 << 20
        for id_ in (older, newer):
            list(restoring.verify(place, id_, None))
        done = pruned(place, 1)
        assert (done.backups, done.contents, done.bytes) == ([older], 2, len(b"old only") + len(b"p 1"))
        assert set(place.content()) == {digest(each) for each in (large, b"new", b"p 2")}
        list(restoring.verify(place, newer, None))
        place.discard([digest(b"new")])
        with pytest.raises(DamagedBackup, match="missing"):
            list(restoring.verify(place, newer, None))
