"""Missing rights in a store of S3: each is named, and missing things are reported as such, although AWS returns 403."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from registry_tui.schemas.stores import Encryption, S3Address, S3Credentials
from registry_tui.service.core.own_stores import MARK, require_there
from registry_tui.service.errors import Missing, NotPermitted, PartUnavailable, RightMissing
from registry_tui.service.stores.s3 import open_s3
from registry_tui.service.stores.s3_bucket import S3Bucket
from support.aws_answers import BUCKET, Aws, answering


@pytest.fixture
def aws() -> Iterator[Aws]:
    with answering() as found:
        yield found


def opened(aws: Aws, **changes: object) -> S3Bucket:
    address = S3Address.model_validate({"bucket": BUCKET, "prefix": "registry", "endpoint": aws.endpoint, **changes})
    return open_s3(address, S3Credentials(access_key_id="AKIA", secret_access_key="x"))


def test_an_object_that_is_away_is_missing_although_the_store_says_forbidden(aws: Aws) -> None:
    bucket = opened(aws)
    bucket.put("there", b"one")
    assert bucket.read("there") == b"one" and bucket.head("there").size == 3
    for look in (bucket.read, bucket.head):
        with pytest.raises(Missing, match="There is no object s3://acme-models/registry/away"):
            look("away")
    with pytest.raises(Missing):
        bucket.copy("away", "there")
    with pytest.raises(PartUnavailable, match="is missing"):
        require_there(bucket, "an-environment")
    bucket.put(MARK, b'{"environment_id": "an-environment"}')
    require_there(bucket, "an-environment")


def test_what_is_there_and_may_not_be_read_is_not_missing(aws: Aws) -> None:
    bucket = opened(aws)
    bucket.put("there", b"one")
    aws.missing = {"s3:GetObject"}
    for look in (bucket.read, bucket.head):
        with pytest.raises(RightMissing, match="s3:GetObject is missing"):
            look("there")


def test_without_lists_it_is_said_that_the_right_to_list_is_missing(aws: Aws) -> None:
    aws.missing = {"s3:ListBucket"}
    with pytest.raises(NotPermitted, match="s3:ListBucket is missing") as refused:
        opened(aws).read("away")
    assert "Allow these credentials s3:ListBucket on arn:aws:s3:::acme-models" in str(refused.value.action)


def test_a_probe_finds_nothing_where_only_the_own_prefix_is_listed(aws: Aws) -> None:
    assert list(opened(aws).probe()) == []
    assert not aws.objects


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"s3:ListBucket"}, ["Cannot list objects: s3:ListBucket is missing"]),
        ({"s3:PutObject"}, ["Cannot store an object: s3:PutObject is missing"]),
        (
            {"s3:ListBucket", "s3:PutObject", "s3:DeleteObject"},
            ["s3:ListBucket is missing", "s3:PutObject is missing", "s3:ListBucket is missing", "s3:DeleteObject is"],
        ),
        ({"s3:GetObject"}, ["Cannot read what was stored: s3:GetObject is missing"]),
        ({"s3:ListBucketMultipartUploads"}, ["s3:ListBucketMultipartUploads is missing"]),
    ],
)
def test_a_probe_names_each_right_that_is_missing(aws: Aws, missing: set[str], said: list[str]) -> None:
    aws.missing = missing
    found = opened(aws).probe()
    assert len(found) == len(said), found
    for problem, words in zip(found, said, strict=True):
        assert words in problem.text and "environments store-access" in problem.action
        assert problem.fatal is ("MultipartUploads" not in words)


def test_with_a_key_of_kms_its_rights_are_named_too(aws: Aws) -> None:
    aws.missing = {"s3:PutObject"}
    (found,) = opened(aws, encryption=Encryption.KMS, kms_key="1234").probe()
    assert "s3:PutObject on arn:aws:s3:::acme-models/registry/*" in found.action
    assert "kms:GenerateDataKey and kms:Decrypt" in found.action
