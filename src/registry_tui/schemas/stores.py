"""Object stores: addresses, ways to sign in, and problems."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from registry_tui.schemas.base import RequestSchema, Schema

#: An address without credentials in it, or none.
_ENDPOINT = r"^(https?://[^\s/@]+(/\S*)?)?$"
_MAX_PREFIX = 500


class Addressing(StrEnum):
    """Where S3 requests name the bucket: in the path, or in the host's name (virtual)."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


class Encryption(StrEnum):
    """How S3 encrypts objects: by the bucket's default, with S3's own keys, or with a KMS key."""

    BUCKET = "bucket"
    S3 = "s3"
    KMS = "kms"


class SignsIn(StrEnum):
    """The ways to sign in at a store; `nowhere` for a directory."""

    NOWHERE = "nowhere"
    MACHINE = "machine"
    PROFILE = "profile"
    KEY = "key"
    SAS = "sas"
    PRINCIPAL = "principal"


class S3Address(RequestSchema):
    """A bucket of AWS or of any S3-compatible store, perhaps limited to a prefix."""

    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = Field(default="", max_length=_MAX_PREFIX)
    #: Empty: AWS's own, of the region.
    endpoint: str = Field(default="", pattern=_ENDPOINT)
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$")
    addressing: Addressing = Addressing.AUTO
    #: A PEM file on the service's machine with the certificate authorities to trust; empty: the usual ones.
    ca_bundle: str = ""
    encryption: Encryption = Encryption.BUCKET
    #: The ID or ARN of the KMS key; empty: the account's own for S3.
    kms_key: str = ""

    @model_validator(mode="after")
    def _key_has_its_encryption(self) -> Self:
        if self.kms_key and self.encryption is not Encryption.KMS:
            raise ValueError("a KMS key needs the encryption kms")
        return self


class S3Credentials(RequestSchema):
    """How to sign in at S3: a profile of the service's account, a key, or with neither the machine's instance role."""

    profile: str = ""
    access_key_id: str = ""
    secret_access_key: str = Field(default="", repr=False)
    session_token: str = Field(default="", repr=False)

    @model_validator(mode="after")
    def _are_of_one_kind(self) -> Self:
        if self.profile and (self.access_key_id or self.secret_access_key):
            raise ValueError("give a profile or an access key, not both")
        if bool(self.access_key_id) is not bool(self.secret_access_key):
            raise ValueError("an access key is an ID and a secret: give both")
        return self


class AzureAddress(RequestSchema):
    """A container of a storage account, perhaps limited to a prefix; ADLS Gen2 by its blob endpoint."""

    account: str = Field(min_length=3, max_length=24)
    container: str = Field(min_length=3, max_length=63)
    prefix: str = Field(default="", max_length=_MAX_PREFIX)
    #: Empty: the account's public one.
    endpoint: str = Field(default="", pattern=_ENDPOINT)
    ca_bundle: str = ""


class AzureCredentials(RequestSchema):
    """How to sign in at Azure: an account key, a SAS, a service principal, or, with none, a managed identity."""

    account_key: str = Field(default="", repr=False)
    sas: str = Field(default="", repr=False)
    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = Field(default="", repr=False)

    @model_validator(mode="after")
    def _are_of_one_kind(self) -> Self:
        if sum(map(bool, (self.account_key, self.sas, self.tenant_id))) > 1:
            raise ValueError("give an account key, a SAS or a service principal, not several")
        if bool(self.tenant_id) is not bool(self.client_secret) or (self.tenant_id and not self.client_id):
            raise ValueError("a service principal is a tenant, a client ID and a client secret: give all three")
        return self


class GoogleAddress(RequestSchema):
    """A bucket of Google Cloud Storage, perhaps limited to a prefix."""

    bucket: str = Field(min_length=3, max_length=222)
    prefix: str = Field(default="", max_length=_MAX_PREFIX)
    #: Empty: Google's own.
    endpoint: str = Field(default="", pattern=_ENDPOINT)
    ca_bundle: str = ""


class GoogleCredentials(RequestSchema):
    """How to sign in at Google: the key of a service account as its JSON, or with none the machine's own account."""

    service_account: str = Field(default="", repr=False, max_length=16_384)


class DirectoryAddress(RequestSchema):
    """A directory of the service's machine, which may be a mounted NFS."""

    path: str = Field(pattern=r"^/")


class S3Store(RequestSchema):
    """A place in an S3 store, and how to sign in there."""

    kind: Literal["s3"] = "s3"
    address: S3Address
    credentials: S3Credentials = S3Credentials()


class AzureStore(RequestSchema):
    """A place in Azure Blob storage, and how to sign in there."""

    kind: Literal["azure"] = "azure"
    address: AzureAddress
    credentials: AzureCredentials = AzureCredentials()


