"""Lines that are made of the parts about which there is something to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def joined(*parts: str | None, between: str = "; ", nothing: str = "") -> str:
    """The parts that say anything, in one line; `nothing` where none does."""
    return between.join(part for part in parts if part) or nothing


def said(value: Value | None, words: Callable[[Value], str]) -> str | None:
    """The words about a value; None where there is none."""
    return None if value is None else words(value)
