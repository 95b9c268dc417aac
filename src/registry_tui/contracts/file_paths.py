"""Paths of files below a folder of the object store: which can be stored, and which cannot exist together.

One rule for everything that writes or reads them. A path's bytes are kept as they are: nothing is decoded and nothing
is normalized. A path that a client or proxy could take for another one is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from registry_tui.contracts.encoding import EncodedTooOften, fully_decoded, holds_control_characters, is_text

#: Bytes that file systems take in one part of a path.
MAX_PART_BYTES = 255
#: Bytes that S3 takes in a whole key.
MAX_KEY_BYTES = 1024


def problem(path: str, *, decode: bool = True) -> str | None:
    """The problem with a file's or folder's relative path, as the end of "The path …"; None for a sound one.

    Without `decode`, the decoded form is not checked: for reading files stored under any name.
    """
    if not path:
        return "must not be empty"
    if not is_text(path):
        return "must be text"
    if path.startswith("/"):
        return "must be relative"
    # The lengths are checked first: decoding a long text costs time.
    if len(path.encode()) > MAX_KEY_BYTES:
        return f"must have at most {MAX_KEY_BYTES} bytes"
    parts = path.split("/")
    if "" in parts:
        return "must not hold empty folders"
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"must have at most {MAX_PART_BYTES} bytes in each part"
    try:
        decoded = fully_decoded(path) if decode else path
    except EncodedTooOften:
        return "must not be percent-encoded so often"
    for text in (path, decoded):
        if any(part in (".", "..") for part in text.split("/")):
            return "must not hold . or .. as a folder"
        if "\\" in text:
            return "must not hold a backslash"
        if holds_control_characters(text):
            return "must not hold control characters"
    return None


def conflict(paths: Iterable[str]) -> tuple[str, str] | None:
    """A file and another file below it, as (`a`, `a/b`): no file system can hold both. None when all can exist."""
    files = set(paths)
    for path in sorted(files):
        for folder in folders_of(path):
            if folder in files:
                return folder, path
    return None


def folders_of(path: str) -> list[str]:
    """The folders that contain a path, the outermost first: `a/b/c` is in `a` and `a/b`."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
