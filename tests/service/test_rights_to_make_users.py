"""Rights of IAM for making registries' users: a trial of the store names those that are missing, and leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import httpx
import pytest
from botocore.stub import Stubber

from registry_tui.schemas.stores import S3Address, S3Credentials, S3Store, StoreCheck
from registry_tui.service.core.context import Principal
from registry_tui.service.places.checking_stores import check_store
from registry_tui.service.stores import s3_users
from registry_tui.service.stores.s3 import open_users
from registry_tui.service.stores.s3_user_rights import try_rights
from registry_tui.service.stores.s3_users import CALLS, S3Users
from support.other_stores import BUCKET, S3Server, moto

_NUMBERS = count(1)
OWNER = Principal(name="ada", crn="crn:ada", request_id="r", administrator=True)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with moto() as found:
        yield found


@contextmanager
def limited(server: S3Server, rights: Sequence[str]) -> Iterator[S3Credentials]:
    """The key of a user with these rights, which the server looks at from now on."""
    iam, name = server.iam(), f"limited-{next(_NUMBERS)}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": [*rights, "s3:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="limited", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        _look_at_rights(server, after="0")
        yield S3Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])
    finally:
        _look_at_rights(server, after="inf")


def _look_at_rights(server: S3Server, *, after: str) -> None:
    # moto's way to switch its authorization: so many calls go unlooked at.
    httpx.post(f"{server.endpoint}/moto-api/reset-auth", content=after, trust_env=False).raise_for_status()


def users(server: S3Server, credentials: S3Credentials) -> S3Users:
    return open_users(S3Address(bucket=BUCKET, endpoint=server.endpoint, region=server.region), credentials)


def probes(server: S3Server) -> list[str]:
    return [each["UserName"] for each in server.iam().list_users()["Users"] if "probe" in each["UserName"]]


def test_with_all_rights_nothing_is_said_and_nothing_stays(server: S3Server) -> None:
    with limited(server, CALLS) as credentials:
        assert try_rights(users(server, credentials)) == []
    assert probes(server) == []


@pytest.mark.parametrize("right", [each for each in CALLS if each != "iam:TagUser"])  # moto does not look at that one
def test_a_right_that_is_missing_is_named_alone(server: S3Server, right: str) -> None:
    with limited(server, [each for each in CALLS if each != right]) as credentials:
        found = try_rights(users(server, credentials))
    missing = found[0]
    assert f": {right} is missing" in missing.text and not missing.fatal
    assert all(each in missing.action for each in CALLS) and s3_users.PATH in missing.action
    stayed = probes(server)
    assert [each.action for each in found[1:]] == [f"Delete the user {name}" for name in stayed]
    for name in stayed:
        for key in server.iam().list_access_keys(UserName=name)["AccessKeyMetadata"]:
            server.iam().delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for policy in server.iam().list_user_policies(UserName=name)["PolicyNames"]:
            server.iam().delete_user_policy(UserName=name, PolicyName=policy)
        server.iam().delete_user(UserName=name)


def test_a_trial_of_the_store_tells_it_beside_what_it_says_of_objects(server: S3Server) -> None:
    address = S3Address(bucket=BUCKET, endpoint=server.endpoint, region=server.region)
    with limited(server, ["iam:GetUser"]) as credentials:
        report = check_store(OWNER, StoreCheck(store=S3Store(address=address, credentials=credentials)))
    assert report.usable, report
    assert ["iam:CreateUser is missing" in each.text for each in report.problems] == [True]


def test_a_right_to_tag_that_is_missing_is_told_from_that_to_make_users(server: S3Server) -> None:
    found = users(server, S3Credentials(access_key_id="AKIA", secret_access_key="x"))
    with Stubber(found.client) as stub:
        stub.add_client_error("create_user", "AccessDenied", http_status_code=403)
        made = {"Path": "/", "UserName": "probe", "UserId": "A" * 16, "Arn": "a" * 20, "CreateDate": "2026-11-30"}
        stub.add_response("create_user", {"User": made})
        stub.add_response("get_user", {"User": made})
        stub.add_response("put_user_policy", {})
        key = {"UserName": "probe", "AccessKeyId": "A" * 16, "Status": "Active", "SecretAccessKey": "s"}
        stub.add_response("create_access_key", {"AccessKey": key})
        stub.add_response("list_access_keys", {"AccessKeyMetadata": []})
        for each in ("delete_access_key", "delete_user_policy", "delete_user"):
            stub.add_response(each, {})
        stub.add_client_error("delete_user", "NoSuchEntity", http_status_code=404)
        (problem,) = try_rights(found)
    assert ": iam:TagUser is missing" in problem.text


def test_a_store_without_iam_is_not_blamed() -> None:
    found = open_users(
        S3Address(bucket=BUCKET, endpoint="http://127.0.0.1:9", region="us-east-1"),
        S3Credentials(access_key_id="AKIA", secret_access_key="x"),
    )
    with Stubber(found.client) as stub:
        stub.add_client_error("create_user", "MethodNotAllowed", http_status_code=405)
        assert try_rights(found) == []
