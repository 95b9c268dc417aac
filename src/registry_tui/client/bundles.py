"""Bundles of versions for networks without a connection to the registry: an OCI image layout, as a folder or a tar
file."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tarfile
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError
from registry_tui.client.saving import Progress, Remote, Tell, archive_files, partial_folder, save_all
from registry_tui.contracts import file_paths, modelpack, new_files
from registry_tui.schemas.models import ModelVersion

#: Maximum bytes of a description that is read as a whole.
_MAX_JSON = 64 << 20
_PIECE = 1 << 20


@dataclass(frozen=True)
class Layer:
    """One file of a bundle: its type, the SHA-256 and size of its bytes, and its location."""

    type: str
    sha256: str
    size: int
    path: str

    def descriptor(self) -> dict[str, Any]:
        return {
            "mediaType": self.type,
            "digest": f"sha256:{self.sha256}",
            "size": self.size,
            "annotations": {modelpack.FILE_PATH: self.path},
        }


# -- writing -------------------------------------------------------------------------------------------------


async def export(
    client: RegistryClient, version: ModelVersion, target: Path, tell: Tell, wheels: Sequence[Path] = ()
) -> int:
    """Writes a bundle, completely or not at all: a tar file where the name ends with `.tar`, else a new folder.

    Every file is checked against the archive's manifest. Returns how many files of the model it has. Raises Unsafe or
    OSError when the target exists, RegistryError.
    """
    models, files = await _files(client, version, wheels)
    if target.suffix != ".tar":
        await save_all(_each(files), target, tell, resume=True)
        return models
    new_files.require_free(target)
    folder = target.with_name(f".{target.name}.folder")
    shutil.rmtree(folder, ignore_errors=True)
    partial = new_files.partial_of(target)
    try:
        await save_all(_each(files), folder, tell, resume=True)
        await asyncio.to_thread(_pack, folder, partial)
        new_files.publish(partial, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        partial.unlink(missing_ok=True)
    return models


_BLOBS = "blobs/sha256/"


def unfinished(target: Path) -> Path:
    """The folder that keeps the fetched part of a bundle after a failure; the next export resumes from it."""
    return partial_folder(target if target.suffix != ".tar" else target.with_name(f".{target.name}.folder"))


async def _each(files: Sequence[Remote]) -> AsyncIterator[Remote]:
    for file in files:
        yield file


async def _files(client: RegistryClient, version: ModelVersion, wheels: Sequence[Path]) -> tuple[int, list[Remote]]:
    """How many files the model has, and every file of its bundle."""
    registry, model, number = version.registry_id, version.model_id, version.version
    layers: list[Layer] = []
    blobs: dict[str, Remote] = {}

    def add(type_: str, path: str, content: bytes) -> Layer:
        sha = hashlib.sha256(content).hexdigest()
        blobs.setdefault(sha, _written(f"{_BLOBS}{sha}", content))
        return Layer(type_, sha, len(content), path)

    async for file in archive_files(client, version):
        sha, size = cast(str, file.sha256), cast(int, file.size)
        layers.append(Layer(modelpack.type_of(file.path), sha, size, file.path))
        # The same content is one blob, under any number of names.
        blobs.setdefault(sha, Remote(f"{_BLOBS}{sha}", size, file.fetch, sha))
    manifest = (await client.manifest(registry, model, number)).model_dump_json(indent=1).encode()
    layers.append(add(modelpack.ARCHIVE_MANIFEST, "registry/manifest.json", manifest))
    layers.append(add(modelpack.VERSION, "registry/version.json", version.model_dump_json(indent=1).encode()))
    for signed in (await client.signatures(registry, model, number)).signatures:
        content = await client.read_signature(registry, model, number, signed.fingerprint)
        layers.append(add(modelpack.SIGNATURE, f"registry/signatures/{signed.fingerprint}.sig", content))
    with suppress(NotFound):  # a version from before bills of materials existed has none until one is made
        bom = (await client.bom(registry, model, number)).document
        layers.append(add(modelpack.BOM, "registry/bom.cdx.json", _json(bom)))
    card = await client.card(registry, model, number)
    kind = modelpack.MADE_CARD if card.author is None else modelpack.CARD
    layers.append(add(kind, "registry/card.md", card.text.encode()))
    for wheel in wheels:
        layers.append(add(modelpack.WHEEL, f"wheels/{wheel.name}", await asyncio.to_thread(wheel.read_bytes)))
    config = add(modelpack.CONFIG, "", _json(_config(version, layers)))
    described = config.descriptor()
    del described["annotations"]
    whole = {
        "schemaVersion": 2,
        "mediaType": modelpack.MANIFEST,
        "artifactType": modelpack.ARTIFACT,
        "config": described,
        "layers": [layer.descriptor() for layer in layers],
    }
    top = add(modelpack.MANIFEST, "", _json(whole))
    entry = {
        "mediaType": modelpack.MANIFEST,
        "artifactType": modelpack.ARTIFACT,
        "digest": f"sha256:{top.sha256}",
        "size": top.size,
        "annotations": {modelpack.NAME: f"{version.model_name}:{version.version}"},
    }
    index = {"schemaVersion": 2, "mediaType": modelpack.LAYOUT, "manifests": [entry]}
    models = sum(1 for layer in layers if layer.type in modelpack.OF_MODEL)
    return models, [
        *blobs.values(),
        _written("oci-layout", _json({"imageLayoutVersion": "1.0.0"})),
        _written("index.json", _json(index)),
    ]


def _config(version: ModelVersion, layers: Sequence[Layer]) -> dict[str, Any]:
    about = {
        "createdAt": version.created_at.isoformat(),
        "authors": [version.creator] if version.creator else [],
        "name": version.model_name,
        "version": str(version.version),
        "description": version.notes,
    }
    return {
        "descriptor": {key: value for key, value in about.items() if value},
        "config": {"format": "mlflow"},
        "modelfs": {"type": "layers", "diffIds": [f"sha256:{layer.sha256}" for layer in layers]},
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _written(path: str, content: bytes) -> Remote:
    async def fetch(target: Path, progress: Progress) -> None:
        await asyncio.to_thread(target.write_bytes, content)
        progress(len(content), len(content))

    return Remote(path, len(content), fetch, hashlib.sha256(content).hexdigest())


def _pack(folder: Path, target: Path) -> None:
    with tarfile.open(target, "x") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, str(path.relative_to(folder)), recursive=False)


# -- reading -------------------------------------------------------------------------------------------------


class Bundle:
    """A bundle opened for reading, from a folder or a tar file. Not trusted before `check` has returned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tar: tarfile.TarFile | None = None
        if path.is_file():
            try:
                self._tar = tarfile.open(path, "r:")  # noqa: SIM115 - `close` closes it
            except (tarfile.TarError, OSError) as error:
                raise _broken(path, "is not a tar file") from error
        self.layers = self._read_layers()

    def close(self) -> None:
        """Closes the file."""
        if self._tar is not None:
            self._tar.close()

    def open(self, layer: Layer) -> BinaryIO:
        """The bytes of a layer. Raises RegistryError, OSError."""
        return self._open(f"{_BLOBS}{layer.sha256}")

    def check(self, tell: Tell) -> None:
        """Reads every layer and compares it with its digest and size. Raises RegistryError, OSError."""
        paths = [layer.path for layer in self.model_files()]
        if wrong := next((path for path in paths if file_paths.problem(path)), None):
            raise _broken(self._path, f"has a file {wrong[:100]!r}, which leads out of the model's folder")
        if len(set(paths)) < len(paths) or file_paths.conflict(paths):
            raise _broken(self._path, "has two files of one name")
        total, done = sum(layer.size for layer in self.layers), 0
        for count, layer in enumerate(self.layers):
            sha, size = hashlib.sha256(), 0
            with self.open(layer) as file:
                while piece := file.read(_PIECE):
                    sha.update(piece)
                    size += len(piece)
                    tell(done + size, total, count)
            if (sha.hexdigest(), size) != (layer.sha256, layer.size):
                raise _broken(self._path, f"has another content than its digest says for {layer.path[:100]!r}")
            done += size

    def model_files(self) -> list[Layer]:
        """The files of the model."""
        return [layer for layer in self.layers if layer.type in modelpack.OF_MODEL]

    def of_type(self, type_: str) -> list[Layer]:
        """Layers of one type."""
        return [layer for layer in self.layers if layer.type == type_]

    def read(self, layer: Layer) -> bytes:
        """A small layer. Raises RegistryError."""
        if layer.size > _MAX_JSON:
            raise _broken(self._path, f"has a {layer.path[:100]!r} that is too large")
        with self.open(layer) as file:
            return file.read(_MAX_JSON)

    def _read_layers(self) -> list[Layer]:
        try:
            self._json("oci-layout")
            [entry] = [
                each for each in self._json("index.json")["manifests"] if each["mediaType"] == modelpack.MANIFEST
            ]
            top = Layer(entry["mediaType"], _sha(entry["digest"]), int(entry["size"]), "")
            content = self.read(top)
            if hashlib.sha256(content).hexdigest() != top.sha256:
                raise _broken(self._path, "has another manifest than its index says")
            whole = json.loads(content)
            if whole.get("artifactType") != modelpack.ARTIFACT:
                raise _broken(self._path, f"holds no model: its type is not {modelpack.ARTIFACT}")
            return [
                Layer(
                    str(each["mediaType"]),
                    _sha(each["digest"]),
                    int(each["size"]),
                    str(each.get("annotations", {}).get(modelpack.FILE_PATH, "")),
                )
                for each in whole["layers"]
            ]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _broken(self._path, "is not an OCI image layout with one model") from error

    def _json(self, name: str) -> Any:
        with self._open(name) as file:
            return json.loads(file.read(_MAX_JSON))

    def _open(self, name: str) -> BinaryIO:
        try:
            if self._tar is None:
                return (self._path / name).open("rb")
            with suppress(KeyError):
                if (found := self._tar.extractfile(name)) is not None:
                    return cast(BinaryIO, found)
        except FileNotFoundError:
            pass
        raise _broken(self._path, f"has no {name[:100]}")


def is_bundle(path: Path) -> bool:
    """Whether a path is a bundle, by its name and content."""
    return path.is_file() or (path / "oci-layout").is_file()


def _sha(digest: object) -> str:
    algorithm, _, value = str(digest).partition(":")
    if algorithm != "sha256" or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError("no SHA-256")
    return value


def _broken(path: Path, problem: str) -> RegistryError:
    return RegistryError(f"{path} {problem}; nothing was imported", action="Export it again: `models export`")
