"""Invalid values, in words; without the values, which may be secrets.

Pydantic's own texts are for programmers ("Input should be a valid integer, unable to parse string as an integer");
these follow its types of errors, https://docs.pydantic.dev/latest/errors/validation_errors/, in every interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.wording.patterns import PATTERNS

if TYPE_CHECKING:
    from pydantic import ValidationError

#: The text for a type of error; the names in braces are the limits of the field.
_SAID = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": "not valid JSON",
    "json_type": "has to be JSON",
    "int_parsing": "has to be a whole number",
    "int_parsing_size": "is too large a number",
    "int_type": "has to be a whole number",
    "int_from_float": "has to be a whole number",
    "float_parsing": "has to be a number",
    "float_type": "has to be a number",
    "finite_number": "has to be a number, neither infinite nor NaN",
    "bool_parsing": "has to be true or false",
    "bool_type": "has to be true or false",
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be {ge} or more",
    "less_than": "has to be less than {lt}",
    "less_than_equal": "has to be {le} or less",
    "string_type": "has to be text",
    "string_unicode": "is not text in UTF-8",
    "bytes_type": "has to be text",
    "list_type": "has to be a list",
    "tuple_type": "has to be a list",
    "set_type": "has to be a list",
    "frozen_set_type": "has to be a list",
    "dict_type": "has to be an object with fields",
    "model_type": "has to be an object with fields",
    "model_attributes_type": "has to be an object with fields",
    "none_required": "has to be empty",
    "literal_error": "has to be {expected}",
    "enum": "has to be {expected}",
    "datetime_type": "has to be a time such as 2026-11-22T13:00:00Z",
    "datetime_parsing": "has to be a time such as 2026-11-22T13:00:00Z",
    "datetime_from_date_parsing": "has to be a time such as 2026-11-22T13:00:00Z",
    "datetime_object_invalid": "has to be a time such as 2026-11-22T13:00:00Z",
    "timezone_aware": "has to be a time with a zone, such as 2026-11-22T13:00:00Z",
    "date_parsing": "has to be a date such as 2026-11-22",
    "date_from_datetime_parsing": "has to be a date such as 2026-11-22",
    "url_parsing": "has to be an address such as https://example.com/path",
    "url_type": "has to be an address such as https://example.com/path",
    "union_tag_not_found": "must have {discriminator}, which is its type",
    "union_tag_invalid": "has to have one of {expected_tags} as {discriminator}",
}


def said(error: Mapping[str, Any]) -> str:
    """One of the errors of a ValidationError in plain words, to follow the name of its field and a colon."""
    kind, limits = str(error["type"]), error.get("ctx") or {}
    if kind == "string_pattern_mismatch" and (found := PATTERNS.get(limits["pattern"])) is not None:
        return found
    if kind in ("string_too_short", "too_short", "bytes_too_short"):
        least = int(limits["min_length"])
        what = "entry" if kind == "too_short" else "character"
        return "must not be empty" if least == 1 else f"has to have {counted(least, what, _MANY[what])} or more"
    if kind in ("string_too_long", "too_long", "bytes_too_long"):
        what = "entry" if kind == "too_long" else "character"
        return f"may have {counted(int(limits['max_length']), what, _MANY[what])} at most"
    if (template := _SAID.get(kind)) is not None:
        return template.format_map({name: _number(value) for name, value in limits.items()})
    # A schema's own words.
    return str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")


_MANY = {"entry": "entries", "character": "characters"}


def _number(value: object) -> object:
    """A limit without trailing zeros: 1, not 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def mistakes(error: ValidationError) -> list[str]:
    """The message for each value that fails validation, with the name of its field."""
    lines = []
    for each in error.errors(include_input=False, include_url=False):
        # Of an entry of a list, the list's name.
        field = next((part for part in reversed(each["loc"]) if isinstance(part, str)), "")
        lines.append(f"{field.replace('_', ' ')}: {said(each)}" if field else said(each))
    return lines


def unexpected(error: Exception) -> str:
    """A message for an error that is a fault of the program."""
    from pydantic import ValidationError

    found = "; ".join(mistakes(error)) if isinstance(error, ValidationError) else str(error)
    return f"{type(error).__name__}: {found}"
