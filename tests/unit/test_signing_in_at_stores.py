"""Which way a store signs in, as the form that changes it finds it."""

from __future__ import annotations

from typing import get_args

import pytest

from registry_tui.schemas.stores import (
    AzureAddress,
    AzureCredentials,
    AzureStore,
    DirectoryAddress,
    DirectoryStore,
    EnvironmentStore,
    GoogleAddress,
    GoogleCredentials,
    GoogleStore,
    S3Address,
    S3Credentials,
    S3Store,
    Store,
    StoreSettings,
)
from registry_tui.screens.base.store_fields import StoreFields
from registry_tui.service.core import own_stores

_S3, _AZURE = S3Address(bucket="acme"), AzureAddress(account="acme", container="models")
_GOOGLE = GoogleAddress(bucket="acme")
_PRINCIPAL = AzureCredentials(tenant_id="t", client_id="c", client_secret="s")
WAYS: list[tuple[Store, str, str]] = [
    (S3Store(address=_S3), "s3", "machine"),
    (S3Store(address=_S3, credentials=S3Credentials(profile="p")), "s3", "profile"),
    (S3Store(address=_S3, credentials=S3Credentials(access_key_id="A", secret_access_key="s")), "s3", "key"),
    (AzureStore(address=_AZURE, credentials=AzureCredentials(client_id="c")), "az", "machine"),
    (AzureStore(address=_AZURE, credentials=AzureCredentials(account_key="s")), "az", "key"),
    (AzureStore(address=_AZURE, credentials=AzureCredentials(sas="s")), "az", "sas"),
    (AzureStore(address=_AZURE, credentials=_PRINCIPAL), "az", "principal"),
    (GoogleStore(address=_GOOGLE), "gs", "machine"),
    (GoogleStore(address=_GOOGLE, credentials=GoogleCredentials(service_account="{}")), "gs", "key"),
    (DirectoryStore(address=DirectoryAddress(path="/mnt/models")), "file", "nowhere"),
]


@pytest.mark.parametrize(("store", "kind", "way"), WAYS)
def test_the_form_finds_the_way_that_is_in_use(store: Store, kind: str, way: str) -> None:
    shown = own_stores.shown(own_stores.new_row("e", store, []))
    assert shown is not None and shown.signs_in == way
    # It does not depend on the words for people.
    fields = StoreFields(shown.model_copy(update={"credentials": "in other words"}))
    for each in ("s3", "az", "gs"):
        assert fields._way_of(each) == (way if each == kind else None)


def test_every_kind_of_store_has_a_way() -> None:
    assert {type(store) for store, _, _ in WAYS} == set(get_args(Store))


def test_a_service_that_does_not_say_the_way_is_understood() -> None:
    known = EnvironmentStore(kind="s3", uri="s3://a/", settings=StoreSettings(access_key_id="A"))
    assert StoreFields(known)._way_of("s3") is None
