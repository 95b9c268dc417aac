"""Saving several files in a folder: a version's archive, or a folder of a run's artifacts. All or nothing."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError
from registry_tui.contracts import file_paths, new_files, signatures
from registry_tui.platform.paths import require_own_folder
from registry_tui.schemas.models import Manifest, ModelVersion
from registry_tui.schemas.signatures import SignatureKind

#: Bytes of an archive's file that are requested at a time.
PIECE = 8 << 20

#: Called with the bytes done, and the total if known.
Progress = Callable[[int, int | None], None]
#: Called with the bytes done, the total if known, and the files done.
Tell = Callable[[int, int | None, int], None]


@dataclass(frozen=True)
class Remote:
    """A file to save: its path below the folder, its size if known, how to fetch it, and its SHA-256 if known.

    A `fetch` of a file with a checksum may resume from the bytes already at the target.
    """

    path: str
    size: int | None
    fetch: Callable[[Path, Progress], Awaitable[object]]
    sha256: str | None = None


class Unsafe(RegistryError):
    """A name leads out of the folder, a target already exists, or a file differs from its checksum or size."""


class _Read(Protocol):
    """Reads a part of a file."""

    def __call__(self, *, start: int, length: int) -> Awaitable[bytes]: ...


async def archive_files(
    client: RegistryClient, version: ModelVersion, told: Callable[[str], None] = lambda _text: None
) -> AsyncIterator[Remote]:
    """Every file of a version's archive, from its manifest. Partly downloaded files are resumed.

    `told` gets a sentence about the signers of the version. Raises Unsafe when it differs from the signed one.
    """
    registry, model, number = version.registry_id, version.model_id, version.version
    manifest = await client.manifest(registry, model, number)
    told(await _check_signature(client, version, manifest))
    for entry in manifest.files:

        async def fetch(target: Path, progress: Progress, path: str = entry.path, size: int = entry.size) -> None:
            async def read(*, start: int, length: int) -> bytes:
                return await client.read_archive(registry, model, number, path, start=start, length=length)

            await _fetch_pieces(read, size, target, progress)

        yield Remote(entry.path, entry.size, fetch, entry.sha256)


async def _check_signature(client: RegistryClient, version: ModelVersion, manifest: Manifest) -> str:
    """Returns a sentence about the signers of a version, after checking the signature of its manifest, which verifies
    the download.

    Checked here, with the keys of the environment's trust store. Raises RegistryError when it does not match.
    """
    registry, model, number = version.registry_id, version.model_id, version.version
    found = (await client.signatures(registry, model, number)).signatures
    named = f"{version.model_name} version {number}"
    if not found:
        return f"{named} is not signed: it was registered before versions were"
    environment = (await client.registry(registry)).environment_id
    trusted = {each.fingerprint: each async for each in client.every(client.signing_keys, environment)}
    problems = []
    for each in found:
        try:
            content = await client.read_signature(registry, model, number, each.fingerprint)
            signed = signatures.verify(content, {name: key.public_key for name, key in trusted.items()})
            signatures.check_files(signed, {entry.path: entry.sha256 for entry in manifest.files})
            if each.kind is SignatureKind.REGISTRY and signed.version_id != version.id:
                raise signatures.SignatureProblem("it was made for another version")
        except signatures.SignatureProblem as problem:
            problems.append(f"the signature of {each.key_name}: {problem}")
            if each.kind is SignatureKind.REGISTRY:
                break
        except NotFound:
            problems.append(f"the signature of {each.key_name} is gone")
            break
        else:
            return f"{named} is signed by {trusted[signed.fingerprint].name}"
    raise Unsafe(
        f"{named} is not as it was signed: {'; '.join(problems)}; nothing was saved",
        action=f"See `registry-tui models signature {version.model_name} {number}` and `models verify`",
    )


async def artifact_files(client: RegistryClient, project: str, run: str, folder: str) -> AsyncIterator[Remote]:
    """Every file below a folder of a run's artifacts. Raises Unsafe for entries that are not below it."""
    todo = [folder]
    while todo:
        asked = todo.pop()
        try:
            found = await client.artifacts(project, run, asked)
        except NotFound:
            if asked == folder:
                raise
            continue  # a logged model without files, or one that was deleted meanwhile
        for entry in found.entries:
            require_listed(asked, entry.path)
            if entry.is_folder:
                todo.append(entry.path)
                continue

            async def fetch(target: Path, progress: Progress, path: str = entry.path) -> object:
                return await client.download_artifact(project, run, path, target, progress)

            below = entry.path.removeprefix(folder).lstrip("/") if folder else entry.path
            yield Remote(below or entry.path.rsplit("/", 1)[-1], entry.size, fetch)


def require_listed(folder: str, path: str) -> None:
    """Raises Unsafe for a path that the service lists in a folder where it cannot be: a folder in itself has no end."""
    if (folder and not path.startswith(f"{folder}/")) or file_paths.problem(path, decode=False):
        raise Unsafe(f"The service lists {path[:100]!r} in {folder[:100]!r}; nothing was saved")


def safe_target(folder: Path, path: str) -> Path:
    """The target of a file with this path below the folder. Raises Unsafe for a path that cannot be below it."""
    if problem := file_paths.problem(path):
        raise Unsafe(
            f"The name {path[:100]!r} leads out of the folder or fits no file: it {problem}; nothing was saved"
        )
    return folder.joinpath(*path.split("/"))


