"""Backups without a platform: a manifest, and the contents that it names."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from registry_tui.service.backup import manifest as manifests
from registry_tui.service.backup import pruning
from registry_tui.service.backup.manifest import Kept, Manifest, Sealed
from registry_tui.service.backup.place import BackupPlace
from registry_tui.service.backup.sealing import Derivation, Sealer

DERIVATION = Derivation.fresh()
SEALER = Sealer("correct horse battery", DERIVATION)
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def backed_up(place: BackupPlace, day: int, *contents: bytes, platform: str = "p") -> str:
    """A backup that holds these contents, and a database of its own."""
    id_ = f"{BEGAN + timedelta(days=day):%Y%m%dT%H%M%SZ}-0123abcd"
    database = f"{platform} {day}".encode()
    for each in (database, *contents):
        place.keep(digest(each), each, len(each))
    made = Manifest(
        format=manifests.FORMAT, id=id_, made_at=BEGAN, platform=platform, home="/h", host="m", version="0.1.0",
        revision="0001", derivation=DERIVATION, check=SEALER.check(),
        sealed=[Sealed(name="service.db", sha256=digest(database), size=len(database))],
        objects=[
            Kept(bucket="local-1", key=f"k/{number}", size=len(each), sha256=digest(each), etag="e", modified=BEGAN)
            for number, each in enumerate(contents)
        ],
    )  # fmt: skip
    place.finish(id_, manifests.written(made, SEALER))
    return id_


def digest(content: bytes) -> str:
    """The SHA-256 of a content."""
    return hashlib.sha256(content).hexdigest()


def pruned(place: BackupPlace, keep: int, *, cut_off: bool = False) -> pruning.Pruned:
    """Runs a whole pruning, and returns its result."""
    work = pruning.prune(place, keep, cut_off=cut_off)
    while True:
        try:
            next(work)
        except StopIteration as stopped:
            found: pruning.Pruned = stopped.value
            return found
