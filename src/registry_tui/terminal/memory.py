"""The terminal program's memory between its runs: the last place, saved views, columns, typed commands."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from registry_tui.terminal.commands import SCREENS, Place


class Memory:
    """A small JSON object in the home. It is a convenience: unreadable values are dropped without an error."""

    def __init__(self, path: Path | None = None) -> None:
        """`path`: the file, `Home.terminal_memory`; without it, everything is dropped at the end."""
        self._path = path
        self._values: dict[str, Any] | None = None

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, as JSON returns it: tuples are lists, keys are text."""
        return self._read().get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Stores a JSON value; None removes the key. Values stored by another program in the meantime stay."""
        if self._path is not None:
            self._values = None
        values = self._read()
        if values.get(key) == value:
            return
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
        self._write(values)

    def _read(self) -> dict[str, Any]:
        if self._values is None:
            try:
                found = {} if self._path is None else json.loads(self._path.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                found = {}
            self._values = found if isinstance(found, dict) else {}
        return self._values

    def _write(self, values: dict[str, Any]) -> None:
        """Replaces the file atomically, readable by its owner only; errors of an unwritable home are ignored."""
        if self._path is None:
            return
        text = json.dumps(values, ensure_ascii=True)
        partial: str | None = None
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(prefix=".terminal-", dir=self._path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(partial).replace(self._path)
        except OSError:
            if partial is not None:
                Path(partial).unlink(missing_ok=True)


def remember_place(memory: Memory, place: Place) -> None:
    """Stores the current place, with filters, order and cursor."""
    state = {name: place.state[name] for name in ("filters", "sort", "cursor") if name in place.state}
    memory.set("place", {"kind": place.kind, "args": place.args, "state": state})


def remembered_place(memory: Memory) -> Place | None:
    """The place where the program was left, or None when it is unknown or not understood."""
    found = memory.get("place")
    try:
        kind, args, state = found["kind"], found["args"], found["state"]
        cursor, filters = state.get("cursor", (0, None)), state.get("filters", {})
        kept: dict[str, Any] = {
            "cursor": (int(cursor[0]), None if cursor[1] is None else str(cursor[1])),
            "sort": tuple((str(key), bool(down)) for key, down in state.get("sort", ())),
            "filters": {str(name): str(value) for name, value in filters.items()},
        }
        kept = {name: value for name, value in kept.items() if name in state}
        place = Place(str(kind), {str(name): str(value) for name, value in args.items()}, state=kept)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        return None
    return place if place.kind in SCREENS else None
