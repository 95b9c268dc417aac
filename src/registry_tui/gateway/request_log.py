"""The sampled request log: some requests of the deployments that keep any, with the columns that may be kept.

Callers never wait for it: requests to keep go to a thread through a bounded queue; those that find it full are dropped
and counted. Headers and secrets of API keys never come here, only a key's ID. A file holds a line of JSON for each
request and belongs to one process of the gateway; whole files are deleted by age and size.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry_tui.contracts import request_columns as columns
from registry_tui.contracts.gateway_routes import RequestLog as Rules
from registry_tui.contracts.gateway_routes import Route
from registry_tui.gateway.upstream import Answered
from registry_tui.platform.space import space_of

logger = logging.getLogger(__name__)

#: The most queued requests and their bytes, in one process; the most bytes of a request whose content is kept.
WAITING, WAITING_BYTES, LARGEST = 512, 16 << 20, 256 << 10
#: Seconds in which requests gather before they are written.
GATHER = 0.25
#: The approximate number of files of a deployment's log; the sizes of the largest and the smallest.
FILES, LARGEST_FILE, SMALLEST_FILE = 16, 8 << 20, 64 << 10

#: Called with a deployment's ID, the number of kept requests, and the number of dropped ones.
Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Noted:
    deployment: str
    rules: Rules
    at: float
    request_id: str
    path: str
    content_type: str
    #: The header of requests and answers with binary tensors for the length of their JSON.
    json_length: str
    body: bytes
    status: int
    answer_type: str
    answer_json_length: str
    answer: bytes
    seconds: float
    replica: str
    version: int
    key: str
    in_pieces: bool

    @property
    def size(self) -> int:
        return len(self.body) + len(self.answer)


class RequestLog:
    """One process's part of the logs of all deployments."""

    def __init__(self, root: Path, process: str, told: Told) -> None:
        self._root, self._process, self._told = root, process, told
        self._waiting: deque[_Noted] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        #: Deployment to the file that is written to now, and since when.
        self._files: dict[str, tuple[Path, float]] = {}

    def note(
        self,
        route: Route,
        rules: Rules,
        path: str,
        content_type: str,
        body: bytes,
        answered: Answered,
        seconds: float,
        request_id: str,
        json_length: str = "",
        key: str = "",
    ) -> None:
        """Keeps a request at random, by the share in the rules; `key` is the ID of the caller's key. Never raises."""
        if random.random() >= rules.share:
            return
        large = len(body) > LARGEST or len(answered.body) > LARGEST
        noted = _Noted(
            deployment=route.id,
            rules=rules,
            at=time.time(),
            request_id=request_id,
            path=path,
            content_type=content_type,
            json_length=json_length,
            body=b"" if large else body,
            status=answered.status,
            answer_type="too large" if large else answered.headers.get("content-type", ""),
            answer_json_length=answered.headers.get("inference-header-content-length", ""),
            answer=b"" if large else answered.body,
            seconds=seconds,
            replica=answered.replica,
            version=answered.version,
            key=key,
            in_pieces=answered.pieces is not None,
        )
        with self._lock:
            full = len(self._waiting) >= WAITING or self._bytes + noted.size > WAITING_BYTES
            if not full:
                self._waiting.append(noted)
                self._bytes += noted.size
        if full:
            self._told(route.id, 0, 1)
            return
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name="request-log", daemon=True)
            self._thread.start()
        if not self._news.is_set():
            self._news.set()

    def flush(self) -> None:
        """Writes the queued requests, in the caller's thread."""
        with self._writing:
            while batch := self._taken():
                self._write(batch)

    def close(self) -> None:
        """Writes the queued requests, and ends."""
        self._ended = True
        self._news.set()
        self.flush()

    # -- in the thread --------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._ended:
            self._news.wait()
            self._news.clear()
            time.sleep(GATHER)
            try:
                self.flush()
            except Exception as error:
                # One mistake must not end the log; its text may hold the request.
                logger.error("requests were not kept: %s", type(error).__name__)

    def _taken(self) -> list[_Noted]:
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
            self._bytes = 0
        return taken

    def _write(self, batch: Iterable[_Noted]) -> None:
        by_deployment: dict[str, list[_Noted]] = {}
        for each in batch:
            by_deployment.setdefault(each.deployment, []).append(each)
        for deployment, noted in by_deployment.items():
            rules = noted[-1].rules
            lines, kept = [_line(each) for each in noted], 0
            try:
                for several in _in_pieces(lines, _largest_file(rules)):
                    self._append(deployment, rules, b"".join(several))
                    kept += len(several)
            except OSError as error:
                logger.warning("requests of %s were not kept: %s", deployment, error.strerror)
            self._count(deployment, kept, len(lines) - kept)

    def _append(self, deployment: str, rules: Rules, text: bytes) -> None:
        folder, now = self._root / deployment, time.time()
        path, since = self._files.get(deployment, (None, 0.0))
        small = _largest_file(rules)
        size = path.stat().st_size if path is not None and path.exists() else None
        if path is None or size is None or size + len(text) > small or now - since > max(1.0, rules.seconds / FILES):
            folder.mkdir(parents=True, exist_ok=True)
            if space_of(folder).lacks(len(text)):
                raise OSError(28, "the disk is full")
            path = folder / f"{int(now * 1000):015d}-{self._process}.jsonl"
            self._files[deployment] = (path, now)
            prune(folder, rules, now, room_for=small)
        # The file is opened again: it may have been deleted meanwhile.
        with path.open("ab") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)

    def _count(self, deployment: str, kept: int, dropped: int) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._told, deployment, kept, dropped)


