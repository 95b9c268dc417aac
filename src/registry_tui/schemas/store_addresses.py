"""Addresses of stores as people write them: `s3://…`, `az://…`, `gs://…` or a directory."""

from __future__ import annotations

from urllib.parse import urlsplit

from registry_tui.schemas.stores import (
    AzureAddress,
    AzureCredentials,
    AzureStore,
    DirectoryAddress,
    DirectoryStore,
    GoogleAddress,
    GoogleCredentials,
    GoogleStore,
    S3Address,
    S3Credentials,
    S3Store,
    Store,
    StoreSettings,
)

FORMS = "s3://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX, gs://BUCKET/PREFIX or /A/DIRECTORY"


class NotAnAddress(Exception):
    """A text is not the address of a store; the message has an example."""


def scheme_of(address: str) -> str:
    """The kind of store that an address begins to name: s3, az, gs, file, or empty for none."""
    if address.startswith("/"):
        return "file"
    scheme = address.partition("://")[0] if "://" in address else ""
    return scheme if scheme in ("s3", "az", "gs", "file") else ""


def store_at(address: str, settings: StoreSettings, secret: str = "") -> Store:
    """The store for an address, settings and a secret; settings of other kinds of stores are ignored.

    Raises NotAnAddress, ValidationError.
    """
    scheme, bucket, prefix = _parts(address)
    bundle, endpoint = settings.ca_bundle, settings.endpoint
    if scheme == "s3":
        return S3Store(
            address=S3Address(
                bucket=bucket,
                prefix=prefix,
                endpoint=endpoint,
                region=settings.region,
                addressing=settings.addressing,
                ca_bundle=bundle,
                encryption=settings.encryption,
                kms_key=settings.kms_key,
            ),
            credentials=S3Credentials(
                profile=settings.profile, access_key_id=settings.access_key_id, secret_access_key=secret
            ),
        )
    if scheme == "az":
        container, _, below = prefix.partition("/")
        kind = "sas" if settings.sas else "client_secret" if settings.tenant_id else "account_key"
        known = AzureCredentials.model_validate(
            {"tenant_id": settings.tenant_id, "client_id": settings.client_id, kind: secret}
        )
        return AzureStore(
            address=AzureAddress(
                account=bucket, container=container, prefix=below, endpoint=endpoint, ca_bundle=bundle
            ),
            credentials=known,
        )
    if scheme == "gs":
        return GoogleStore(
            address=GoogleAddress(bucket=bucket, prefix=prefix, endpoint=endpoint, ca_bundle=bundle),
            credentials=GoogleCredentials(service_account=secret),
        )
    return DirectoryStore(address=DirectoryAddress(path=prefix))


def settings_of(store: Store) -> StoreSettings:
    """The settings for `store_at`, besides the address and the secret."""
    if isinstance(store, DirectoryStore):
        return StoreSettings()
    known = store.address.model_dump() | store.credentials.model_dump()
    fields = {name: value for name, value in known.items() if name in StoreSettings.model_fields}
    return StoreSettings.model_validate({**fields, "sas": bool(known.get("sas"))})


def secret_of(store: Store) -> str:
    """The secret for `store_at`."""
    if isinstance(store, S3Store):
        return store.credentials.secret_access_key
    if isinstance(store, AzureStore):
        azure = store.credentials
        return azure.account_key or azure.sas or azure.client_secret
    return store.credentials.service_account if isinstance(store, GoogleStore) else ""


def _parts(address: str) -> tuple[str, str, str]:
    """Scheme, host and path of a store's address; the path of a directory is whole."""
    if address.startswith("/"):
        return "file", "", address
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if scheme_of(address) != parts.scheme or not parts.scheme or parts.query or parts.fragment:
        raise NotAnAddress(f"{address!r} is not {FORMS}")
    return parts.scheme, parts.netloc, parts.path if parts.scheme == "file" else parts.path.strip("/")
