"""Calls about registered models, their versions and archives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from registry_tui.client.transport import Transport, segment
from registry_tui.schemas.base import Page
from registry_tui.schemas.boms import VersionBom, VersionUse
from registry_tui.schemas.cards import CardChange, ModelCard
from registry_tui.schemas.drift import ProfileChange, VersionProfile
from registry_tui.schemas.models import (
    ArchiveCheck,
    Manifest,
    ModelUpdate,
    ModelVersion,
    RegisteredModel,
    RegisterModel,
    VersionUpdate,
)
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.scans import VersionScan
from registry_tui.schemas.signatures import SignVersion, VersionSignatures


class Models(Transport):
    """Calls about registered models, their versions and archives."""

    async def register_model(self, project: str, request: RegisterModel) -> Accepted[ModelVersion]:
        """Registers a logged model of the project into the registry of its workspace."""
        path = f"/projects/{segment(project)}/register"
        return await self._ask(Accepted[ModelVersion], "POST", path, body=request)

    async def models(
        self,
        registry: str,
        *,
        search: str | None = None,
        name: str | None = None,
        owner: str | None = None,
        order_by: str | None = None,
        **page: Any,
    ) -> Page[RegisteredModel]:
        """`search` matches names, descriptions, owners and tags; `name` is a prefix of the name, ignoring case."""
        params = {"search": search, "name": name, "owner": owner, "order_by": order_by, **page}
        return await self._ask(Page[RegisteredModel], "GET", f"/registries/{segment(registry)}/models", params=params)

    async def model(self, registry: str, model: str) -> RegisteredModel:
        return await self._ask(RegisteredModel, "GET", self._model(registry, model))

    async def update_model(self, registry: str, model: str, request: ModelUpdate) -> RegisteredModel:
        return await self._ask(RegisteredModel, "PATCH", self._model(registry, model), body=request)

    async def delete_model(self, registry: str, model: str, *, keep_archives: bool = False) -> None:
        """Deletes a model with all versions, and their archives unless they are kept."""
        await self._send("DELETE", self._model(registry, model), params={"keep_archives": keep_archives})

    async def set_alias(self, registry: str, model: str, alias: str, version: int) -> RegisteredModel:
        path = f"{self._model(registry, model)}/aliases/{segment(alias)}"
        return await self._ask(RegisteredModel, "PUT", path, params={"version": version})

    async def delete_alias(self, registry: str, model: str, alias: str) -> RegisteredModel:
        return await self._ask(RegisteredModel, "DELETE", f"{self._model(registry, model)}/aliases/{segment(alias)}")

    async def versions(
        self,
        registry: str,
        model: str,
        *,
        search: str | None = None,
        status: str | None = None,
        stage: str | None = None,
        content: str | None = None,
        order_by: str | None = None,
        **page: Any,
    ) -> Page[ModelVersion]:
        """Newest first, unless `order_by` is given; `search` matches numbers, notes, creators, aliases and tags.

        `content`: those with exactly these files, by their `Manifest.content`.
        """
        params = {
            "search": search,
            "status": status,
            "stage": stage,
            "content": content,
            "order_by": order_by,
            **page,
        }
        return await self._ask(Page[ModelVersion], "GET", f"{self._model(registry, model)}/versions", params=params)

    async def version(self, registry: str, model: str, version: int) -> ModelVersion:
        return await self._ask(ModelVersion, "GET", self._version(registry, model, version))

    async def update_version(self, registry: str, model: str, version: int, request: VersionUpdate) -> ModelVersion:
        return await self._ask(ModelVersion, "PATCH", self._version(registry, model, version), body=request)

    async def delete_version(self, registry: str, model: str, version: int, *, keep_archive: bool = False) -> None:
        path = self._version(registry, model, version)
        await self._send("DELETE", path, params={"keep_archive": keep_archive})

    async def manifest(self, registry: str, model: str, version: int) -> Manifest:
        return await self._ask(Manifest, "GET", f"{self._version(registry, model, version)}/manifest")

    async def verify_archive(self, registry: str, model: str, version: int) -> ArchiveCheck:
        """Reads the whole archive and compares it with its manifest."""
        path = f"{self._version(registry, model, version)}/verify"
        return await self._ask(ArchiveCheck, "POST", path, timeout=None)

    async def scan(self, registry: str, model: str, version: int) -> VersionScan:
        """The findings of the newest scan of a version."""
        return await self._ask(VersionScan, "GET", f"{self._version(registry, model, version)}/scan")

    async def scan_version(self, registry: str, model: str, version: int) -> VersionScan:
        """Scans a version's archive again."""
        return await self._ask(VersionScan, "POST", f"{self._version(registry, model, version)}/scan", timeout=None)

    async def signatures(self, registry: str, model: str, version: int) -> VersionSignatures:
        """The signers of a version, and whether each signature is valid."""
        return await self._ask(VersionSignatures, "GET", f"{self._version(registry, model, version)}/signatures")

    async def sign_version(
        self, registry: str, model: str, version: int, request: SignVersion | None = None
    ) -> VersionSignatures:
        """Signs a version with the environment's key, or adds an existing signature."""
        path = f"{self._version(registry, model, version)}/signatures"
        return await self._ask(VersionSignatures, "POST", path, body=request or SignVersion(), timeout=None)

    async def read_signature(self, registry: str, model: str, version: int, fingerprint: str) -> bytes:
        """A signature as it was stored; identified by the beginning of its key's fingerprint."""
        url = f"{self._version(registry, model, version)}/signatures/{segment(fingerprint)}"
        return await self._read(url, {}, 0, None)

    async def download_signature(
        self,
        registry: str,
        model: str,
        version: int,
        fingerprint: str,
        target: Path,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> int:
        """The same, written to `target`; returns its size."""
        url = f"{self._version(registry, model, version)}/signatures/{segment(fingerprint)}"
        return await self._download(url, {}, target, progress)

    async def bom(self, registry: str, model: str, version: int) -> VersionBom:
        """The components of a version, as a CycloneDX document."""
        return await self._ask(VersionBom, "GET", f"{self._version(registry, model, version)}/bom")

    async def make_bom(self, registry: str, model: str, version: int) -> VersionBom:
        """Creates a version's bill of materials again."""
        return await self._ask(VersionBom, "POST", f"{self._version(registry, model, version)}/bom", timeout=None)

    async def card(self, registry: str, model: str, version: int) -> ModelCard:
        """A version's card, in Markdown; number 0 is a generated one."""
        return await self._ask(ModelCard, "GET", f"{self._version(registry, model, version)}/card")

    async def profile(self, registry: str, model: str, version: int) -> VersionProfile:
        """The profile of a version's training data."""
        return await self._ask(VersionProfile, "GET", f"{self._version(registry, model, version)}/profile")

    async def set_profile(self, registry: str, model: str, version: int, request: ProfileChange) -> VersionProfile:
        """Stores a profile of a version's training data."""
        return await self._ask(
            VersionProfile, "PUT", f"{self._version(registry, model, version)}/profile", body=request
        )

    async def set_card(self, registry: str, model: str, version: int, request: CardChange) -> ModelCard:
        """Stores a card that a user wrote."""
        return await self._ask(ModelCard, "PUT", f"{self._version(registry, model, version)}/card", body=request)

    async def versions_using(self, uses: list[str], *, registry: str | None = None, **page: Any) -> Page[VersionUse]:
        """The versions that use all of `uses` (`numpy<2`, `dataset:NAME`, …), newest first; a page may be short."""
        params = {"uses": uses, "registry": registry, **page}
        return await self._ask(Page[VersionUse], "GET", "/versions-using", params=params)

    async def begin_verification(self, registry: str, model: str, version: int) -> Accepted[ModelVersion]:
        """The same as a workflow, which fails when the archive differs from the stored one."""
        path = f"{self._version(registry, model, version)}/verification"
        return await self._ask(Accepted[ModelVersion], "POST", path)

    async def read_archive(
        self,
        registry: str,
        model: str,
        version: int,
        path: str,
        *,
        start: int = 0,
        length: int | None = None,
    ) -> bytes:
        url = f"{self._version(registry, model, version)}/content"
        return await self._read(url, {"path": path}, start, length)

    async def download_archive_file(
        self,
        registry: str,
        model: str,
        version: int,
        path: str,
        target: Path,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> int:
        """Writes one file of an archive to `target`; returns its size. `progress` gets the bytes done and the total."""
        url = f"{self._version(registry, model, version)}/content"
        return await self._download(url, {"path": path}, target, progress)

    @staticmethod
    def _model(registry: str, model: str) -> str:
        return f"/registries/{segment(registry)}/models/{segment(model)}"

    def _version(self, registry: str, model: str, version: int) -> str:
        return f"{self._model(registry, model)}/versions/{segment(version)}"
