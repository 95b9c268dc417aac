"""The source of a version's model that is to be stored: the object store, an attached server, or a registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from registry_tui.contracts import attached_sources, promoted_sources
from registry_tui.contracts.mlflow_routes import Location, RouteError, RoutesFile, artifact_path
from registry_tui.service.core import artifact_places
from registry_tui.service.core.context import Service
from registry_tui.service.errors import InvalidInput, Missing, PartUnavailable, WrongState
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.signing import archives as signing
from registry_tui.service.stores import archives, bucket_files, copying
from registry_tui.service.stores.bucket_files import Advance, Check, StoredFile
from registry_tui.service.tracking.artifacts import attached_folder
from registry_tui.service.tracking.folders import Folder

_SOUND = "`registry-tui models verify` reads it again; copy or promote a version that is sound"


class Source(Protocol):
    """The folder of a model that is registered. Every method may raise a ServiceError."""

    @property
    def where(self) -> str:
        """The folder, for people."""

    def files(self, check: Check) -> list[StoredFile]:
        """Every file in it and below, by path; raises the errors of `check`, called between requests."""

    def read(self, file: StoredFile) -> Iterator[bytes]:
        """A file's bytes, piece by piece."""

    def copy(
        self, files: Sequence[StoredFile], target: bucket_files.Folder, *, advance: Advance, check: Check
    ) -> tuple[str, dict[str, str]]:
        """Copies files; returns a description for people, and the SHA-256 of files that passed through here."""


@dataclass(frozen=True)
class Stored:
    """A folder in the object store."""

    place: bucket_files.Folder
    #: Whether it is an archive of a Model Registry.
    archived: bool
    #: SHA-256 by path, from the archive's manifest; empty without one.
    sums: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        return self.place.uri

    def files(self, check: Check) -> list[StoredFile]:
        if self.sums:
            return _named(self.place, self.sums, check)
        return archives.source_files(self.place, archived=self.archived, check=check)

    def read(self, file: StoredFile) -> Iterator[bytes]:
        return bucket_files.read_pieces(file, self.place)

    def copy(
        self, files: Sequence[StoredFile], target: bucket_files.Folder, *, advance: Advance, check: Check
    ) -> tuple[str, dict[str, str]]:
        how = "copied by the object store" if copying.same_store(self.place, target) else "copied from another store"
        sums = copying.copy_files(files, self.place, target, advance=advance, check=check)
        require_sums(self, {**self.sums, **sums})
        # Files that the store copied itself are compared when they are read back.
        return how, {**self.sums, **sums}


@dataclass(frozen=True)
class Remote:
    """A folder of artifacts of an attached server."""

    folder: Folder
    where: str

    def files(self, check: Check) -> list[StoredFile]:
        check()
        found = self.folder.sizes(bucket_files.MAX_FILES)
        if not found.complete:
            raise InvalidInput(
                f"The model at {self.where} has too many files or folders, or paths that cannot be stored",
                action="Log it again with fewer files and plain names",
            )
        return [StoredFile(path, size, "") for path, size in sorted(found.files.items())]

    def read(self, file: StoredFile) -> Iterator[bytes]:
        content = self.folder.open(file.path, None)
        if content.size != file.size:
            raise WrongState(f"{file.path} changed since it was listed", action="Retry the workflow")
        return content.chunks

    def copy(
        self, files: Sequence[StoredFile], target: bucket_files.Folder, *, advance: Advance, check: Check
    ) -> tuple[str, dict[str, str]]:
        return "copied from the attached server", copying.store_files(
            files, self.read, target, advance=advance, check=check
        )


