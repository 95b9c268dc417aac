"""Lines joined from their non-empty parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def joined(*parts: str | None, between: str = "; ", nothing: str = "") -> str:
    """The non-empty parts in one line; `nothing` without any."""
    return between.join(part for part in parts if part) or nothing


def said(value: Value | None, words: Callable[[Value], str]) -> str | None:
    """The words about a value; None where there is none."""
    return None if value is None else words(value)
