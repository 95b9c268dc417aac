"""Registering; registered models, their versions and archives."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response
from fastapi.responses import StreamingResponse

from registry_tui.schemas.base import Page
from registry_tui.schemas.boms import VersionBom, VersionUse
from registry_tui.schemas.cards import CardChange, ModelCard
from registry_tui.schemas.models import (
    ArchiveCheck,
    Manifest,
    ModelUpdate,
    ModelVersion,
    RegisteredModel,
    RegisterModel,
    VersionStatus,
    VersionUpdate,
)
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.scans import VersionScan
from registry_tui.schemas.signatures import SignVersion, VersionSignatures
from registry_tui.schemas.stages import Stage
from registry_tui.service.admission import aliases
from registry_tui.service.http.routes.content import content_response
from registry_tui.service.http.routes.dependencies import Acting, NameIn, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.http.routes.tracking import RangeIn
from registry_tui.service.models import archives as version_archives
from registry_tui.service.models import boms, cards, components, deleting, scans, signing, versions
from registry_tui.service.models import listing as model_list
from registry_tui.service.models import registered as models
from registry_tui.service.registering import register as registering

router = new_router("models")

_MODELS = "/registries/{registry}/models"
_MODEL = f"{_MODELS}/{{model}}"
VERSION = f"{_MODEL}/versions/{{version}}"

VersionIn = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.post("/projects/{project}/register", status_code=202)
def register_model(
    service: ServiceIn, principal: Acting, project: str, request: RegisterModel
) -> Accepted[ModelVersion]:
    """Registers a logged model of the project: a new name makes the model, a known one a further version."""
    return registering.register_model(service, principal, project, request)


@router.get(_MODELS)
def list_models(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    registry: str,
    search: Annotated[str | None, Query(max_length=500, description="In names, descriptions, owners, tags")] = None,
    name: Annotated[str | None, Query(max_length=250, description="The beginning of names, in any case")] = None,
    owner: Annotated[str | None, Query(max_length=64, description="A user's whole name")] = None,
    order_by: Annotated[
        str | None,
        Query(description="name, updated_at, created_at, owner, location or latest_version; with - descending"),
    ] = None,
) -> Page[RegisteredModel]:
    """The models that you may see, by name by default."""
    return model_list.list_models(
        service,
        principal,
        registry,
        search=search,
        name=name,
        owner=owner,
        order_by=order_by,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.get(_MODEL)
def get_model(service: ServiceIn, principal: Acting, registry: str, model: str) -> RegisteredModel:
    """One model, by name or ID."""
    return models.get_model(service, principal, registry, model)


@router.patch(_MODEL)
def update_model(
    service: ServiceIn, principal: Acting, registry: str, model: str, request: ModelUpdate
) -> RegisteredModel:
    """Changes description, visibility, owner and tags; for its owner."""
    return models.update_model(service, principal, registry, model, request)


@router.delete(_MODEL, status_code=204)
def delete_model(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    model: str,
    keep_archives: Annotated[bool, Query(description="Leaves the files in the object store")] = False,
) -> None:
    """Deletes a model with all versions, and their archives unless they are kept; for its owner."""
    deleting.delete_model(service, principal, registry, model, keep_archives=keep_archives)


@router.put(f"{_MODEL}/aliases/{{alias}}")
def set_alias(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    model: str,
    alias: str,
    version: Annotated[int, Query(ge=1, le=2**31 - 1)],
) -> RegisteredModel:
    """Points an alias to a version; for the model's owner."""
    return aliases.set_alias(service, principal, registry, model, alias, version)


@router.delete(f"{_MODEL}/aliases/{{alias}}")
def delete_alias(service: ServiceIn, principal: Acting, registry: str, model: str, alias: str) -> RegisteredModel:
    """Removes an alias; for the model's owner."""
    return models.delete_alias(service, principal, registry, model, alias)