@dataclass(frozen=True)
class Promoted:
    """The archive of a version of a registry, reached with that registry's own key."""

    version: signing.Version
    #: SHA-256 by path, from the archive's manifest.
    sums: dict[str, str] = field(repr=False)

    @property
    def archive(self) -> bucket_files.Folder:
        return self.version.archive

    @property
    def where(self) -> str:
        return self.archive.uri

    def files(self, check: Check) -> list[StoredFile]:
        return _named(self.archive.below(archives.FILES), self.sums, check)

    def read(self, file: StoredFile) -> Iterator[bytes]:
        return bucket_files.read_pieces(file, self.archive.below(archives.FILES))

    def copy(
        self, files: Sequence[StoredFile], target: bucket_files.Folder, *, advance: Advance, check: Check
    ) -> tuple[str, dict[str, str]]:
        sums = copying.pass_files(files, self.archive.below(archives.FILES), target, advance=advance, check=check)
        require_sums(self, sums)
        return "copied from the other registry", sums


def _named(place: bucket_files.Folder, sums: Mapping[str, str], check: Check) -> list[StoredFile]:
    """The files of an archive. Raises WrongState if there is another one that was not signed."""
    found = bucket_files.files_there(place, sums, check=check)
    beside = next((file.path for file in found if file.path not in sums), None)
    if beside is not None:
        raise WrongState(
            f"The archive at {place.uri} differs from its manifest: {beside[:200]} is not in it", action=_SOUND
        )
    return found


def require_sums(source: Source, found: Mapping[str, str]) -> None:
    """Raises WrongState for files of a version's archive (SHA-256 by path) that differ from its manifest."""
    if not isinstance(source, Stored | Promoted):
        return
    wrong = sorted(path for path, sha in source.sums.items() if found.get(path) != sha)
    if wrong:
        raise WrongState(
            f"The archive at {source.where} differs from its manifest: {wrong[0][:200]}",
            action=_SOUND,
        )


def find(service: Service, registry: RegistryPlace, source: str) -> Source:
    """The source of a version's model that `registry` stores. Raises Missing, WrongState, PartUnavailable."""
    if (promoted := promoted_sources.parse(source)) is not None:
        place = enter_registry(service, promoted.registry_id)
        version = signing.version_at(service, place, promoted.model_id, promoted.version_id)
        manifest = archives.read_manifest(version.archive)
        # Refuses files that were changed together with their manifest.
        signing.proof(service, version, manifest)
        return Promoted(version, signing.sums(manifest))
    if (elsewhere := attached_sources.parse(source)) is not None:
        return Remote(attached_folder(service, elsewhere), source)
    try:
        routes = RoutesFile(service.home.routes_file).load()
        location = routes.locate(artifact_path(source))
    except RouteError as error:
        raise WrongState(f"The model cannot be reached any more: {error}") from error
    except (OSError, ValueError) as error:
        raise PartUnavailable("The list of projects cannot be read", action="`registry-tui restart service`") from error
    # Archives are sources too: a version that is copied.
    if location.outside:
        folder = artifact_places.folder_at(service, location)
    else:
        folder = registry.embedded(service, location.bucket, f"{location.key.rstrip('/')}/")
    if location.registry is None:
        return Stored(folder, archived=False)
    of = enter_registry(service, routes.registries[location.registry].registry_id)
    return Stored(folder, archived=True, sums=_archived(service, of, location))


def _archived(service: Service, place: RegistryPlace, location: Location) -> dict[str, str]:
    """The SHA-256 of the files of a folder in an archive, by the path in the folder; empty where it has no manifest.

    Raises WrongState for an archive that is not as it was signed, PartUnavailable.
    """
    _, _, inner = location.key.partition(f"/{location.model_id}/")
    version_id, _, path = inner.partition("/")
    version = signing.version_at(service, place, str(location.model_id), version_id)
    try:
        manifest = archives.read_manifest(version.archive)
    except Missing:
        if signing.is_signed(service, version_id):
            raise
        return {}
    signing.proof(service, version, manifest)
    within = f"{path.strip('/')}/".removeprefix(f"{archives.FILES}/")
    return {file.removeprefix(within): sha for file, sha in signing.sums(manifest).items() if file.startswith(within)}
