"""Values that do not fit are described without the values."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from registry_tui.schemas.stores import GoogleCredentials, S3Address, S3Credentials
from registry_tui.wording.mistakes import mistakes, unexpected


def test_a_secret_that_does_not_fit_is_not_shown() -> None:
    with pytest.raises(ValidationError) as raised:
        GoogleCredentials(service_account="SECRETBEGIN" + "x" * 20_000 + "SECRETEND")
    assert "SECRETEND" in str(raised.value)
    for said in (unexpected(raised.value), *mistakes(raised.value)):
        assert "SECRET" not in said
    assert mistakes(raised.value) == ["service account: String should have at most 16384 characters"]
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