def _largest_file(rules: Rules) -> int:
    return min(LARGEST_FILE, max(SMALLEST_FILE, rules.max_bytes // FILES))


def _in_pieces(lines: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    """The lines in batches of at most so many bytes, or of one line."""
    piece: list[bytes] = []
    size = 0
    for each in lines:
        if piece and size + len(each) > most:
            yield piece
            piece, size = [], 0
        piece.append(each)
        size += len(each)
    if piece:
        yield piece


def _line(noted: _Noted) -> bytes:
    record: dict[str, Any] = {
        "at": noted.at,
        "id": noted.request_id,
        "path": noted.path,
        "status": noted.status,
        "seconds": round(noted.seconds, 6),
        "replica": noted.replica,
        "version": noted.version or None,
        "key_id": noted.key,
        **_content(noted),
    }
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False, default=str).encode(errors="replace") + b"\n"


def _content(noted: _Noted) -> dict[str, Any]:
    may = columns.Kept.of(noted.rules.leave_out, noted.rules.mask)
    if noted.answer_type == "too large":
        return {"note": "request and answer are too large to be kept"}
    if noted.status != 200:
        # The words of a refusal may quote the request.
        return {"note": "only requests that were answered with 200 are kept with their content"}
    found: dict[str, Any] = {}
    try:
        asked = columns.of_request(noted.path, noted.content_type, noted.body, json_length=noted.json_length)
        found = {"rows": asked.rows, "inputs": may.of_columns(asked)}
        if noted.in_pieces:
            raise columns.NotKept("it was answered in pieces")
        answer = columns.of_answer(noted.path, noted.answer_type, noted.answer, json_length=noted.answer_json_length)
        found["outputs"] = may.of_columns(answer)
    except columns.NotKept as why:
        found["note"] = str(why)
    return found


# -- the files ----------------------------------------------------------------------------------------------


def files_of(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The files of a deployment's log, oldest first."""
    found = []
    with suppress(FileNotFoundError):
        for path in sorted(folder.glob("*.jsonl")):
            with suppress(FileNotFoundError):
                found.append((path, path.stat()))
    return found


def prune(folder: Path, rules: Rules, now: float, *, room_for: int = 0) -> int:
    """Deletes files whose requests are all too old, and the oldest while there are too many bytes; how many."""
    files = files_of(folder)
    total = sum(stat.st_size for _, stat in files) + room_for
    deleted = 0
    for path, stat in files:
        if stat.st_mtime < now - rules.seconds or total > rules.max_bytes:
            path.unlink(missing_ok=True)
            total -= stat.st_size
            deleted += 1
    return deleted


def records(
    folder: Path, *, oldest: float = 0.0, before: tuple[float, str] | None = None
) -> Iterator[Mapping[str, Any]]:
    """The requests of a deployment's log, newest first, from `before` (time and ID) on, none older than `oldest`.

    Files are read as they are needed. A torn last line, as a kill leaves it, is left out.
    """
    files = sorted(files_of(folder), key=lambda each: each[1].st_mtime, reverse=True)
    waiting: list[tuple[float, str, Mapping[str, Any]]] = []
    for number, (path, _) in enumerate(files):
        waiting += _records_of(path, oldest, before)
        waiting.sort(key=lambda each: each[:2])
        # Requests that are newer than the last one of every unread file.
        following = files[number + 1][1].st_mtime if number + 1 < len(files) else 0.0
        while waiting and waiting[-1][0] > following:
            yield waiting.pop()[2]


def record_of(
    folder: Path, request: str, *, oldest: float = 0.0, is_it: Callable[[Mapping[str, Any]], bool] = lambda _: True
) -> Mapping[str, Any] | None:
    """The newest request with this ID that `is_it` accepts, none older than `oldest`; None if none was kept.

    Only lines that contain the ID are parsed.
    """
    written = json.dumps(request, ensure_ascii=False).encode(errors="replace")
    newest: tuple[float, Mapping[str, Any]] | None = None
    for path, stat in sorted(files_of(folder), key=lambda each: each[1].st_mtime, reverse=True):
        # Files of several processes overlap: one that was written later may hold the older request.
        if newest is not None and stat.st_mtime < newest[0]:
            break
        for at, id_, record in _records_of(path, oldest, None, written):
            if id_ == request and (newest is None or at > newest[0]) and is_it(record):
                newest = at, record
    return None if newest is None else newest[1]


def _records_of(
    path: Path, oldest: float, before: tuple[float, str] | None, containing: bytes = b""
) -> Iterator[tuple[float, str, Mapping[str, Any]]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        if containing not in line:
            continue
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            key = (float(record["at"]), str(record["id"]))
            if key[0] >= oldest and (before is None or key < before):
                yield (*key, record)
