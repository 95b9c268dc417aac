"""`environments check-store` and its route: a store is tried before an environment uses it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from registry_tui.schemas.stores import StoreCheck
from registry_tui.service.core import identity
from registry_tui.service.places.checking_stores import check_store
from support.lone_doors import LoneDoor, lone_door, really
from support.other_stores import BUCKET, azurite, google, moto
from support.team import Machine

SECRET = "a secret that is shown to nobody"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoneDoor]:
    with lone_door(tmp_path_factory.mktemp("d")) as found:
        found.parts["service"].handler = really(found.service)
        yield found


def check(door: LoneDoor, *arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
    """`registry-tui environments check-store …` as the installation's owner."""
    root = door.service.home.root
    command = ["--data-dir", str(root), "environments", "check-store", *arguments]
    done = Machine(root).command(*command, check=False, typed=typed)
    assert typed is None or typed.strip() not in done.stdout + done.stderr
    return done


def test_an_s3_store_is_tried_and_what_is_wrong_is_said(door: LoneDoor) -> None:
    with moto() as aws:
        key = ["--endpoint", aws.endpoint, "--access-key-id", "AKIAACME", "--secret-file", "-"]
        sound = check(door, f"s3://{BUCKET}/registry", *key, "--region", aws.region, typed=SECRET)
        assert sound.returncode == 0, sound.stderr
        assert f"s3://{BUCKET}/registry/" in sound.stdout
        wrong = check(door, f"s3://{BUCKET}/registry", *key, "--region", "us-east-1", typed=SECRET)
        assert wrong.returncode == 1
        assert "is in the region eu-west-1, not in us-east-1" in wrong.stdout
        assert "Set the region to eu-west-1" in wrong.stdout
        missing = check(door, "s3://acme-modles", *key, "--region", aws.region, "--json", typed=SECRET)
        assert missing.returncode == 1
        (problem,) = json.loads(missing.stdout)["problems"]
        assert problem["fatal"] and "There is no bucket acme-modles" in problem["text"]


def test_a_container_of_azure_is_tried(door: LoneDoor) -> None:
    with azurite() as azure:
        key = ["--endpoint", azure.endpoint, "--secret-file", "-"]
        account = azure.address().account
        sound = check(door, f"az://{account}/{BUCKET}/registry", *key, typed=azure.credentials.account_key)
        assert sound.returncode == 0, sound.stdout + sound.stderr
        assert f"az://{account}/{BUCKET}/registry/" in sound.stdout
        missing = check(door, f"az://{account}/none-there", *key, typed=azure.credentials.account_key)
        assert missing.returncode == 1 and "There is no container" in missing.stdout


def test_a_bucket_of_google_is_tried(door: LoneDoor, tmp_path: Path) -> None:
    with google() as cloud:
        file = tmp_path / "key.json"
        file.write_text(cloud.credentials.service_account, encoding="utf-8")
        key = ["--endpoint", cloud.endpoint, "--secret-file", str(file)]
        sound = check(door, f"gs://{BUCKET}/registry", *key)
        assert sound.returncode == 0, sound.stdout + sound.stderr
        assert f"gs://{BUCKET}/registry/" in sound.stdout
        assert check(door, "gs://none-there", *key).returncode == 1


def test_a_directory_is_tried_on_the_machine_of_the_service(door: LoneDoor, tmp_path: Path) -> None:
    assert check(door, str(tmp_path)).returncode == 0
    assert check(door, tmp_path.as_uri()).returncode == 0
    missing = check(door, str(tmp_path / "none"))
    assert missing.returncode == 1 and "There is no directory" in missing.stdout


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["ftp://acme/models"], "is not s3://BUCKET/PREFIX"),
        (["relative/folder"], "is not s3://BUCKET/PREFIX"),
        (["s3://acme-models", "--access-key-id", "AKIAACME"], "give both"),
        (["s3://acme-models", "--kms-key", "alias/acme"], "needs the encryption kms"),
        (["s3://acme-models", "--endpoint", "store.example.com"], "endpoint"),
        (["az://acmemodels/models", "--tenant-id", "t"], "give all three"),
        (["s3://acme-models", "--secret-file", "/nowhere/at/all"], "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_is_wrong_usage(door: LoneDoor, arguments: list[str], reason: str) -> None:
    asked = len(door.parts["service"].asked)
    done = check(door, *arguments)
    assert done.returncode == 2
    # The terminal's width breaks the message into lines.
    assert reason in " ".join(done.stderr.replace("│", " ").split())
    assert len(door.parts["service"].asked) == asked


def test_only_administrators_have_stores_tried_and_no_secret_comes_back(door: LoneDoor, tmp_path: Path) -> None:
    token = door.token("ann")
    headers = {"Authorization": f"Bearer {token}"}
    body = {"store": {"kind": "directory", "address": {"path": str(tmp_path)}}}
    refused = httpx.post(f"{door.url}/api/v1/stores/check", json=body, headers=headers)
    assert refused.status_code == 403
    assert list(tmp_path.iterdir()) == []
    credentials = {"profile": "acme", "access_key_id": "AKIAACME", "secret_access_key": SECRET}
    wrong = {"store": {"kind": "s3", "address": {"bucket": "acme-models"}, "credentials": credentials}}
    invalid = httpx.post(f"{door.url}/api/v1/stores/check", json=wrong, headers=headers)
    assert invalid.status_code == 422
    assert "not both" in invalid.text and SECRET not in invalid.text


#: Text as people and programs send it by mistake. Nobody listens at the one endpoint.
TEXT = st.text(max_size=60)
NOBODY = st.just("http://127.0.0.1:9")
STORES = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("s3"),
            "address": st.fixed_dictionaries(
                {"bucket": st.text(min_size=3, max_size=63), "endpoint": NOBODY},
                optional={"prefix": TEXT, "ca_bundle": TEXT, "region": st.from_regex(r"\A[a-z0-9-]{1,12}\Z")},
            ),
            "credentials": st.fixed_dictionaries(
                {
                    "access_key_id": st.text(min_size=1, max_size=20),
                    "secret_access_key": st.text(min_size=1, max_size=20),
                },
                optional={"session_token": TEXT},
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("azure"),
            "address": st.fixed_dictionaries(
                {
                    "account": st.text(min_size=3, max_size=24),
                    "container": st.text(min_size=3, max_size=63),
                    "endpoint": NOBODY,
                },
                optional={"prefix": TEXT, "ca_bundle": TEXT},
            ),
            "credentials": st.one_of(
                st.fixed_dictionaries({"account_key": st.text(min_size=1)}),
                st.fixed_dictionaries({"sas": st.text(min_size=1)}),
            ),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("google"),
            "address": st.fixed_dictionaries({"bucket": st.text(min_size=3, max_size=222), "endpoint": NOBODY}),
            "credentials": st.fixed_dictionaries({"service_account": TEXT.filter(bool)}),
        }
    ),
    st.fixed_dictionaries(
        {"kind": st.just("directory"), "address": st.fixed_dictionaries({"path": TEXT.map("/nowhere/{}".format)})}
    ),
)


@settings(max_examples=60)
@given(store=STORES)
def test_whatever_is_sent_is_answered_with_a_problem_or_refused(door: LoneDoor, store: dict[str, Any]) -> None:
    owner = identity.owner_principal(door.service)
    try:
        request = StoreCheck.model_validate({"store": store})
    except ValidationError:
        return
    report = check_store(owner, request)
    assert not report.usable
    assert all(each.text for each in report.problems)