def place_below(folder: Path, path: str) -> Path:
    """The target of a file with this path below a folder; missing folders in between are created.

    Raises Unsafe for a path, or a link in between, that leads out of the folder, OSError.
    """
    target = safe_target(folder, path)
    folder.mkdir(parents=True, exist_ok=True)
    for between in _between(folder, target):
        between.mkdir(exist_ok=True)
        _refuse_link(folder, between)
    return target


def future_place(folder: Path, path: str) -> Path:
    """As `place_below`, before anything is saved: no folder is created. Raises Unsafe."""
    target = safe_target(folder, path)
    for between in _between(folder, target):
        _refuse_link(folder, between)
    return target


def _between(folder: Path, target: Path) -> list[Path]:
    """The folders in between, the outer ones first."""
    return [folder / each for each in reversed(target.relative_to(folder).parents[:-1])]


def _refuse_link(folder: Path, between: Path) -> None:
    if between.is_symlink():
        raise Unsafe(f"{between} is a link, which may lead out of {folder}", action="Name another folder")


def partial_folder(folder: Path) -> Path:
    """The temporary folder of the files until all are there."""
    whole = folder.absolute()
    return whole.with_name(f".{whole.name}.part")


async def save_all(files: AsyncIterator[Remote], folder: Path, tell: Tell, *, resume: bool = False) -> int:
    """Saves the files in a new folder, all or none; returns how many.

    With `resume`, the fetched files stay in `partial_folder` on failure, and the next call resumes from them; files
    without a checksum are fetched again. Raises Unsafe, OSError, RegistryError.
    """
    _require_free(folder)
    known = [file async for file in files]
    for file in known:
        safe_target(folder, file.path)
    if found := file_paths.conflict(file.path for file in known):
        raise Unsafe(f"{found[0][:100]!r} is a file, and {found[1][:100]!r} needs a folder of that name")
    sizes = [file.size for file in known]
    total = sum(each or 0 for each in sizes) if all(each is not None for each in sizes) else None
    partial = partial_folder(folder)
    _make_own(partial)
    _remove_others(partial, {safe_target(partial, file.path) for file in known} if resume else set())
    before = 0
    saved = False
    try:
        for count, file in enumerate(known):
            target = place_below(partial, file.path)

            def progress(done: int, _: int | None, before: int = before, count: int = count) -> None:
                tell(before + done, total, count)

            await _save(file, target, progress)
            before += target.stat().st_size
            tell(before, total, count + 1)
        partial.replace(folder)
        saved = True
    finally:
        if saved or not resume:
            shutil.rmtree(partial, ignore_errors=True)
    return len(known)


async def save_one(file: Remote, target: Path, tell: Tell) -> None:
    """Saves one file under an unused name. Raises Unsafe, OSError, RegistryError."""
    _require_free(target)
    partial = new_files.partial_of(target)
    try:
        await file.fetch(partial, lambda done, total: tell(done, total or file.size, 0))
        new_files.publish(partial, target)
    finally:
        partial.unlink(missing_ok=True)


async def _save(file: Remote, target: Path, progress: Progress) -> None:
    """Fetches a file unless it is there, and verifies its checksum."""
    if file.sha256 is None:
        await file.fetch(target, progress)
        return
    there = await asyncio.to_thread(_size_at, target)
    if there and there == file.size and await asyncio.to_thread(_keep, target, file.sha256):
        return
    await file.fetch(target, progress)
    if not await asyncio.to_thread(_keep, target, file.sha256):
        raise Unsafe(
            f"{file.path[:100]} has another sum than its manifest says; nothing was saved",
            action="Verify the archive: `registry-tui models verify MODEL VERSION`",
        )


async def _fetch_pieces(read: _Read, size: int, target: Path, progress: Progress) -> None:
    """Fetches the missing part of a file of `size` bytes. Raises OSError, RegistryError."""
    at = await asyncio.to_thread(_size_at, target)
    at = at if at <= size else 0
    with target.open("ab" if at else "wb") as file:
        while at < size:
            data = await read(start=at, length=min(PIECE, size - at))
            if not data:
                return
            file.write(data)
            at += len(data)
            progress(at, size)


def _make_own(folder: Path) -> None:
    """Creates a folder, or reuses one from an earlier call. Raises Unsafe for anything else with its name, OSError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_own_folder(folder)
    except (FileExistsError, PermissionError) as error:
        raise Unsafe(
            f"The files cannot be saved in {folder}: {error.strerror}; nothing was saved",
            action="Name another folder, best in one that only you can write",
        ) from error


def _remove_others(folder: Path, wanted: Collection[Path]) -> None:
    """Removes leftovers of an attempt with other files."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path in each.parents for each in wanted):
                shutil.rmtree(path)
        elif path not in wanted or path.is_symlink():
            path.unlink()


def _require_free(target: Path) -> None:
    empty = target.is_dir() and not target.is_symlink() and not any(target.iterdir())
    if (target.exists() or target.is_symlink()) and not empty:
        raise Unsafe(f"{target} already exists; nothing is overwritten", action="Name a new one")


def _size_at(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _keep(path: Path, sha256: str) -> bool:
    """Whether a file has this checksum; one with another is deleted."""
    with path.open("rb") as file:
        good = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    if not good:
        path.unlink()
    return good
