"""Users of an S3 store: AWS's IAM, and stores that serve its API at their S3 endpoint.

Each user reaches one folder of one bucket. On AWS users have a path of their own and a tag; SeaweedFS 4.48 keeps
neither (tried), so there only the name shows the user's registry: it ends with 64 random bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.store_access import ON_BUCKET, ON_OBJECTS, kms_statements
from registry_tui.service.errors import AlreadyThere, InvalidInput, NotPermitted, PartUnavailable, WrongState

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

#: The IAM path of our users on AWS; users elsewhere are never touched.
PATH = "/registry-tui/"
TAG = "registry-tui-registry"
_POLICY = "registry-tui-archives"
#: The calls that an administrator allows the environment's credentials, so that registries get users of their own.
CALLS = (
    "iam:CreateUser",
    "iam:GetUser",
    "iam:TagUser",
    "iam:DeleteUser",
    "iam:PutUserPolicy",
    "iam:DeleteUserPolicy",
    "iam:CreateAccessKey",
    "iam:ListAccessKeys",
    "iam:DeleteAccessKey",
)
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_GONE = frozenset({"NoSuchEntity", "NoSuchEntityException"})


class NoUsers(WrongState):
    """The store makes no users; `action` is the alternative."""


def archives_statements(bucket: str, folder: str, mark: str, kms_key: str = "") -> list[dict[str, Any]]:
    """The policy statements that open a folder (ends with `/`) of a bucket, and one more object for reading, only."""
    here = f"arn:aws:s3:::{bucket}"
    return [
        {"Effect": "Allow", "Action": list(ON_OBJECTS), "Resource": [f"{here}/{folder}*"]},
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{here}/{mark}"]},
        {
            "Effect": "Allow",
            "Action": list(ON_BUCKET),
            "Resource": [here],
            "Condition": {"StringLike": {"s3:prefix": [f"{folder}*", mark]}},
        },
        *kms_statements(kms_key),
    ]


@dataclass(frozen=True)
class S3Users:
    """The users of a store. Every method may be repeated.

    Raises NotPermitted where the credentials may not, NoUsers where the store has none, PartUnavailable.
    """

    client: IAMClient
    where: str

    def create(self, name: str, registry_id: str) -> None:
        """Makes a user without rights; an existing one of this registry is kept. Raises AlreadyThere for another."""
        with self._translated("iam:CreateUser"):
            try:
                tags: Any = [{"Key": TAG, "Value": registry_id}]
                self.client.create_user(UserName=name, Path=PATH, Tags=tags)
            except ClientError as error:
                if code_of(error) != "EntityAlreadyExists":
                    raise
            else:
                return
        if not self._is_ours(name, registry_id):
            raise AlreadyThere(
                f"The store has a user {name} that is not of this registry",
                action="Revoke the access, and grant it again: the registry then gets a user of another name",
            )

    def put_policy(self, name: str, statements: list[dict[str, Any]]) -> None:
        """Sets a user's policy."""
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        with self._translated("iam:PutUserPolicy"):
            self.client.put_user_policy(UserName=name, PolicyName=_POLICY, PolicyDocument=document)

    def add_key(self, name: str, *, kept: str = "") -> AccessKey:
        """A new key of a user. Its others end, but the one with the ID `kept`: AWS gives a user two at most."""
        self.retire(name, kept)
        with self._translated("iam:CreateAccessKey"):
            made = self.client.create_access_key(UserName=name)["AccessKey"]
            return AccessKey(made["AccessKeyId"], made["SecretAccessKey"])

    def retire(self, name: str, kept: str = "") -> None:
        """Ends the keys of a user, but the one with the ID `kept`."""
        with self._translated("iam:ListAccessKeys"):
            found = self.client.list_access_keys(UserName=name)["AccessKeyMetadata"]
        for key in found:
            if key["AccessKeyId"] != kept:
                with self._translated("iam:DeleteAccessKey", _GONE):
                    self.client.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])

    def delete(self, name: str, registry_id: str) -> None:
        """Deletes a user of a registry with policy and keys, if it exists; another user of that name stays."""
        if not self._is_ours(name, registry_id):
            return
        with self._translated("iam:DeleteUserPolicy", _GONE):
            self.client.delete_user_policy(UserName=name, PolicyName=_POLICY)
        self.retire(name)
        with self._translated("iam:DeleteUser", _GONE):
            self.client.delete_user(UserName=name)

    def _is_ours(self, name: str, registry_id: str) -> bool:
        found: dict[str, Any] = {}
        with self._translated("iam:GetUser", _GONE):
            found |= self.client.get_user(UserName=name)["User"]
        if not found:
            return False
        if not found.get("UserId"):  # SeaweedFS gives users none, and keeps neither path nor tags
            return True
        tags = {each["Key"]: each["Value"] for each in found.get("Tags", ())}
        return found.get("Path") == PATH and tags.get(TAG) == registry_id

    @contextmanager
    def _translated(self, call: str, fine: frozenset[str] = frozenset()) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code, answer = code_of(error), error.response.get("Error", {})
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if code in fine:
                return
            reason = f"{error.operation_name}: {code} {answer.get('Message', '')}".strip()
            if is_refused(error):
                raise NotPermitted(
                    f"The store does not let the environment's credentials do {call} ({reason})",
                    action=f"Allow them {', '.join(CALLS)} on users below {PATH}, and grant again; "
                    "or give the registry a key",
                ) from error
            if status in (404, 405, 501) and code not in _GONE:
                raise NoUsers(
                    f"The store at {self.where} makes no users by the API of IAM ({reason})",
                    action="Give the registry a key that reaches its folder only",
                ) from error
            if code == "LimitExceeded":
                raise WrongState(f"The store takes no more users, keys or policies ({reason})") from error
            if status >= 500 or code in ("Throttling", "ServiceUnavailable"):
                raise PartUnavailable(f"The store cannot do that now ({reason})", action="Try again later") from error
            raise WrongState(f"The store refuses {call} ({reason})") from error
        except ParamValidationError as error:
            raise InvalidInput(f"IAM cannot take this: {call}") from error
        except ResponseParserError as error:
            raise NoUsers(
                f"The store at {self.where} makes no users by the API of IAM: it answers with something else",
                action="Give the registry a key that reaches its folder only",
            ) from error
        except (BotoCoreError, OSError) as error:
            raise PartUnavailable(
                f"IAM at {self.where} does not answer",
                action="Check that this machine reaches it, and grant again; or give the registry a key",
            ) from error


def code_of(error: ClientError) -> str:
    """IAM's error code; empty if the response has none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_refused(error: ClientError) -> bool:
    """Whether a right is missing."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return code_of(error) in _REFUSED or status == 403
