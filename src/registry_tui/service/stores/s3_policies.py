"""Statements of our own in a bucket's policy; those of others stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from registry_tui.service.errors import NotPermitted, PartUnavailable, ServiceError, WrongState

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def set_statements(
    client: S3Client, bucket: str, sid: str, principal: str, statements: Sequence[Mapping[str, Any]]
) -> None:
    """Has a bucket's policy hold these statements for a principal, and no others whose `Sid` begins with `sid`.

    Raises NotPermitted, WrongState where the store refuses the policy or has none, PartUnavailable.
    """
    try:
        document = _policy(client, bucket)
        there = document.get("Statement", [])
        before = [there] if isinstance(there, dict) else list(there)
        kept = [each for each in before if not str(each.get("Sid", "")).startswith(sid)]
        new = [
            {"Sid": f"{sid}{number}", "Principal": {"AWS": [principal]}, **each}
            for number, each in enumerate(statements, 1)
        ]
        if not new and len(kept) == len(before):
            return
        if kept or new:
            body = json.dumps({"Version": "2012-10-17", **document, "Statement": [*kept, *new]})
            client.put_bucket_policy(Bucket=bucket, Policy=body)
        else:
            client.delete_bucket_policy(Bucket=bucket)
    except ClientError as error:
        raise _refused(error, bucket) from error
    except (BotoCoreError, OSError) as error:
        raise PartUnavailable(
            f"The store at {client.meta.endpoint_url} does not answer", action="Try again later"
        ) from error


def _policy(client: S3Client, bucket: str) -> dict[str, Any]:
    try:
        found = json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"])
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") == "NoSuchBucketPolicy":
            return {}
        raise
    except ValueError as error:
        raise WrongState(f"The policy of bucket {bucket} cannot be read: it is not valid JSON") from error
    return found if isinstance(found, dict) else {}


def _refused(error: ClientError, bucket: str) -> ServiceError:
    answer = error.response.get("Error", {})
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reason = f"{error.operation_name}: {answer.get('Code', '')} {answer.get('Message', '')}".strip()
    if status in (401, 403):
        return NotPermitted(
            f"The store does not let the environment's credentials change the policy of bucket {bucket} ({reason})",
            action="Allow them s3:GetBucketPolicy, s3:PutBucketPolicy and s3:DeleteBucketPolicy, "
            "or write the statement yourself and give the key without a principal",
        )
    if status >= 500:
        return PartUnavailable(f"The store cannot do that now ({reason})", action="Try again later")
    return WrongState(
        f"The store refuses the policy of bucket {bucket} ({reason})",
        action="Look at the principal's ARN; or give a key that reaches the folder without a policy of the bucket",
    )
