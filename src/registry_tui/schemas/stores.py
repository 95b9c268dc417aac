"""Stores of objects: where they are, how to sign in there, and what is missing."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, SecretStr

from registry_tui.schemas.base import RequestSchema, Schema


class Addressing(StrEnum):
    """Where S3 requests name the bucket: in the path, or in the host's name (virtual)."""

    AUTO = "auto"
    PATH = "path"
    VIRTUAL = "virtual"


class Encryption(StrEnum):
    """How S3 encrypts what is stored: as the bucket says, with S3's own keys, or with a key of KMS."""

    BUCKET = "bucket"
    S3 = "s3"
    KMS = "kms"


class S3Address(RequestSchema):
    """A bucket of AWS or of any store that speaks S3, perhaps only what is below a prefix."""

    kind: Literal["s3"] = "s3"
    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = ""
    #: Empty: AWS's own, of the region.
    endpoint: str = ""
    region: str = "us-east-1"
    addressing: Addressing = Addressing.AUTO
    #: A PEM file on the service's machine with the authorities that are trusted there; empty: the usual ones.
    ca_bundle: str = ""
    encryption: Encryption = Encryption.BUCKET
    #: The ID or ARN of the KMS key; empty: the account's own for S3.
    kms_key: str = ""


class S3Credentials(RequestSchema):
    """How to sign in at S3: a profile of the service's account, a key, or with neither the machine's instance role."""

    profile: str = ""
    access_key_id: str = ""
    secret_access_key: SecretStr = SecretStr("")
    session_token: SecretStr = SecretStr("")


class AzureAddress(RequestSchema):
    """A container of a storage account, perhaps only what is below a prefix; ADLS Gen2 by its blob endpoint."""

    kind: Literal["azure"] = "azure"
    account: str = Field(min_length=3, max_length=24)
    container: str = Field(min_length=3, max_length=63)
    prefix: str = ""
    #: Empty: the account's public one.
    endpoint: str = ""
    ca_bundle: str = ""


class AzureCredentials(RequestSchema):
    """How to sign in at Azure: an account key, a SAS, a service principal, or, with none, a managed identity."""

    account_key: SecretStr = SecretStr("")
    sas: SecretStr = SecretStr("")
    tenant_id: str = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")


class DirectoryAddress(RequestSchema):
    """A directory of the service's machine, which may be a mounted NFS."""

    kind: Literal["directory"] = "directory"
    path: str = Field(pattern=r"^/")


class StoreProblem(Schema):
    """One thing that is wrong with a store, and what to do about it."""

    text: str
    action: str = ""
    #: Whether nothing can be stored before it is mended; the others are worth knowing.
    fatal: bool = True
