"""The object store gives the answers of the evaluator: random policies, paths and permissions, asked of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry_tui.platform.s3 import s3_client
from registry_tui.schemas.ranger import PolicyItem, PolicyItemAccess, PolicyResource, RangerPolicy, ServicePolicies
from registry_tui.service.ranger.compiling import compile_for
from registry_tui.service.ranger.definitions import DELETE, LIST, PERMISSIONS, READ, S3, WRITE
from registry_tui.service.ranger.evaluator import Asker, Question, decide
from registry_tui.service.stores.seaweedfs import ObjectStore
from support.platforms import Platform, unique

#: Keys and prefixes that are asked for; lower case, since the store compares keys without case but prefixes with it.
PATHS = ("a", "a/b", "a/b/c", "a/b/c/d", "a/bb", "ab", "ab/c", "b", "b/a/b", "user/x", "a b/c+d", "a/é")
PREFIXES = (None, "", "a", "a/", "a/b", "a/b/", "a/b/c/d", "b", "b/", "user/", "a b/")
USERS = ("{USER}", "me", "other")
GROUPS = ((), (), ("public",), ("strangers",))


@dataclass(frozen=True)
class Shop:
    """A bucket of the real object store and a user's own client."""

    store: ObjectStore
    bucket: str
    user: str
    client: Any

    def obey(self, policies: list[RangerPolicy]) -> bool:
        asker = Asker(self.user)
        compiled = compile_for(S3, policies, asker, self.bucket, {"bucket": self.bucket}, datetime.now(UTC))
        self.store.put_bucket_policy(self.bucket, compiled.statements)
        return compiled.exact

    def lets(self, permission: str, path: str | None) -> bool:
        key = {"Bucket": self.bucket, "Key": path}
        try:
            if permission == READ:
                self.client.get_object(**key)
            elif permission == WRITE:
                self.client.put_object(**key, Body=b"x")
            elif permission == DELETE:
                self.client.delete_object(**key)
            else:
                below = {} if path is None else {"Prefix": path}
                self.client.list_objects_v2(Bucket=self.bucket, MaxKeys=1, **below)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            assert code in ("AccessDenied", "NoSuchKey"), error
            return bool(code == "NoSuchKey")
        return True

    def should(self, policies: list[RangerPolicy], permission: str, path: str | None) -> bool:
        asked = ServicePolicies(service_name="cm_s3", policies=policies, service_def=S3)
        resource = {"bucket": self.bucket, "path": path or ""}
        return decide(asked, Asker(self.user), Question(resource, permission)).allowed


@pytest.fixture(scope="module")
def shop(platform: Platform) -> Iterator[Shop]:
    store = ObjectStore(platform.ports, platform.secrets)
    bucket, user = unique("ranger").lower(), unique("srv-ranger")
    store.create_bucket(bucket)
    store.create_user(user)
    key = store.create_access_key(user)
    yield Shop(store, bucket, user, s3_client("s3", platform.ports.s3_endpoint, key, attempts=1))
    store.delete_user(user)
    store.delete_prefix(bucket, "")
    store.delete_bucket(bucket)


VALUES = st.sampled_from(
    ["*", "a", "a/", "a/*", "a/b", "a/b*", "a/?", "?", "a*c", "b/*/b", "*b", "ab", "a/b/c/d", "a b", "{USER}", "user*"]
)


def items(users: st.SearchStrategy[str]) -> st.SearchStrategy[list[PolicyItem]]:
    accesses = st.lists(st.sampled_from(PERMISSIONS), min_size=1, max_size=4, unique=True).map(
        lambda types: [PolicyItemAccess(type=type_) for type_ in types]
    )
    item = st.builds(
        PolicyItem,
        accesses=accesses,
        users=st.lists(users, max_size=2),
        groups=st.sampled_from(GROUPS).map(list),
    )
    return st.lists(item, max_size=2)


@st.composite
def policies(draw: st.DrawFn, bucket: str, user: str) -> list[RangerPolicy]:
    people = st.sampled_from(USERS).map(lambda name: user if name == "me" else name)
    found = []
    for number in range(draw(st.integers(1, 4))):
        path = PolicyResource(
            values=draw(st.lists(VALUES, min_size=1, max_size=2)),
            is_recursive=draw(st.booleans()),
            is_excludes=draw(st.integers(0, 4)) == 0,
        )
        buckets = PolicyResource(
            values=[draw(st.sampled_from([bucket, "*", f"{bucket[:6]}*", "another"]))],
            is_excludes=draw(st.integers(0, 6)) == 0,
        )
        found.append(
            RangerPolicy(
                id=number + 1,
                resources={"bucket": buckets, "path": path},
                policy_priority=draw(st.sampled_from([0, 0, 1])),
                is_enabled=draw(st.integers(0, 9)) > 0,
                policy_items=draw(items(people)),
                deny_policy_items=draw(items(people)),
                allow_exceptions=draw(items(people)),
                deny_exceptions=draw(items(people)),
                is_deny_all_else=draw(st.integers(0, 9)) == 0,
            )
        )
    return found


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_the_store_answers_as_the_evaluator(shop: Shop, data: st.DataObject) -> None:
    drawn = data.draw(policies(shop.bucket, shop.user))
    exact = shop.obey(drawn)
    for permission in PERMISSIONS:
        for path in PREFIXES if permission == LIST else PATHS:
            should, does = shop.should(drawn, permission, path), shop.lets(permission, path)
            if exact:
                assert does == should, (permission, path)
            else:
                assert not does or should, (permission, path)