class GoogleStore(RequestSchema):
    """A place in Google Cloud Storage, and how to sign in there."""

    kind: Literal["google"] = "google"
    address: GoogleAddress
    credentials: GoogleCredentials = GoogleCredentials()


class DirectoryStore(RequestSchema):
    """A directory, which needs no credentials."""

    kind: Literal["directory"] = "directory"
    address: DirectoryAddress


Store = S3Store | AzureStore | GoogleStore | DirectoryStore


def uri_of(store: Store) -> str:
    """Where a store is, without how it is reached; ends with `/`."""
    if isinstance(store, DirectoryStore):
        return f"file://{store.address.path.rstrip('/')}/"
    prefix = store.address.prefix.strip("/")
    below = f"{prefix}/" if prefix else ""
    if isinstance(store, AzureStore):
        return f"az://{store.address.account}/{store.address.container}/{below}"
    return f"{'s3' if isinstance(store, S3Store) else 'gs'}://{store.address.bucket}/{below}"


def endpoint_of(store: Store) -> str:
    """The address to connect to; empty for the cloud's own, and for a directory."""
    return "" if isinstance(store, DirectoryStore) else store.address.endpoint


def credentials_of(store: Store) -> str:
    """How the service signs in there, in words, without anything secret."""
    if isinstance(store, DirectoryStore):
        return "none: the service's account reads and writes the directory"
    if isinstance(store, S3Store):
        known = store.credentials
        if known.profile:
            return f"the profile {known.profile} of the service's account"
        return f"the access key {known.access_key_id}" if known.access_key_id else "this machine's role"
    if isinstance(store, AzureStore):
        azure = store.credentials
        if azure.tenant_id:
            return f"the service principal {azure.client_id}"
        kind = "the account key" if azure.account_key else "a SAS" if azure.sas else ""
        return kind or "this machine's managed identity"
    return "a service account's key" if store.credentials.service_account else "this machine's account"


def signs_in(store: Store) -> SignsIn:
    """Which of the ways to sign in a store uses."""
    if isinstance(store, DirectoryStore):
        return SignsIn.NOWHERE
    if isinstance(store, GoogleStore):
        return SignsIn.KEY if store.credentials.service_account else SignsIn.MACHINE
    if isinstance(store, S3Store):
        if store.credentials.profile:
            return SignsIn.PROFILE
        return SignsIn.KEY if store.credentials.access_key_id else SignsIn.MACHINE
    if store.credentials.tenant_id:
        return SignsIn.PRINCIPAL
    if store.credentials.account_key:
        return SignsIn.KEY
    return SignsIn.SAS if store.credentials.sas else SignsIn.MACHINE


class StoreProblem(Schema):
    """One problem with a store, and its remedy."""

    text: str
    action: str = ""
    #: Whether nothing can be stored before it is fixed; the others are warnings.
    fatal: bool = True


class StoreSettings(Schema):
    """The settings of a store besides its address and its secret: the options of the command line."""

    endpoint: str = ""
    region: str = "us-east-1"
    addressing: Addressing = Addressing.AUTO
    profile: str = ""
    access_key_id: str = ""
    tenant_id: str = ""
    client_id: str = ""
    #: Azure: whether the secret is a SAS.
    sas: bool = False
    ca_bundle: str = ""
    encryption: Encryption = Encryption.BUCKET
    kms_key: str = ""


class EnvironmentStore(Schema):
    """The store that an environment brought along: archives of its registry lie there, and artifacts of projects."""

    kind: str
    uri: str
    endpoint: str = ""
    #: How the service signs in, in words.
    credentials: str = ""
    #: The way to sign in; None from a service that does not report it.
    signs_in: SignsIn | None = None
    #: Results of the last probe: warnings, and why it could not be used then.
    notes: list[StoreProblem] = []
    #: Whether artifacts of new projects are stored there; existing projects keep their place.
    artifacts: bool = False
    #: When it was last tried; None: not since the service started.
    checked_at: datetime | None = None
    #: How it is reached, without anything secret.
    settings: StoreSettings = StoreSettings()

    @property
    def usable(self) -> bool:
        """Whether it could be used when it was tried last."""
        return not any(each.fatal for each in self.notes)


class StoreCheck(RequestSchema):
    """A store that may not be in use yet."""

    store: Store = Field(discriminator="kind")


class StoreReport(Schema):
    """The result of trying each verb on a store."""

    uri: str
    problems: list[StoreProblem] = []

    @property
    def usable(self) -> bool:
        return not any(each.fatal for each in self.problems)


class StoreChange(RequestSchema):
    """The same store, reached in another way: other credentials, another endpoint or region."""

    store: Store = Field(discriminator="kind")
    #: Whether the artifacts of projects that are made from now on lie there; as before when it is not given.
    artifacts: bool | None = None
