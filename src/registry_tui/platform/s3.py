"""Clients of the embedded object store that take nothing from the caller's AWS profile, variables or proxies."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import Any

from registry_tui.platform.secrets import AccessKey

REGION = "us-east-1"


def s3_client(
    service: str,
    endpoint: str,
    key: AccessKey | Callable[[], AccessKey],
    *,
    connect_timeout: float = 3,
    read_timeout: float = 60,
    attempts: int = 2,
    connections: int = 32,
) -> Any:
    """A boto3 client of `service` (`s3`, `iam`). Timeouts are in seconds. Its errors are boto3's own.

    A function as `key` is called for each request, so that a key may be replaced while the client works.

    A profile in `AWS_PROFILE` that does not exist, or another endpoint, would otherwise reach every client of the
    process (botocore's documentation, Configuration Overview).
    """
    # boto3: the terminal program imports this package and has no use for it.
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

    nothing = {
        name: (None, None, default, convert)
        for name, (_, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    for file in ("config_file", "credentials_file"):
        nothing[file] = (None, None, os.devnull, None)
    plain = botocore.session.Session(session_vars=nothing)
    plain.register_component("data_loader", _descriptions())
    plain.register_component("credential_provider", LiveKey(key if callable(key) else lambda: key))
    session = boto3.session.Session(botocore_session=plain)
    return session.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name=REGION,
        config=Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"max_attempts": attempts, "mode": "standard"},
            max_pool_connections=connections,
            proxies={},
            s3={"addressing_style": "path"},
            # For presigned URLs too; their default is the older version.
            signature_version="s3v4" if service == "s3" else None,
            # SeaweedFS verifies uploads; the newer default adds trailers to every upload.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@cache
def _descriptions() -> Any:
    """botocore's descriptions of services, which a process reads once: parsing them for each client takes longer than
    all that most clients do."""
    # As in `s3_client`.
    from botocore.loaders import create_loader

    return create_loader()


class LiveKey:
    """A provider of credentials for a session of botocore's, with the current key for each request."""

    def __init__(self, key: Callable[[], AccessKey]) -> None:
        self._key = key

    def load_credentials(self) -> Any:
        """botocore's method: returns credentials that are refreshed with each request."""
        from botocore.credentials import Credentials, ReadOnlyCredentials

        current = self._key

        class Live(Credentials):  # type: ignore[misc, unused-ignore]
            def get_frozen_credentials(self) -> ReadOnlyCredentials:
                key = current()
                return ReadOnlyCredentials(key.access_key_id, key.secret_access_key, None)

        first = current()
        return Live(first.access_key_id, first.secret_access_key)
