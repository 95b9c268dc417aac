"""How access to an environment's own store is held, and the least that its credentials have to be allowed."""

from __future__ import annotations

import json
from typing import Any

from registry_tui.schemas.registries import StoreKey, StoreKeyWay
from registry_tui.schemas.stores import AzureStore, EnvironmentStore, GoogleStore, S3Store, SignsIn, Store, uri_of

#: The service's actions on objects there, and on unfinished parts of uploads.
ON_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
#: Listing objects and unfinished uploads; SeaweedFS has no separate action for the latter.
ON_BUCKET = ("s3:List*",)


def access_held(store: EnvironmentStore) -> str:
    """The access to a store that an environment brought along, in words."""
    if store.kind == "directory":
        return _without_key("by the service's account, which reads and writes the directory")
    own = "its registry reaches its own folder with a key of its own where it has one (`registry-tui registries show`)"
    return f"by the key that the administrator gives: {store.credentials}; {own}; {_OTHERS}"


def registry_access(store: EnvironmentStore, key: StoreKey) -> str:
    """How a registry reaches the store that its environment brought along, in words."""
    if key.way is StoreKeyWay.USER:
        if not key.granted:
            return f"none: the registry's user of the store was deleted; granting makes it again; {_OTHERS}"
        held = f"by {key.held} of the user {key.user}, which reaches the registry's folder alone"
        return f"{held}; granting makes the user, revoking deletes it; {_OTHERS}"
    if key.way is StoreKeyWay.SAS:
        if not key.granted:
            return f"none: no SAS is made for the registry before the access is granted; {_OTHERS}"
        held = f"by {key.held}, which reaches nothing else of the storage account"
        return f"{held}; granting has the service make it, revoking ends that; {_OTHERS}"
    if key.way is StoreKeyWay.GIVEN:
        let_in = f", whom the bucket's policy lets in as {key.user}" if key.user else ""
        held = f"the registry's own key, which the administrator gave: {key.held}{let_in}"
        noted = f" ({key.note})" if key.note else ""
        if not key.granted:
            return f"none: {held}{noted} is not used before the access is granted; {_OTHERS}"
        return f"by {held}{noted}; once revoked, it is not used; {_OTHERS}"
    if store.kind == "directory":
        return access_held(store)
    held = f"by one key for the environment's one registry, which the administrator gives: {store.credentials}"
    why = ". ".join(each for each in (key.note, key.action) if each)
    if store.kind == "s3" and not why:
        return f"{held}; {_OTHERS}; granting makes a user of its own for it, where the store can"
    if store.kind == "azure" and store.signs_in is SignsIn.KEY and not why:
        return f"{held}; {_OTHERS}; granting makes a SAS of the container for it"
    return _without_key(f"{held} ({why})" if why else held)


#: People and projects without access to any such store.
_OTHERS = "people and projects have none and ask the service"


def _without_key(held: str) -> str:
    return f"{held}; {_OTHERS}; granting and revoking do not count there"


def kms_statements(key: str) -> list[dict[str, Any]]:
    """The statements for encrypting and decrypting with a KMS key, by its ID, ARN or alias; empty without a key."""
    if not key:
        return []
    statement: dict[str, Any] = {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"]}
    before, _, alias = key.rpartition("alias/")
    if alias != key and (not before or before.startswith("arn:")):
        # A policy names keys, not their aliases.
        keys = f"{before}key/*" if before else "arn:aws:kms:*:*:key/*"
        named = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": [f"alias/{alias}"]}}
        return [{**statement, "Resource": [keys], "Condition": named}]
    return [{**statement, "Resource": [key if key.startswith("arn:") else f"arn:aws:kms:*:*:key/{key}"]}]


def s3_policy(uri: str, kms_key: str = "") -> dict[str, Any]:
    """The IAM policy that opens a place in S3, `s3://BUCKET/PREFIX/`, with the KMS key there, and nothing else."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    here = f"arn:aws:s3:::{bucket}"
    listing: dict[str, Any] = {"Effect": "Allow", "Action": list(ON_BUCKET), "Resource": [here]}
    if prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}*"]}}
    objects = {"Effect": "Allow", "Action": list(ON_OBJECTS), "Resource": [f"{here}/{prefix}*"]}
    return {"Version": "2012-10-17", "Statement": [objects, listing, *kms_statements(kms_key)]}


def access_needed(store: Store) -> str:
    """The least permissions that its credentials need: an IAM policy, or a role in words."""
    if isinstance(store, S3Store):
        return json.dumps(s3_policy(uri_of(store), store.address.kms_key), indent=2)
    if isinstance(store, AzureStore):
        return (
            f"The role Storage Blob Data Contributor on the container {store.address.container} of the storage account "
            f"{store.address.account}, for a service principal or a managed identity; an account key opens the whole "
            "account"
        )
    if isinstance(store, GoogleStore):
        return f"The role Storage Object User (roles/storage.objectUser) on the bucket {store.address.bucket}"
    return f"The service's account reads and writes {store.address.path}, and nobody else: chmod 700"
