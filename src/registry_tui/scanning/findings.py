"""Findings of a scan in a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Grade(IntEnum):
    """How much is proven; a model has the highest grade of its files."""

    SAFE_FORMAT = 0
    KNOWN_IMPORTS = 1
    RUNS_CODE = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Finding:
    """A file, or a file within an archive (`model.zip!a/b`)."""

    path: str
    format: str
    grade: Grade
    #: The reason for the grade; empty for safe formats.
    reason: str = ""
    imports: tuple[str, ...] = ()
