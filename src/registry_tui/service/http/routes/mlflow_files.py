"""Artifacts in environments' own stores, for MLflow's server on this machine; not a part of the public API.

Bodies pass in both directions as they come: a file of any size takes a few megabytes of memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http import HTTPStatus
from typing import Annotated

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Header, Request
from fastapi.responses import Response, StreamingResponse
from starlette.requests import ClientDisconnect

from registry_tui.contracts.bodies import UPLOADS
from registry_tui.schemas.base import Page, Schema
from registry_tui.schemas.tracking import Artifact
from registry_tui.service.core.context import Service
from registry_tui.service.errors import ServiceError
from registry_tui.service.http.routes.content import content_response
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn
from registry_tui.service.stores.base import SentPart
from registry_tui.service.tracking import artifact_uploads, mlflow_files

#: Below the API's prefix. Their bodies are not limited as those of the API's requests are.
PREFIX = "/internal/artifacts"

router = APIRouter(prefix=PREFIX, include_in_schema=False)

#: Files up to this size are stored by one request.
_WHOLE = 8 << 20


class _Uploads:
    """Threads for as many uploads as MLflow's server has under way, which the API's requests must not lack."""

    def __init__(self) -> None:
        self.limiter = CapacityLimiter(UPLOADS)


@router.get("/{project}/files")
def files(service: ServiceIn, principal: Acting, project: str, path: str = "") -> Page[Artifact]:
    """The entries of a folder; empty if the folder does not exist."""
    return Page(items=mlflow_files.entries(service, principal, project, path))


@router.get("/{project}/content", response_class=StreamingResponse)
def content(
    service: ServiceIn,
    principal: Acting,
    project: str,
    path: str,
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> StreamingResponse:
    """A file, or a part of it."""
    return content_response(mlflow_files.open_file(service, principal, project, path, range_), path)


@router.head("/{project}/content")
def file(service: ServiceIn, principal: Acting, project: str, path: str) -> Response:
    """Whether there is a file."""
    mlflow_files.open_file(service, principal, project, path)
    return Response()


@router.put("/{project}/content", status_code=204)
async def store(
    request: Request, service: ServiceIn, principal: Acting, project: str, path: str, size: int | None = None
) -> Response:
    """Stores a file; nothing is stored if the body breaks off."""
    chunks = request.stream()
    try:
        first = await _first(chunks, _WHOLE)
        body: bytes | Iterator[bytes] = first if len(first) < _WHOLE else _passing(first, chunks)
        work = partial(mlflow_files.store_file, service, principal, project, path, body, size)
        await to_thread.run_sync(work, limiter=_limiter(service))
    except ClientDisconnect:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
    except ServiceError:
        # A client that is still sending would not read the response.
        async for _ in chunks:
            pass
        raise
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.delete("/{project}/content", status_code=204)
def delete(service: ServiceIn, principal: Acting, project: str, path: str = "") -> None:
    """Deletes a file, or a folder with all below it."""
    mlflow_files.delete(service, principal, project, path)


class _Part(Schema):
    number: int
    etag: str = ""


class _Begun(Schema):
    id: str
    urls: list[str]


class Signed(Schema):
    """A signed address of a file, and its size in bytes."""

    url: str
    size: int


def not_signed() -> Response:
    """The response when the client has to use the proxy."""
    return Response(status_code=HTTPStatus.NOT_IMPLEMENTED)


@router.post("/{project}/uploads", response_model=None)
def begin(
    service: ServiceIn, principal: Acting, project: str, path: str, parts: int, elsewhere: bool = False
) -> _Begun | Response:
    """Begins an upload in parts."""
    begun = artifact_uploads.begin(service, principal, project, path, parts, elsewhere=elsewhere)
    return not_signed() if begun is None else _Begun(id=begun.id, urls=list(begun.urls))


@router.put("/{project}/uploads", status_code=204)
def complete(service: ServiceIn, principal: Acting, project: str, path: str, upload: str, parts: list[_Part]) -> None:
    """Puts the parts of an upload together."""
    sent = [SentPart(part.number, part.etag) for part in parts]
    artifact_uploads.complete(service, principal, project, path, upload, sent)


@router.delete("/{project}/uploads", status_code=204)
def abort(service: ServiceIn, principal: Acting, project: str, path: str, upload: str) -> None:
    """Discards the parts of an upload."""
    artifact_uploads.abort(service, principal, project, path, upload)


@router.get("/{project}/signed", response_model=None)
def signed(
    service: ServiceIn, principal: Acting, project: str, path: str, seconds: int, elsewhere: bool = False
) -> Signed | Response:
    """A signed address of a file."""
    folder = mlflow_files.folder_of(service, principal, project)
    found = artifact_uploads.address_of(folder, path, seconds, elsewhere=elsewhere)
    return not_signed() if found is None else Signed(url=found[0], size=found[1])


def _limiter(service: Service) -> CapacityLimiter:
    return service.kept.of(_Uploads).limiter


async def _first(chunks: AsyncIterator[bytes], size: int) -> bytes:
    """The first bytes of a body: `size` of them or a little more, or all where it has fewer."""
    found = bytearray()
    async for chunk in chunks:
        found += chunk
        if len(found) >= size:
            break
    return bytes(found)


def _passing(first: bytes, chunks: AsyncIterator[bytes]) -> Iterator[bytes]:
    """The pieces of a body for a thread of any kind; call it in the event loop."""
    loop = asyncio.get_running_loop()

    async def following() -> bytes | None:
        return await anext(chunks, None)

    def pieces() -> Iterator[bytes]:
        yield first
        while (piece := asyncio.run_coroutine_threadsafe(following(), loop).result()) is not None:
            yield piece

    return pieces()