@router.get(f"{_MODEL}/versions")
def list_versions(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    registry: str,
    model: str,
    search: Annotated[
        str | None, Query(max_length=500, description="A number; or in notes, creators, aliases, tags")
    ] = None,
    status: VersionStatus | None = None,
    stage: Stage | None = None,
    content: Annotated[
        str | None, Query(pattern="^[0-9a-f]{64}$", description="The sum of all files, as a bundle's manifest has it")
    ] = None,
    order_by: Annotated[str | None, Query(description="version, created_at or updated_at; with - descending")] = None,
) -> Page[ModelVersion]:
    """A model's versions, newest first by default."""
    return versions.list_versions(
        service,
        principal,
        registry,
        model,
        search=search,
        status=status,
        stage=stage,
        content=content,
        order_by=order_by,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.get(VERSION)
def get_version(service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn) -> ModelVersion:
    """One version with its origin and archive."""
    return versions.get_version(service, principal, registry, model, version)


@router.patch(VERSION)
def update_version(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn, request: VersionUpdate
) -> ModelVersion:
    """Changes notes and tags; for the person who registered it and the model's owner."""
    return versions.update_version(service, principal, registry, model, version, request)


@router.delete(VERSION, status_code=204)
def delete_version(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    model: str,
    version: VersionIn,
    keep_archive: Annotated[bool, Query(description="Leaves the files in the object store")] = False,
) -> None:
    """Deletes a version and its archive; its number is never issued again."""
    deleting.delete_version(service, principal, registry, model, version, keep_archive=keep_archive)


@router.get(f"{VERSION}/manifest")
def get_manifest(service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn) -> Manifest:
    """Every file of the archive with its size and SHA-256."""
    return version_archives.manifest(service, principal, registry, model, version)


@router.post(f"{VERSION}/verify")
def verify_archive(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn
) -> ArchiveCheck:
    """Reads the whole archive again and compares it with its manifest; responds when that is done."""
    return version_archives.verify_archive(service, principal, registry, model, version)


@router.post(f"{VERSION}/verification", status_code=202)
def begin_verification(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn
) -> Accepted[ModelVersion]:
    """The same as a workflow, which reports its progress, can be cancelled, and fails when something is wrong."""
    return version_archives.begin_verification(service, principal, registry, model, version)


@router.get(f"{VERSION}/scan")
def get_scan(service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn) -> VersionScan:
    """The formats in the archive and the imports of loading them, as found by the newest scan."""
    return scans.get_scan(service, principal, registry, model, version)


@router.post(f"{VERSION}/scan")
def scan_version(service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn) -> VersionScan:
    """Scans the archive again; for the person who registered it and the model's owner. Responds when that is done."""
    return scans.scan_version(service, principal, registry, model, version)


@router.get(f"{VERSION}/signatures")
def get_signatures(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn
) -> VersionSignatures:
    """The version's signers, with each signature checked against its manifest and the environment's trust store."""
    return signing.get_signatures(service, principal, registry, model, version)


@router.post(f"{VERSION}/signatures")
def sign_version(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn, request: SignVersion
) -> VersionSignatures:
    """Signs with the environment's key after verifying all files, or adds a signature; for its owners."""
    return signing.sign_version(service, principal, registry, model, version, request)


@router.get(f"{VERSION}/signatures/{{fingerprint}}", response_class=Response)
def read_signature(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn, fingerprint: str
) -> Response:
    """A signature as it was stored, a sigstore bundle."""
    content = signing.read_signature(service, principal, registry, model, version, fingerprint)
    return Response(content, media_type="application/json")


@router.get(f"{VERSION}/bom")
def get_bom(service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn) -> VersionBom:
    """The version's bill of materials, as a CycloneDX document."""
    return boms.get_bom(service, principal, registry, model, version)


@router.post(f"{VERSION}/bom")
def make_bom(service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn) -> VersionBom:
    """Makes that document again; for the person who registered it and the model's owner."""
    return boms.make_bom(service, principal, registry, model, version)


@router.get(f"{VERSION}/card")
def get_card(service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn) -> ModelCard:
    """The version's card, in Markdown: as a person wrote it, else as generated from the known facts."""
    return cards.get_card(service, principal, registry, model, version)


@router.put(f"{VERSION}/card")
def set_card(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn, request: CardChange
) -> ModelCard:
    """Keeps a card that you wrote; for the person who registered the version and the model's owner."""
    return cards.set_card(service, principal, registry, model, version, request)


@router.get("/versions-using")
def versions_using(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    uses: Annotated[
        list[str],
        Query(description="`numpy<2`, `python<3.12`, `dataset:NAME`, `base-model:NAME`; all of them have to fit"),
    ],
    registry: Annotated[NameIn | None, Query(description="Name or ID of a Model Registry; of all by default")] = None,
) -> Page[VersionUse]:
    """The versions that you may read and that use something, newest first; a page may be short."""
    return components.versions_using(
        service, principal, uses, registry=registry, page_size=page.page_size, page_token=page.page_token
    )


@router.get(f"{VERSION}/content", response_class=StreamingResponse)
def read_archive(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    model: str,
    version: VersionIn,
    path: str,
    range_header: RangeIn = None,
) -> StreamingResponse:
    """The bytes of one file of the archive, or a part of them."""
    content = version_archives.open_archive_file(service, principal, registry, model, version, path, range_header)
    return content_response(content, path)
