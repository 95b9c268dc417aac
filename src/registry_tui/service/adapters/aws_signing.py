"""Requests that are signed with an AWS identity (SigV4), as MLflow's clients do with `MLFLOW_TRACKING_AWS_SIGV4`."""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import parse_qsl, quote

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from registry_tui.service.adapters.aws_identity import AwsIdentity
from registry_tui.service.errors import WrongState

_SIGNED = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")


class AwsSignature(httpx.Auth):
    """Signs every request; credentials of roles and of single sign-on are renewed by botocore."""

    requires_request_body = True

    def __init__(self, identity: AwsIdentity) -> None:
        self._identity = identity
        try:
            found = Session(profile=identity.profile).get_credentials()
        except BotoCoreError as error:
            raise _unusable(identity) from error
        if found is None:
            raise _unusable(identity)
        self._credentials = found

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with its signature."""
        request.url = _plainly_encoded(request.url)
        signed = AWSRequest(
            method=request.method,
            url=str(request.url),
            data=request.content,
            # Others may be changed on the way.
            headers={"Host": request.url.netloc.decode("ascii")},
        )
        try:
            frozen = self._credentials.get_frozen_credentials()
        except BotoCoreError as error:
            raise _unusable(self._identity) from error
        SigV4Auth(frozen, self._identity.service, self._identity.region).add_auth(signed)
        for name in _SIGNED:
            if name in signed.headers:
                request.headers[name] = signed.headers[name]
        yield request


def _plainly_encoded(url: httpx.URL) -> httpx.URL:
    """The address with its query encoded in the one way that AWS signs: a space as `%20`, a slash as `%2F`."""
    if not url.query:
        return url
    pairs = parse_qsl(url.query.decode("ascii"), keep_blank_values=True)
    query = "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in pairs)
    return url.copy_with(query=query.encode("ascii"))


def _unusable(identity: AwsIdentity) -> WrongState:
    return WrongState(
        f"The AWS profile {identity.profile!r} has no usable credentials for the account that runs the service",
        action="`aws sts get-caller-identity --profile NAME` in that account says why",
    )
