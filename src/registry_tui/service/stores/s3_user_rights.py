"""Tests the rights of an environment's credentials on users of AWS IAM: creates a user and deletes it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from secrets import token_hex
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from registry_tui.schemas.stores import StoreProblem
from registry_tui.service.stores.s3_users import CALLS, PATH, TAG, S3Users, code_of, is_refused

_POLICY = "registry-tui-probe"
_MAKE = "iam:CreateUser"
#: The user that is made may do nothing.
_NOTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
#: The ID of a key that nobody has: deleting it shows whether that is permitted.
_NO_KEY = "AKIAIOSFODNN7EXAMPLE"


def try_rights(users: S3Users) -> list[StoreProblem]:
    """Which of `CALLS` are missing for users of registries; nothing where the store has no IAM. None is fatal.

    AWS checks a user's path for each right, so only an existing user shows the rights.
    """
    name = f"registry-tui-probe-{token_hex(4)}"
    try:
        missing = _missing(users, name)
    except (ClientError, BotoCoreError, ResponseParserError, ValueError, OSError):
        # No IAM, or an incompatible one: granting reports that, and a key can be given instead.
        return []
    found = []
    if missing:
        named = [each for each in CALLS if each in missing]
        text = f"Registries get no users of their own: {', '.join(named)} {'is' if len(named) == 1 else 'are'} missing"
        action = f"Allow these credentials {', '.join(CALLS)} on users below {PATH}, or give each registry a key"
        found.append(StoreProblem(text=text, action=action, fatal=False))
    if missing != {_MAKE} and not _is_gone(users, name):
        text = f"The user {name}, who may do nothing, was made in IAM to try that, and could not be deleted"
        found.append(StoreProblem(text=text, action=f"Delete the user {name}", fatal=False))
    return found


def _missing(users: S3Users, name: str) -> set[str]:
    client = users.client
    tags: Any = [{"Key": TAG, "Value": "probe"}]
    missing: set[str] = set()
    try:
        client.create_user(UserName=name, Path=PATH, Tags=tags)
    except ClientError as error:
        if not is_refused(error):
            raise
        if not _may(lambda: client.create_user(UserName=name, Path=PATH)):
            return {_MAKE}
        missing.add("iam:TagUser")
    return missing | {right for right, call in _others(users, name) if not _may(call)}


def _others(users: S3Users, name: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each right other than that of creating the user, with a call that needs it; the last one deletes the user."""
    client = users.client
    keys = [_NO_KEY]

    def make_key() -> None:
        keys[0] = client.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]

    yield "iam:GetUser", partial(client.get_user, UserName=name)
    policy = {"UserName": name, "PolicyName": _POLICY}
    yield "iam:PutUserPolicy", partial(client.put_user_policy, **policy, PolicyDocument=_NOTHING)
    yield "iam:CreateAccessKey", make_key
    yield "iam:ListAccessKeys", partial(client.list_access_keys, UserName=name)
    yield "iam:DeleteAccessKey", lambda: client.delete_access_key(UserName=name, AccessKeyId=keys[0])
    yield "iam:DeleteUserPolicy", partial(client.delete_user_policy, **policy)
    yield "iam:DeleteUser", partial(client.delete_user, UserName=name)


def _may(call: Callable[[], Any]) -> bool:
    """Whether a call is permitted; another reason to refuse it comes behind that."""
    try:
        call()
    except ClientError as error:
        return not is_refused(error)
    return True


def _is_gone(users: S3Users, name: str) -> bool:
    """Whether the user is deleted, for which it is asked once more: the first time something of it may have stayed."""
    try:
        users.client.delete_user(UserName=name)
    except ClientError as error:
        return code_of(error) == "NoSuchEntity"
    return True
