"""Values that do not fit, in words; without the values, which may be secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def mistakes(error: ValidationError) -> list[str]:
    """What a schema says about each value that does not fit it, with the name of its field."""
    lines = []
    for each in error.errors(include_input=False, include_url=False, include_context=False):
        name = f"{str(each['loc'][-1]).replace('_', ' ')}: " if each["loc"] else ""
        lines.append(f"{name}{each['msg'].removeprefix('Value error, ')}")
    return lines


def unexpected(error: Exception) -> str:
    """An error that is a fault of the program, for people."""
    from pydantic import ValidationError

    said = "; ".join(mistakes(error)) if isinstance(error, ValidationError) else str(error)
    return f"{type(error).__name__}: {said}"
