"""Whose AWS credentials sign requests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AwsIdentity:
    """A profile of the AWS files of the account that runs the service."""

    profile: str
    region: str
    #: The AWS service that requests are signed for; MLflow's own clients sign for Amazon API Gateway.
    service: str = "execute-api"
