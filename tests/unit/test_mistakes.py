"""Values that do not fit are described without the values."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import datetime
from typing import Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core.core_schema import ErrorType

from registry_tui import schemas
from registry_tui.schemas.places import NAME_PATTERN
from registry_tui.schemas.stores import GoogleCredentials, S3Address, S3Credentials
from registry_tui.wording.mistakes import _SAID, mistakes, unexpected
from registry_tui.wording.patterns import PATTERNS


def test_a_secret_that_does_not_fit_is_not_shown() -> None:
    with pytest.raises(ValidationError) as raised:
        GoogleCredentials(service_account="SECRETBEGIN" + "x" * 20_000 + "SECRETEND")
    assert "SECRETEND" in str(raised.value)
    for said in (unexpected(raised.value), *mistakes(raised.value)):
        assert "SECRET" not in said
    assert mistakes(raised.value) == ["service account: may have 16,384 characters at most"]
    assert unexpected(raised.value).startswith("ValidationError: service account: ")


def test_each_mistake_is_named_in_the_words_of_its_schema() -> None:
    with pytest.raises(ValidationError) as raised:
        S3Address(bucket="a", region="Frankfurt am Main")
    assert [each.partition(": ")[0] for each in mistakes(raised.value)] == ["bucket", "region"]
    with pytest.raises(ValidationError) as raised:
        S3Credentials(access_key_id="AKIA")
    assert mistakes(raised.value) == ["an access key is an ID and a secret: give both"]


def test_other_errors_are_shown_as_they_are() -> None:
    assert unexpected(KeyError("name")) == "KeyError: 'name'"


def test_every_pattern_of_a_schema_has_words() -> None:
    """A regular expression does not help people."""
    without = {pattern for pattern in _patterns() if pattern not in PATTERNS}
    assert not without, "wording/patterns.py has to say what these ask for"


def test_values_that_do_not_fit_are_told_in_plain_words() -> None:
    for wrong, words in (
        ({"count": "x"}, "count: has to be a whole number"),
        ({"count": 0}, "count: has to be 1 or more"),
        ({"share": "NaN"}, "share: has to be a number, neither infinite nor NaN"),
        ({"kinds": []}, "kinds: must not be empty"),
        ({"kinds": ["aa", 2]}, "kinds: has to be text"),
        ({"kind": "wrong"}, "kind: has to be 'one' or 'two'"),
        ({"since": "never"}, "since: has to be a time such as 2026-11-22T13:00:00Z"),
        ({"name": "A b"}, "name: only a-z, 0-9 and -, beginning and ending with a letter or digit"),
        ({"own": "x"}, "own: says so itself"),
        ({"else": 1}, "else: is not known here"),
    ):
        with pytest.raises(ValidationError) as raised:
            Example.model_validate(wrong)
        assert mistakes(raised.value) == [words]


def test_every_type_of_error_that_requests_have_is_told_in_plain_words() -> None:
    """Those that only a program can make, such as of callables and instances, stay as they are."""
    fields = ("int_", "float_", "bool_", "string_", "list_", "datetime_", "enum", "literal_")
    assert not {kind for kind in get_args(ErrorType) if kind.startswith(fields)} - _SAID.keys() - _OTHERS


#: Types of errors with words of their own, and those that no request can have.
_OTHERS = {
    "string_too_short",
    "string_too_long",
    "string_pattern_mismatch",
    "string_sub_type",
    "string_not_ascii",
    "datetime_past",
    "datetime_future",
}


class Example(BaseModel):
    """Fields of the kinds that requests have."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(default=1, ge=1)
    share: float = Field(default=1.0, allow_inf_nan=False)
    kinds: list[str] = Field(default=["one"], min_length=1)
    kind: Literal["one", "two"] = "one"
    since: datetime | None = None
    name: str = Field(default="a", pattern=NAME_PATTERN)
    own: str = ""

    @field_validator("own")
    @classmethod
    def _own(cls, value: str) -> str:
        raise ValueError("says so itself")


def _patterns() -> Iterator[str]:
    for found in pkgutil.walk_packages(schemas.__path__, f"{schemas.__name__}."):
        for each in vars(importlib.import_module(found.name)).values():
            if isinstance(each, type) and issubclass(each, BaseModel) and each is not BaseModel:
                yield from _within(each.model_json_schema())


def _within(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from _within(each)
