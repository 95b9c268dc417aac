"""Downloading a version's archive: in constant memory, each file checked against the manifest."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from registry_tui.cli import output
from registry_tui.cli.artifacts import inside
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.schemas.models import ArchiveCheck, Manifest, ManifestEntry
from registry_tui.widgets import words

__all__ = ["ArchiveCheck", "Manifest", "download"]

#: Bytes asked for at a time.
CHUNK = 8 << 20


async def download(client: RegistryClient, registry: str, model: str, version: int, into: Path) -> None:
    """Puts the archive's files into a new folder, all of them or none.

    Raises RegistryError when the folder is there already, or when a file is not what the manifest says.
    """
    manifest = await client.manifest(registry, model, version)
    partial = _prepare(into)
    status = output.Status()
    done = 0
    try:
        for entry in manifest.files:
            place = inside(partial, entry.path)
            status.show(f"{entry.path}  {words.size(done)} of {words.size(manifest.total_bytes)}", key=entry.path)
            await _download_file(client, registry, model, version, entry, place)
            done += entry.size
        _finish(partial, into)
    finally:
        status.close()
        shutil.rmtree(partial, ignore_errors=True)


def _prepare(into: Path) -> Path:
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise RegistryError(f"{into} is there already", action="Name a new folder")
    partial = into.absolute().with_name(f".{into.absolute().name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def _finish(partial: Path, into: Path) -> None:
    if into.is_dir():
        into.rmdir()
    partial.replace(into)


async def _download_file(
    client: RegistryClient, registry: str, model: str, version: int, entry: ManifestEntry, place: Path
) -> None:
    digest = hashlib.sha256()
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        at = 0
        while at < entry.size:
            data = await client.read_archive(
                registry, model, version, entry.path, start=at, length=min(CHUNK, entry.size - at)
            )
            if not data:
                break
            digest.update(data)
            file.write(data)
            at += len(data)
    if at != entry.size or digest.hexdigest() != entry.sha256:
        raise RegistryError(
            f"{entry.path} is not the file that was archived",
            action=f"See `registry-tui models verify {model} {version}`",
        )
