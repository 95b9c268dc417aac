"""Responses with a file's bytes, whole or in part, piece by piece."""

from __future__ import annotations

from urllib.parse import quote

from fastapi.responses import StreamingResponse

from registry_tui.service.stores.content import Content


def content_response(content: Content, path: str) -> StreamingResponse:
    """200 with the whole file or 206 with the requested range. Browsers must not execute logged files."""
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(content.length),
        "ETag": content.etag,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.rsplit('/', 1)[-1], safe='')}",
        "X-Content-Type-Options": "nosniff",
    }
    if not content.whole:
        headers["Content-Range"] = f"bytes {content.start}-{content.start + content.length - 1}/{content.size}"
    status = 200 if content.whole else 206
    return StreamingResponse(content.chunks, status, headers, media_type="application/octet-stream")
