"""An S3 server in this process that answers as AWS does where rights are missing, which no store here does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "acme-models"
#: The action of a request, by its method and its query.
_RIGHTS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:DeleteObject"}


@dataclass
class Aws:
    """One bucket; its objects, and the rights that the only key has not."""

    objects: dict[str, bytes] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    #: Whether only lists below a prefix are permitted, so that objects that are away are refused, not missing.
    hides: bool = True
    endpoint: str = ""


@contextmanager
def answering() -> Iterator[Aws]:
    """A new server of it, at an address of this machine."""
    aws = Aws()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            key, query = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/"), parse_qs(parts.query)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if "uploads" in parse_qs(parts.query, keep_blank_values=True):
                self._listed("s3:ListBucketMultipartUploads", "<ListMultipartUploadsResult/>")
            elif self.command == "GET" and not key:
                prefix = query.get("prefix", [""])[0]
                found = "".join(
                    _entry(each, aws.objects[each]) for each in sorted(aws.objects) if each.startswith(prefix)
                )
                self._listed("s3:ListBucket", f"<ListBucketResult>{found}</ListBucketResult>")
            elif self.command == "HEAD" and not key:
                self._answer(200)
            elif _RIGHTS[self.command] in aws.missing:
                self._refuse()
            elif self.command == "PUT":
                self._put(key, body)
            elif self.command == "POST":
                for each in re.findall(rb"<Key>(.*?)</Key>", body):
                    aws.objects.pop(each.decode(), None)
                self._answer(200, b"<DeleteResult/>")
            elif key not in aws.objects:
                self._refuse() if aws.hides else self._answer(404, _error("NoSuchKey"))
            else:
                self._answer(200, aws.objects[key], ETag='"1"')

        do_HEAD = do_PUT = do_POST = do_GET

        def _put(self, key: str, body: bytes) -> None:
            source = self.headers.get("x-amz-copy-source")
            if self.headers.get("If-None-Match") == "*" and key in aws.objects:
                self._answer(412, _error("PreconditionFailed"))
            elif source is not None:
                aws.objects[key] = aws.objects[unquote(source).removeprefix(f"{BUCKET}/")]
                self._answer(200, b'<CopyObjectResult><ETag>"1"</ETag></CopyObjectResult>')
            else:
                aws.objects[key] = body
                self._answer(200, ETag='"1"')

        def _listed(self, right: str, page: str) -> None:
            self._refuse() if right in aws.missing else self._answer(200, page.encode())

        def _refuse(self) -> None:
            self._answer(403, _error("AccessDenied"))

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            if "Range" in self.headers and status == 200 and self.command == "GET":
                first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
                body = body[int(first) : int(last) + 1 if last else None]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Last-Modified", "Mon, 30 Nov 2026 12:00:00 GMT")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    aws.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield aws
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _entry(key: str, body: bytes) -> str:
    when = "<LastModified>2026-11-30T12:00:00.000Z</LastModified>"
    return f'<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>"1"</ETag>{when}</Contents>'


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
