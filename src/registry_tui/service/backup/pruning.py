"""`registry-tui backups prune`: deletes older backups of a place, and the content that no other one has.

Manifests are deleted first: a backup does not exist without one, and its remains are deleted by the next pruning if
this one is cut off. No backup is made meanwhile, since it relies on existing content.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from registry_tui.service.backup.manifest import Manifest
from registry_tui.service.backup.place import BackupPlace
from registry_tui.service.backup.taking import Progress

#: Contents that are deleted at once.
_AT_ONCE = 1000


@dataclass(frozen=True)
class Pruned:
    """The IDs of the deleted backups, and the contents that were deleted with them."""

    backups: list[str]
    contents: int
    bytes: int


def older(place: BackupPlace, keep: int) -> list[str]:
    """The IDs of all backups but each platform's `keep` newest. Raises DamagedBackup for one that cannot be read."""
    found: dict[str, list[str]] = {}
    for id_ in place.ids():
        found.setdefault(place.manifest(id_).platform, []).append(id_)
    return sorted((id_ for ids in found.values() for id_ in ids[keep:]), reverse=True)


def prune(place: BackupPlace, keep: int, *, cut_off: bool = False) -> Generator[Progress, None, Pruned]:
    """Deletes all backups but each platform's `keep` newest; `cut_off`: ignores marks of work in progress.

    Raises PlaceBusy, DamagedBackup for a manifest that cannot be read, ServiceError.
    """
    with place.being_pruned(cut_off=cut_off):
        yield Progress("looking at the backups")
        gone = older(place, keep)
        place.forget(gone)
        needed = set[str]()
        left = place.ids()
        for done, id_ in enumerate(left):
            yield Progress("finding the files that other backups need", done, len(left))
            needed.update(_contents(place.manifest(id_)))
        unneeded = {sha256: size for sha256, size in place.content().items() if sha256 not in needed}
        names, bytes_ = list(unneeded), 0
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            place.discard(some)
            bytes_ += sum(unneeded[each] for each in some)
            yield Progress("deleting files that no backup needs", start + len(some), len(names), bytes_)
    return Pruned(gone, len(names), bytes_)


def _contents(manifest: Manifest) -> set[str]:
    return {each.sha256 for each in manifest.sealed} | {each.sha256 for each in manifest.objects}
