"""A probe's results for a faulty store: in words, with the remedy, and never as an exception."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.auth
import httpx
import pytest

from registry_tui.platform.certificates import write_certificates
from registry_tui.schemas.stores import (
    AzureAddress,
    AzureCredentials,
    DirectoryAddress,
    Encryption,
    GoogleAddress,
    GoogleCredentials,
    S3Address,
    S3Credentials,
)
from registry_tui.service.errors import InvalidInput, ServiceError
from registry_tui.service.stores.azure import open_container
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.directory import open_directory
from registry_tui.service.stores.google import open_google
from registry_tui.service.stores.s3 import open_s3
from support.other_stores import (
    BUCKET,
    AzureServer,
    GoogleServer,
    S3Server,
    azurite,
    google,
    listening_with_tls,
    moto,
    seaweedfs,
)
from support.platforms import unique
from support.team import free_port

NOBODY = S3Credentials(access_key_id="AKIANOBODY", secret_access_key="nothing")


@pytest.fixture(scope="module")
def aws() -> Iterator[S3Server]:
    with moto() as server:
        yield server


@pytest.fixture(scope="module")
def store() -> Iterator[S3Server]:
    """SeaweedFS, which looks at keys, signatures and clocks."""
    with seaweedfs() as server:
        yield server


@pytest.fixture(scope="module")
def cloud() -> Iterator[GoogleServer]:
    with google() as server:
        yield server


@pytest.fixture(scope="module")
def account() -> Iterator[AzureServer]:
    with azurite() as server:
        yield server


def lacking(bucket: Bucket, *, fatal: bool = True) -> str:
    """The one problem that a probe finds, with its remedy."""
    (problem,) = bucket.probe()
    assert problem.fatal is fatal
    assert problem.action
    return f"{problem.text}. {problem.action}"


def address(server: S3Server, **changes: Any) -> S3Address:
    return S3Address(bucket=BUCKET, endpoint=server.endpoint, region=server.region).model_copy(update=changes)


@pytest.mark.parametrize("name", ["aws", "store"])
def test_a_bucket_that_does_not_exist(request: pytest.FixtureRequest, name: str) -> None:
    server: S3Server = request.getfixturevalue(name)
    said = lacking(open_s3(address(server, bucket="acme-modles"), server.credentials))
    assert "There is no bucket acme-modles" in said
    assert "Make the bucket" in said


def test_a_wrong_region_is_named_with_the_right_one(aws: S3Server) -> None:
    said = lacking(open_s3(address(aws, region="us-east-1"), aws.credentials))
    assert "is in the region eu-west-1, not in us-east-1" in said
    assert "Set the region to eu-west-1" in said


def test_a_key_that_the_store_does_not_know(store: S3Server) -> None:
    assert "does not know the access key" in lacking(open_s3(address(store), NOBODY))


def test_a_secret_that_does_not_belong_to_the_key(store: S3Server) -> None:
    wrong = store.credentials.model_copy(update={"secret_access_key": "another"})
    assert "does not belong to the access key" in lacking(open_s3(address(store), wrong))


def test_a_key_that_may_read_but_not_store(store: S3Server) -> None:
    name, iam = unique("reader"), store.iam()
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    here = f"arn:aws:s3:::{BUCKET}"
    allowed = {"Effect": "Allow", "Action": ["s3:List*", "s3:GetObject"], "Resource": [here, f"{here}/*"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName=name, PolicyName="read", PolicyDocument=policy)
    reader = S3Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])
    first, *others = open_s3(address(store), reader).probe()
    assert "Cannot store an object: s3:PutObject is missing" in first.text and first.fatal
    assert f"Allow these credentials s3:PutObject on arn:aws:s3:::{BUCKET}/*" in first.action
    assert any("Cannot delete objects: s3:DeleteObject is missing" in each.text for each in others)


@pytest.mark.parametrize("minutes", [20, -20])
def test_a_clock_that_is_wrong(store: S3Server, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    signing: Any = botocore.auth
    right = signing.get_current_datetime

    def wrong(*arguments: Any, **options: Any) -> datetime:
        found: datetime = right(*arguments, **options) + timedelta(minutes=minutes)
        return found

    monkeypatch.setattr(signing, "get_current_datetime", wrong)
    said = lacking(open_s3(address(store), store.credentials))
    assert "clock" in said
    assert "Set this machine's clock" in said


def test_versioning_and_object_lock_are_worth_knowing(aws: S3Server) -> None:
    name = unique("locked")
    client = aws.open().client
    client.create_bucket(
        Bucket=name,
        ObjectLockEnabledForBucket=True,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    client.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        },
    )
    # The server also requires a checksum of objects put into such a bucket, which only AWS itself is sent.
    versioning, lock = (each for each in open_s3(address(aws, bucket=name), aws.credentials).probe() if not each.fatal)
    assert "Versioning is on" in versioning.text
    assert "Object lock is on" in lock.text


@pytest.mark.parametrize(("encryption", "expected"), [(Encryption.S3, "AES256"), (Encryption.KMS, "aws:kms")])
def test_what_is_stored_is_encrypted_as_it_was_asked_for(aws: S3Server, encryption: Encryption, expected: str) -> None:
    folder = unique("encrypted")
    bucket = open_s3(address(aws, prefix=folder, encryption=encryption, kms_key="alias/acme"), aws.credentials)
    bucket.put("one", b"1")
    bucket.put("pieces", iter([b"1" * (9 << 20)]))
    bucket.put_new("new", b"1")
    bucket.copy("one", "copy")
    for key in ("one", "pieces", "new", "copy"):
        found = bucket.client.head_object(Bucket=BUCKET, Key=f"{folder}/{key}")
        assert found["ServerSideEncryption"] == expected, key
        assert (found.get("SSEKMSKeyId") == "alias/acme") is (encryption is Encryption.KMS), key


def test_nobody_answers_at_the_endpoint() -> None:
    nowhere = S3Address(bucket=BUCKET, endpoint=f"http://127.0.0.1:{free_port()}")
    said = lacking(open_s3(nowhere, NOBODY))
    assert "does not answer" in said
    assert "Check the endpoint" in said


def test_a_certificate_that_is_not_known_until_its_authority_is_given(tmp_path: Path) -> None:
    authority, certificate, key = write_certificates(tmp_path)
    with listening_with_tls(certificate, key) as port:
        there = S3Address(bucket=BUCKET, endpoint=f"https://127.0.0.1:{port}")
        said = lacking(open_s3(there, NOBODY))
        assert "certificate" in said
        assert "CA bundle" in said
        # The server refuses everything: each right is missing.
        known = open_s3(there.model_copy(update={"ca_bundle": str(authority)}), NOBODY).probe()
        assert known and not [each for each in known if "certificate" in each.text]


def test_a_profile_that_does_not_exist() -> None:
    with pytest.raises(InvalidInput, match="no profile 'acme-of-nobody'"):
        open_s3(S3Address(bucket=BUCKET), S3Credentials(profile="acme-of-nobody"))


def test_a_profile_signs_in_with_its_own_key_whatever_the_variables_say(
    store: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = store.credentials
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(
        f"[acme]\naws_access_key_id = {known.access_key_id}\naws_secret_access_key = {known.secret_access_key}\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert open_s3(address(store), S3Credentials(profile="acme")).probe() == []
    assert open_s3(address(store), known).probe() == []


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_a_ca_bundle_that_cannot_be_read(kind: str, tmp_path: Path) -> None:
    file = str(tmp_path / "none.pem")
    with pytest.raises(InvalidInput, match=r"CA bundle .*none\.pem cannot be read"):
        if kind == "s3":
            open_s3(S3Address(bucket=BUCKET, ca_bundle=file), NOBODY)
        else:
            open_container(AzureAddress(account="acme", container=BUCKET, ca_bundle=file), AzureCredentials())


def test_a_container_that_does_not_exist(account: AzureServer) -> None:
    said = lacking(open_container(account.address(container="acme-modles"), account.credentials))
    assert "There is no container at az://acmemodels/acme-modles/" in said


def test_an_account_key_of_another_account(account: AzureServer) -> None:
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    said = lacking(open_container(account.address(), AzureCredentials(account_key=key)))
    assert "Azure refuses access" in said


def test_a_bucket_of_google_that_does_not_exist(cloud: GoogleServer) -> None:
    said = lacking(open_google(cloud.address(bucket="acme-modles"), cloud.credentials))
    assert "There is no bucket acme-modles" in said


def test_versioning_of_google_is_worth_knowing(cloud: GoogleServer) -> None:
    body = {"name": "versioned", "versioning": {"enabled": True}}
    httpx.post(f"{cloud.endpoint}/storage/v1/b?project=acme", json=body).raise_for_status()
    said = lacking(open_google(cloud.address(bucket="versioned"), cloud.credentials), fatal=False)
    assert "Versioning is on" in said


def test_a_key_of_a_service_account_that_is_not_one() -> None:
    for key in ("{}", "[]", "not JSON", '{"type": "service_account"}'):
        with pytest.raises(InvalidInput, match="key of the service account is not valid"):
            open_google(GoogleAddress(bucket=BUCKET), GoogleCredentials(service_account=key))


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    said = lacking(open_directory(DirectoryAddress(path=str(tmp_path / "none"))))
    assert "There is no directory" in said
    assert "mount it" in said


def test_a_directory_in_which_nobody_may_write() -> None:
    # /proc takes new files from nobody, not from root either.
    assert "Cannot store an object" in open_directory(DirectoryAddress(path="/proc/self/net")).probe()[0].text


def test_a_probe_leaves_a_directory_as_it_was(tmp_path: Path) -> None:
    assert open_directory(DirectoryAddress(path=str(tmp_path))).probe() == []
    assert list(tmp_path.iterdir()) == []


def test_links_in_a_shared_directory_show_nothing_of_the_machine(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "store"
    outside.mkdir()
    root.mkdir()
    (outside / "secrets.json").write_bytes(b"secret")
    (root / "file").symlink_to(outside / "secrets.json")
    (root / "folder").symlink_to(outside)
    os.mkfifo(root / "pipe")
    store = open_directory(DirectoryAddress(path=str(root)))
    assert list(store.list()) == []
    for key in ("file", "folder/secrets.json", "pipe"):
        with pytest.raises(ServiceError):
            store.read(key)
    with pytest.raises(ServiceError):
        store.put("folder/new", b"1")
    assert [path.name for path in outside.iterdir()] == ["secrets.json"]
