"""A new person or group with the name of a deleted one has nothing by Ranger's policies and roles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from registry_tui.schemas.people import GroupChange
from registry_tui.schemas.ranger import (
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    RangerRole,
    RoleMember,
)
from registry_tui.service.access import groups
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import EventRow
from registry_tui.service.ranger import forgetting, policies, roles
from registry_tui.service.ranger.known import known_service
from support.bare_ranger import PLACE, bare_ranger

READ = [PolicyItemAccess(type="read")]


class Store:
    """An object store that counts how often it gets policies."""

    def __init__(self) -> None:
        self.asked = 0

    def put_bucket_policy(self, bucket: str, statements: Any) -> None:
        self.asked += 1


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def service(tmp_path: Path, store: Store) -> Iterator[Service]:
    with bare_ranger(tmp_path, store) as made:
        yield made


@pytest.fixture
def owner(service: Service) -> Principal:
    return identity.owner_principal(service)


def add(service: Service, owner: Principal, name: str, **items: Any) -> None:
    resources = {
        "bucket": PolicyResource(values=[f"{PLACE}-data"]),
        "path": PolicyResource(values=[name], is_recursive=True),
    }
    policies.create_policy(service, owner, RangerPolicy(service="cm_s3", name=name, resources=resources, **items))


def kept(service: Service, name: str) -> RangerPolicy:
    return next(each for each in known_service(service, PLACE).policies if each.name == name)


def test_a_deleted_person_is_named_in_no_policy_and_no_role(service: Service, owner: Principal, store: Store) -> None:
    both = PolicyItem(users=["bob", "ann"], groups=["bob"], accesses=READ)
    add(service, owner, "shared", policy_items=[both], deny_exceptions=[both])
    add(service, owner, "own", policy_items=[PolicyItem(users=["bob"], accesses=READ)])
    add(service, owner, "others", policy_items=[PolicyItem(users=["ann", "bobby"], accesses=READ)])
    roles.create_role(
        service, owner, RangerRole(name="tasters", users=[RoleMember(name="bob"), RoleMember(name="ann")])
    )
    roles.create_role(service, owner, RangerRole(name="others", users=[RoleMember(name="ann")]))
    before, untouched, asked = known_service(service, PLACE), kept(service, "others"), store.asked

    named = forgetting.forget(service, "users", "bob", owner.name)

    assert sorted(named) == ["policy 'own'", "policy 'shared'", "role 'tasters'"]
    shared = kept(service, "shared")
    for items in (shared.policy_items, shared.deny_exceptions):
        assert [(item.users, item.groups) for item in items] == [(["ann"], ["bob"])]
    assert kept(service, "own").policy_items == []
    assert kept(service, "others") == untouched
    assert [each.name for each in roles.get_role(service, owner, "tasters").users] == ["ann"]
    identity.ensure_user(service, "bob")
    assert roles.roles_of_user(service, owner, "bob") == []
    after = known_service(service, PLACE)
    assert (after.service.policy_version or 0) > (before.service.policy_version or 0), "plugins fetch what changed"
    assert (shared.version, shared.updated_by) == (2, owner.name)
    assert store.asked == asked, "the object store knows machine users only"
    assert forgetting.forget(service, "users", "bob", owner.name) == []


def test_a_machine_user_stays_whoever_had_its_name(service: Service, owner: Principal) -> None:
    add(service, owner, "machine", policy_items=[PolicyItem(users=["srv"], accesses=READ)])
    assert forgetting.forget(service, "users", "srv", owner.name) == []
    assert kept(service, "machine").policy_items[0].users == ["srv"]


def test_a_deleted_group_is_named_in_no_policy_and_no_role(service: Service, owner: Principal) -> None:
    groups.put_group(service, owner, "tasting", GroupChange())
    add(service, owner, "shared", policy_items=[PolicyItem(users=["tasting"], groups=["tasting", "x"], accesses=READ)])
    roles.create_role(service, owner, RangerRole(name="tasters", groups=[RoleMember(name="tasting")]))
    groups.delete_group(service, owner, "tasting")
    (item,) = kept(service, "shared").policy_items
    assert (item.users, item.groups) == (["tasting"], ["x"])
    assert roles.get_role(service, owner, "tasters").groups == []
    with service.database.reading() as session:
        details = session.scalars(sa.select(EventRow.detail).where(EventRow.action == "group.delete")).all()
    assert details == ["taken out of Ranger's policy 'shared', role 'tasters'"]
