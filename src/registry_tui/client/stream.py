"""Following the service: its changes as they happen, read as server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import httpx
from pydantic import ValidationError

from registry_tui.client.transport import Transport
from registry_tui.schemas.stream import Change

#: Seconds without any line, including the service's heartbeat, after which the connection counts as lost.
SILENCE = 40.0
#: Maximum characters of one event; a longer one is skipped.
LONGEST = 1 << 20


class EventParser:
    """Puts the `data` of server-sent events together, line by line."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self._length = 0

    def line(self, line: str) -> str | None:
        """Takes a line without its end; returns the data of an event that is complete now, else None."""
        if not line:
            whole = "\n".join(self._data) if self._data and self._length <= LONGEST else None
            self._data, self._length = [], 0
            return whole
        field, _, value = line.partition(":")
        if field == "data":
            self._length += len(value)
            if self._length <= LONGEST:
                self._data.append(value.removeprefix(" "))
        return None


class Following(Transport):
    """The stream of changes."""

    async def changes(self, last: str | None = None) -> AsyncIterator[Change]:
        """Changes after the one with the ID `last`, until the connection ends; the first may be a `resync`.

        Raises ServiceUnavailable when there is no connection or it is lost.
        """
        request_id = str(uuid.uuid4())
        headers = {"X-Request-ID": request_id, "Accept": "text/event-stream"}
        if last is not None:
            headers["Last-Event-ID"] = last
        parser = EventParser()
        try:
            timeout = httpx.Timeout(SILENCE, connect=3.0)
            async with self._http.stream("GET", "/api/v1/stream", headers=headers, timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise self.problem(response, request_id)
                async for line in response.aiter_lines():
                    if (data := parser.line(line)) is not None and (change := _change(data)) is not None:
                        yield change
        except httpx.HTTPError as error:
            raise self.unavailable(error, request_id) from error


def _change(data: str) -> Change | None:
    """A change, or None if it is unknown, as from a service of another version."""
    try:
        return Change.model_validate_json(data)
    except ValidationError:
        return None
