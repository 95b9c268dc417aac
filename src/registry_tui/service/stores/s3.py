"""Any S3 store: a client for its address that ignores the service's environment variables."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal

import boto3.session
import botocore.session
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from botocore.credentials import (
    ContainerProvider,
    CredentialResolver,
    InstanceMetadataFetcher,
    InstanceMetadataProvider,
)
from botocore.exceptions import BotoCoreError, ProfileNotFound

from registry_tui.platform.s3 import LiveKey
from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.stores import Addressing, Encryption, S3Address, S3Credentials
from registry_tui.service.errors import InvalidInput
from registry_tui.service.stores.s3_bucket import S3Bucket
from registry_tui.service.stores.s3_users import S3Users

_CONNECT_SECONDS, _READ_SECONDS = 5, 60
#: Timeout in seconds of the address at which clouds give machines their role: elsewhere nothing responds there.
_ROLE_SECONDS = 2


def open_s3(address: S3Address, credentials: S3Credentials, newest: Callable[[], AccessKey] | None = None) -> S3Bucket:
    """A bucket, not contacted yet. Raises InvalidInput for a profile, file or endpoint that cannot be used.

    `newest` returns the key for each request, so that a key may be replaced meanwhile.
    """
    prefix = address.prefix.strip("/")
    client = _client("s3", address, credentials, newest)
    return S3Bucket(client, address.bucket, f"{prefix}/" if prefix else "", _put_options(address))


def open_users(address: S3Address, credentials: S3Credentials) -> S3Users:
    """The users of a store, not contacted yet. Raises InvalidInput as `open_s3` does."""
    client = _client("iam", address, credentials, None)
    return S3Users(client, str(client.meta.endpoint_url))


def _client(
    service: Literal["s3", "iam"],
    address: S3Address,
    credentials: S3Credentials,
    newest: Callable[[], AccessKey] | None,
) -> Any:
    if address.ca_bundle and not os.access(address.ca_bundle, os.R_OK):
        raise InvalidInput(
            f"The CA bundle {address.ca_bundle} cannot be read by the service",
            action="Name a PEM file on the service's machine that its account may read",
        )
    try:
        return boto3.session.Session(botocore_session=_session(credentials, newest)).client(
            service,
            endpoint_url=address.endpoint or None,
            region_name=address.region,
            verify=address.ca_bundle or None,
            config=Config(
                connect_timeout=_CONNECT_SECONDS,
                read_timeout=_READ_SECONDS,
                retries={"max_attempts": 3, "mode": "standard"},
                max_pool_connections=32,
                signature_version="s3v4" if service == "s3" else None,
                s3={"addressing_style": _addressing(address)},
                # Stores other than AWS do not all take the newer checksums as trailers.
                request_checksum_calculation="when_supported" if not address.endpoint else "when_required",
                response_checksum_validation="when_supported" if not address.endpoint else "when_required",
            ),
        )
    except ProfileNotFound as error:
        raise InvalidInput(
            f"There is no profile {credentials.profile!r} in the AWS configuration of the service's account",
            action=f"Make it there (aws configure --profile {credentials.profile}), or name another",
        ) from error
    except (BotoCoreError, ValueError) as error:
        raise InvalidInput(f"The store's address is not valid: {error}", action="Mend endpoint and region") from error


def _session(credentials: S3Credentials, newest: Callable[[], AccessKey] | None) -> botocore.session.Session:
    """A session with these credentials alone; a profile may itself name a role, SSO or a process."""
    # Without the names of their environment variables, settings come from a profile or are the defaults.
    plain = {
        name: (config if credentials.profile else None, None, default, convert)
        for name, (config, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    if credentials.profile:
        # A profile that is set in this way takes precedence over keys in environment variables.
        return botocore.session.Session(session_vars=plain, profile=credentials.profile)
    for file in ("config_file", "credentials_file"):
        plain[file] = (None, None, os.devnull, None)
    session = botocore.session.Session(session_vars=plain)
    if newest is not None:
        session.register_component("credential_provider", LiveKey(newest))
        return session
    if credentials.access_key_id:
        session.set_credentials(
            credentials.access_key_id,
            credentials.secret_access_key,
            credentials.session_token or None,
        )
        return session
    role = InstanceMetadataProvider(InstanceMetadataFetcher(timeout=_ROLE_SECONDS, num_attempts=1, env={}))
    session.register_component("credential_provider", CredentialResolver([ContainerProvider(), role]))
    return session


def _addressing(address: S3Address) -> Literal["auto", "path", "virtual"]:
    # By itself boto3 names the bucket in the host also at endpoints that have a certificate and a name for one host.
    if address.addressing is Addressing.AUTO:
        return "path" if address.endpoint else "auto"
    return "path" if address.addressing is Addressing.PATH else "virtual"


def _put_options(address: S3Address) -> dict[str, Any]:
    if address.encryption is Encryption.S3:
        return {"ServerSideEncryption": "AES256"}
    if address.encryption is Encryption.KMS:
        key = {"SSEKMSKeyId": address.kms_key} if address.kms_key else {}
        return {"ServerSideEncryption": "aws:kms", **key}
    return {}
