"""The required permissions of credentials for an environment's own store, and the access there, in words."""

from __future__ import annotations

import json
import re

import pytest

from registry_tui.schemas.registries import ModelRegistry, StorageAccess, StoreKey
from registry_tui.schemas.store_access import access_held, access_needed
from registry_tui.schemas.stores import (
    AzureAddress,
    AzureStore,
    DirectoryAddress,
    DirectoryStore,
    Encryption,
    EnvironmentStore,
    GoogleAddress,
    GoogleStore,
    S3Address,
    S3Store,
)
from registry_tui.wording.storage_access import access_word, registry_access_said


def test_the_policy_of_a_place_in_s3_names_its_objects_and_lists_below_its_prefix_only() -> None:
    objects, listing = json.loads(access_needed(S3Store(address=S3Address(bucket="acme", prefix="a/b"))))["Statement"]
    assert objects["Resource"] == ["arn:aws:s3:::acme/a/b/*"]
    assert listing["Resource"] == ["arn:aws:s3:::acme"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["a/b/*"]}}


def test_the_policy_of_a_whole_bucket_has_no_condition() -> None:
    objects, listing = json.loads(access_needed(S3Store(address=S3Address(bucket="acme"))))["Statement"]
    assert objects["Resource"] == ["arn:aws:s3:::acme/*"]
    assert "Condition" not in listing


@pytest.mark.parametrize(
    ("key", "resource", "condition"),
    [
        ("1234", "arn:aws:kms:*:*:key/1234", None),
        ("arn:aws:kms:eu-west-1:1:key/12", "arn:aws:kms:eu-west-1:1:key/12", None),
        ("alias/models", "arn:aws:kms:*:*:key/*", "alias/models"),
        ("arn:aws:kms:eu-west-1:1:alias/models", "arn:aws:kms:eu-west-1:1:key/*", "alias/models"),
    ],
)
def test_the_policy_opens_the_key_of_kms(key: str, resource: str, condition: str | None) -> None:
    address = S3Address(bucket="acme", prefix="a", encryption=Encryption.KMS, kms_key=key)
    *_, statement = json.loads(access_needed(S3Store(address=address)))["Statement"]
    assert statement["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"] and statement["Resource"] == [resource]
    named = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [condition]}}
    assert statement.get("Condition") == (named if condition else None)


def test_other_stores_say_which_role_or_account() -> None:
    azure = AzureStore(address=AzureAddress(account="acme", container="models"))
    assert "container models of the storage account acme" in access_needed(azure)
    assert "bucket acme" in access_needed(GoogleStore(address=GoogleAddress(bucket="acme")))
    assert "/mnt/models" in access_needed(DirectoryStore(address=DirectoryAddress(path="/mnt/models")))


@pytest.mark.parametrize(
    ("store", "held"),
    [
        (
            EnvironmentStore(kind="s3", uri="s3://a/", credentials="the access key AKIA"),
            "the key that the administrator gives: the access key AKIA; its registry .* of its own",
        ),
        (
            EnvironmentStore(kind="directory", uri="file:///a/"),
            "the service's account.*granting and revoking do not count there",
        ),
    ],
)
def test_who_has_access_is_said_plainly(store: EnvironmentStore, held: str) -> None:
    said = access_held(store)
    assert re.search(held, said)
    assert "people and projects have none" in said


def test_access_by_the_environments_credentials_is_not_said_to_be_missing() -> None:
    """Archives in a directory are reached by the service's account: `grant-storage` changes nothing there."""
    found = ModelRegistry.model_construct(
        name="lab",
        storage_access=StorageAccess.NOT_GRANTED,
        storage_access_tried_at=None,
        storage_access_problem=None,
        store_key=StoreKey(),
    )
    assert access_word(found) == "as its environment's store"
    said = "as its environment's store; run artifacts in the embedded store: not granted: grant it"
    assert registry_access_said(found, "grant it") == said
    embedded = found.model_copy(update={"store_key": None})
    assert access_word(embedded) == "not granted"
    assert registry_access_said(embedded, "grant it") == "not granted: grant it"
