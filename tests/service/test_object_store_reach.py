"""A registry's machine user's access on the real object store, and the wording of the store's refusals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CopySourceTypeDef

from registry_tui.platform.secrets import AccessKey
from registry_tui.service.errors import InUse, Missing, NotPermitted, PartUnavailable, WrongState
from registry_tui.service.stores.base import Usage
from registry_tui.service.stores.seaweedfs import ObjectStore, machine_policy
from support.platforms import Platform, unique

PREFIX = "modelregistry"


@dataclass(frozen=True)
class Place:
    """Two buckets with the same objects, and a machine user who may use one of them."""

    store: ObjectStore
    bucket: str
    other: str
    user: str
    key: AccessKey


@pytest.fixture(scope="module")
def place(platform: Platform) -> Iterator[Place]:
    store = ObjectStore(platform.ports, platform.secrets)
    bucket, other, user = unique("reach"), unique("other"), unique("srv")
    for name in (bucket, other):
        store.create_bucket(name)
        for path in ("workspaces/w/model.pkl", f"{PREFIX}/m/v/manifest.json", f"{PREFIX}2/x", "secret/x"):
            store.s3().put_object(Bucket=name, Key=path, Body=b"content")
    store.create_user(user)
    key = store.create_access_key(user)
    store.put_policy(user, machine_policy(bucket, PREFIX))
    yield Place(store, bucket, other, user, key)
    store.delete_user(user)
    for name in (bucket, other):
        store.delete_prefix(name, "")
        store.delete_bucket(name)


def refused(act: Callable[[], object]) -> int:
    """The HTTP status with which the store refuses."""
    with pytest.raises(ClientError) as caught:
        act()
    return caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_the_machine_user_works_below_its_prefix_and_reads_artifacts(place: Place) -> None:
    s3, bucket = place.store.s3(place.key), place.bucket
    place.store.probe_prefix(place.key, bucket, PREFIX)
    source: CopySourceTypeDef = {"Bucket": bucket, "Key": "workspaces/w/model.pkl"}
    s3.copy_object(Bucket=bucket, Key=f"{PREFIX}/copy", CopySource=source)
    assert s3.get_object(Bucket=bucket, Key=f"{PREFIX}/copy")["Body"].read() == b"content"
    upload = s3.create_multipart_upload(Bucket=bucket, Key=f"{PREFIX}/large")["UploadId"]
    part = s3.upload_part_copy(Bucket=bucket, Key=f"{PREFIX}/large", UploadId=upload, PartNumber=1, CopySource=source)
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key=f"{PREFIX}/large", UploadId=upload, MultipartUpload=parts)
    left = s3.create_multipart_upload(Bucket=bucket, Key=f"{PREFIX}/left")["UploadId"]
    listed = s3.list_multipart_uploads(Bucket=bucket, Prefix=f"{PREFIX}/")
    assert [found["Key"] for found in listed["Uploads"]] == [f"{PREFIX}/left"]
    s3.abort_multipart_upload(Bucket=bucket, Key=f"{PREFIX}/left", UploadId=left)
    for prefix in (f"{PREFIX}/", "workspaces/"):
        assert s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] > 0
    for name in ("copy", "large"):
        s3.delete_object(Bucket=bucket, Key=f"{PREFIX}/{name}")


def test_and_reaches_nothing_else(place: Place) -> None:
    s3, admin, bucket, other = place.store.s3(place.key), place.store.s3(), place.bucket, place.other
    before = everything(place)
    own = {"Bucket": bucket, "Key": f"{PREFIX}/m/v/manifest.json"}
    artifact = "workspaces/w/model.pkl"
    denied: list[Callable[[], object]] = [
        lambda: s3.put_object(Bucket=bucket, Key=artifact, Body=b"changed"),
        lambda: s3.delete_object(Bucket=bucket, Key=artifact),
        lambda: s3.copy_object(Bucket=bucket, Key="workspaces/w/new", CopySource=own),  # type: ignore[arg-type]
        lambda: s3.create_multipart_upload(Bucket=bucket, Key="workspaces/w/new"),
        lambda: s3.copy_object(Bucket=bucket, Key=f"{PREFIX}/x", CopySource=f"{bucket}/secret/x"),
        lambda: s3.copy_object(Bucket=bucket, Key=f"{PREFIX}/x", CopySource=f"{other}/{PREFIX}/m/v/manifest.json"),
        lambda: s3.put_object(Bucket=bucket, Key="secret/y", Body=b""),
        lambda: s3.get_object(Bucket=bucket, Key="secret/x"),
        lambda: s3.get_object(Bucket=bucket, Key=f"{PREFIX}2/x"),
        lambda: s3.list_objects_v2(Bucket=bucket),
        lambda: s3.list_objects(Bucket=bucket),
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix="secret/"),
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix=PREFIX),
        lambda: s3.list_object_versions(Bucket=bucket),
        lambda: s3.list_multipart_uploads(Bucket=bucket),
        lambda: s3.list_objects_v2(Bucket=other, Prefix=f"{PREFIX}/"),
        lambda: s3.get_object(Bucket=other, Key=artifact),
        lambda: s3.put_object(Bucket=other, Key=f"{PREFIX}/y", Body=b""),
        lambda: s3.create_bucket(Bucket=unique("made")),
        lambda: s3.delete_bucket(Bucket=other),
        lambda: s3.put_bucket_acl(Bucket=bucket, ACL="public-read"),
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(machine_policy(bucket, ""))),
        lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
    ]
    assert {refused(act) for act in denied} == {403}
    assert s3.list_buckets()["Buckets"] == []
    many = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": artifact}]})
    assert many["Errors"][0]["Code"] == "AccessDenied"
    for way in (f"{PREFIX}/../secret/x", f"{PREFIX}/../../{other}/secret/x", f"{PREFIX}//../{artifact}"):
        refused(lambda way=way: s3.get_object(Bucket=bucket, Key=way))  # type: ignore[misc]
        refused(lambda way=way: s3.put_object(Bucket=bucket, Key=way, Body=b"changed"))  # type: ignore[misc]
        refused(lambda way=way: s3.delete_object(Bucket=bucket, Key=way))  # type: ignore[misc]
        refused(lambda way=way: s3.copy_object(Bucket=bucket, Key=f"{PREFIX}/x", CopySource=f"{bucket}/{way}"))  # type: ignore[misc]
        assert s3.list_objects_v2(Bucket=bucket, Prefix=way.removesuffix("x"))["KeyCount"] == 0
    assert everything(place) == before
    assert admin.get_object(Bucket=bucket, Key=artifact)["Body"].read() == b"content"


def test_a_machine_user_manages_no_users(place: Place) -> None:
    import boto3

    iam = boto3.client(
        "iam",
        endpoint_url=place.store.s3().meta.endpoint_url,
        aws_access_key_id=place.key.access_key_id,
        aws_secret_access_key=place.key.secret_access_key,
        region_name="us-east-1",
    )
    all_of_it = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
    denied: list[Callable[[], object]] = [
        lambda: iam.list_users(),
        lambda: iam.create_user(UserName=unique("new")),
        lambda: iam.create_access_key(UserName="mlflow"),
        lambda: iam.put_user_policy(UserName=place.user, PolicyName="p", PolicyDocument=json.dumps(all_of_it)),
        lambda: iam.delete_user(UserName=place.user),
    ]
    assert {refused(act) for act in denied} == {403}


def test_policies_and_keys_count_from_the_next_request(place: Place) -> None:
    store, user = place.store, unique("srv")
    store.create_user(user)
    store.create_user(user)
    key = store.create_access_key(user)
    with pytest.raises(NotPermitted) as caught:
        store.probe_prefix(key, place.bucket, PREFIX, "the-registry")
    assert "grant-storage the-registry`" in str(caught.value.action)
    for _ in range(5):
        store.put_policy(user, machine_policy(place.bucket, PREFIX))
        store.probe_prefix(key, place.bucket, PREFIX)
        store.delete_policy(user)
        with pytest.raises(NotPermitted):
            store.probe_prefix(key, place.bucket, PREFIX)
    store.put_policy(user, machine_policy(place.bucket, PREFIX))
    newer = store.create_access_key(user)
    store.probe_prefix(newer, place.bucket, PREFIX)
    with pytest.raises(NotPermitted) as caught:
        store.probe_prefix(key, place.bucket, PREFIX, "the-registry")
    assert "grant-storage" not in str(caught.value.action)
    store.delete_user(user)
    store.delete_user(user)
    store.delete_policy(user)
    with pytest.raises(NotPermitted):
        store.probe_prefix(newer, place.bucket, PREFIX)
    with pytest.raises(Missing):
        store.put_policy(user, machine_policy(place.bucket, PREFIX))


def test_buckets_and_prefixes(place: Place) -> None:
    store, bucket = place.store, unique("bucket")
    store.create_bucket(bucket)
    store.create_bucket(bucket)
    for number in range(3):
        store.s3().put_object(Bucket=bucket, Key=f"a/{number}", Body=b"12345")
    store.s3().put_object(Bucket=bucket, Key="ab/kept", Body=b"1")
    upload = store.s3().create_multipart_upload(Bucket=bucket, Key="a/unfinished")["UploadId"]
    store.s3().upload_part(Bucket=bucket, Key="a/unfinished", UploadId=upload, PartNumber=1, Body=b"part")
    assert store.usage(bucket, "a/") == Usage(3, 15)
    assert store.bucket_holds_objects(bucket)
    with pytest.raises(InUse):
        store.delete_bucket(bucket)
    assert store.delete_prefix(bucket, "a/") == Usage(3, 15)
    assert store.s3().list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    assert store.usage(bucket, "") == Usage(1, 1)
    assert store.delete_prefix(bucket, "a/") == Usage(0, 0)
    assert store.delete_prefix(bucket, "") == Usage(1, 1)
    store.delete_bucket(bucket)
    store.delete_bucket(bucket)
    assert not store.bucket_holds_objects(bucket)
    assert store.delete_prefix(bucket, "") == Usage(0, 0)


def test_the_stores_errors_are_ours(platform: Platform, place: Place) -> None:
    with pytest.raises(Missing):
        place.store.probe_prefix(None, unique("none"), "x")
    with pytest.raises(WrongState):
        place.store.create_bucket("Not A Bucket")
    nobody = ObjectStore(replace(platform.ports, s3=1), platform.secrets)
    with pytest.raises(PartUnavailable, match="does not answer"):
        nobody.create_bucket("any")


def everything(place: Place) -> list[str]:
    pages = [place.store.s3().list_objects_v2(Bucket=bucket) for bucket in (place.bucket, place.other)]
    return [f"{page['Name']}/{entry['Key']}" for page in pages for entry in page["Contents"]]
