"""What the terminal program remembers between its runs: the last place, saved views, columns, typed commands."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


class Memory:
    """A small JSON object in the home. It is a convenience: what cannot be read is forgotten, never an error."""

    def __init__(self, path: Path | None = None) -> None:
        """`path`: the file, `Home.terminal_memory`; without, everything is forgotten at the end."""
        self._path = path
        self._values: dict[str, Any] | None = None

    def get(self, key: str, default: Any = None) -> Any:
        """What was kept under a key, as JSON gives it back: tuples are lists, keys are text."""
        return self._read().get(key, default)

    def set(self, key: str, value: Any) -> None:
        """Keeps a value that JSON can hold; None forgets the key. What another program kept meanwhile stays."""
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
        """Replaces the file in one go, readable by its owner only; a home that cannot be written is left alone."""
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
