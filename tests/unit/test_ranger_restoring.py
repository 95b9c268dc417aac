"""The object store enforces the saved policies, also after failures while policies or roles change."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.ranger import (
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    RangerRole,
    RoleMember,
    ValiditySchedule,
)
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EnvironmentRow, EventRow, RangerSourceRow
from registry_tui.service.errors import InvalidInput, PartUnavailable, ServiceError
from registry_tui.service.ranger import policies, roles, sources, timing
from registry_tui.service.ranger.definitions import S3
from registry_tui.service.ranger.known import all_known
from registry_tui.service.registries import storage_access
from support.bare import make_place
from support.bare_ranger import PLACE, bare_ranger, make_ranger_place
from support.platforms import wait_for

OTHER = "other"


class PlayedStore:
    """An object store with its buckets' policies; it can be away, and lose the response to a completed request."""

    def __init__(self) -> None:
        self.policies: dict[str, list[Mapping[str, Any]]] = {}
        self.asked = 0
        self.away = self.silent = False
        #: It is away after so many questions.
        self.last = math.inf
        #: The bucket whose policy is too large.
        self.full = ""

    @property
    def enforced(self) -> list[Mapping[str, Any]]:
        """The policy of the first place's bucket."""
        return self.policies[f"{PLACE}-data"]

    def put_bucket_policy(self, bucket: str, statements: Sequence[Mapping[str, Any]]) -> None:
        self.asked += 1
        if self.away or self.asked > self.last:
            raise PartUnavailable("The object store does not answer")
        if bucket == self.full:
            raise InvalidInput("The policies are too large", action="Use fewer paths")
        self.policies[bucket] = list(statements)
        if self.silent:
            self.away = True
            raise PartUnavailable("The object store broke off")


@pytest.fixture
def store() -> PlayedStore:
    return PlayedStore()


@pytest.fixture
def service(tmp_path: Path, store: PlayedStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(timing, "AGAIN", 0.01)
    with bare_ranger(tmp_path, store) as made:
        yield made
        store.away, store.silent, store.full, store.last = False, False, "", math.inf
        wait_for(lambda: not timers_left(made), what="all timers to end")


def timers_left(service: Service) -> list[str]:
    """Ends the places' timers; returns those that are still at work."""
    for place in (PLACE, OTHER):
        service.kept.of(timing.Timers).set(place, (), lambda: None)
    return [each.name for each in threading.enumerate() if each.name in (f"policies-{PLACE}", f"policies-{OTHER}")]


def policy(name: str, path: str = "x", **fields: Any) -> RangerPolicy:
    given: dict[str, Any] = {
        "service": "cm_s3",
        "name": name,
        "resources": {
            "bucket": PolicyResource(values=[f"{PLACE}-data"]),
            "path": PolicyResource(values=[path], is_recursive=True),
        },
        "policy_items": [PolicyItem(users=["srv"], accesses=[PolicyItemAccess(type="read")])],
    }
    return RangerPolicy(**given | fields)


def refuse(service: Service, what: str) -> None:
    """Has the database refuse a kind of change."""
    with service.database.session() as session:
        session.execute(sa.text(f"CREATE TRIGGER refuse BEFORE {what} BEGIN SELECT RAISE(ABORT, 'refused'); END"))


def obey_another(service: Service) -> None:
    """The environment obeys an outside Ranger, which lets the machine user read below `outside`."""
    row = RangerSourceRow(
        environment_id=PLACE,
        url="http://127.0.0.1:1",
        service="theirs",
        every=60.0,
        policy_version=1,
        definition=S3.model_dump(mode="json", by_alias=True),
        policies=[policy("theirs", "outside", id=1).model_dump(mode="json", by_alias=True, exclude_none=True)],
        notes=[],
        fetched_at=datetime.now(UTC),
    )
    with service.database.session() as session:
        session.add(row)
    policies.ensure(service, PLACE)


def add(service: Service, name: str = "mine") -> None:
    policies.create_policy(service, identity.owner_principal(service), policy(name))


def delete_source(service: Service) -> None:
    sources.delete_source(service, identity.owner_principal(service), PLACE)


def two_places_with_a_role(service: Service) -> RangerRole:
    """A role of nobody, which may read in two environments."""
    make_ranger_place(service, OTHER, "srv_other")
    owner = identity.owner_principal(service)
    role = roles.create_role(service, owner, RangerRole(name="readers"))
    for_role = [PolicyItem(roles=[role.name], accesses=[PolicyItemAccess(type="read")])]
    for name, bucket in (("cm_s3", f"{PLACE}-data"), (f"cm_s3_{OTHER}", f"{OTHER}-data")):
        where = {"bucket": PolicyResource(values=[bucket]), "path": PolicyResource(values=["x"], is_recursive=True)}
        policies.create_policy(service, owner, policy("theirs", service=name, resources=where, policy_items=for_role))
    return role


def give(service: Service, role: RangerRole) -> None:
    """Gives the machine users of both environments the role."""
    users = [RoleMember(name=name) for name in ("srv", "srv_other")]
    changed = role.model_copy(update={"users": users})
    roles.update_role(service, identity.owner_principal(service), role.id or 0, changed)


def who_has(service: Service, role: RangerRole) -> list[str]:
    return [each.name for each in roles.get_role(service, identity.owner_principal(service), role.name).users]


def names(service: Service) -> list[str]:
    return [each.name for each in policies.list_policies(service, identity.owner_principal(service))]


def outcomes(service: Service, action: str) -> list[str]:
    with service.database.reading() as session:
        return list(session.scalars(sa.select(EventRow.outcome).where(EventRow.action == action)))


def test_a_change_that_cannot_be_kept_is_not_enforced(service: Service, store: PlayedStore) -> None:
    add(service)
    before, known = store.enforced, names(service)
    assert before
    refuse(service, "INSERT ON ranger_policies")
    with pytest.raises(IntegrityError):
        add(service, "more")
    assert (store.enforced, names(service)) == (before, known)
    assert outcomes(service, "policy.create") == [EventOutcome.SUCCEEDED, EventOutcome.FAILED]


def test_where_the_stores_answer_is_lost_it_enforces_what_is_kept(service: Service, store: PlayedStore) -> None:
    before = store.enforced
    store.silent = True
    with pytest.raises(ServiceError, match="broke off"):
        add(service)
    assert store.enforced != before and "mine" not in names(service)
    store.away = store.silent = False
    wait_for(lambda: store.enforced == before, what="the store to enforce what is kept")


def test_an_outside_ranger_is_obeyed_on_where_own_policies_do_not_come_back(
    service: Service, store: PlayedStore
) -> None:
    add(service)
    own = store.enforced
    obey_another(service)
    outside = store.enforced
    assert "outside" in str(outside) and outside != own
    refuse(service, "DELETE ON ranger_sources")
    with pytest.raises(IntegrityError):
        delete_source(service)
    assert (store.enforced, names(service)) == (outside, ["theirs"])
    with service.database.session() as session:
        session.execute(sa.text("DROP TRIGGER refuse"))
    store.away = True
    with pytest.raises(ServiceError):
        delete_source(service)
    assert names(service) == ["theirs"]
    store.away = False
    delete_source(service)
    assert store.enforced == own and "mine" in names(service)
    assert outcomes(service, "ranger-source.delete") == [*[EventOutcome.FAILED] * 2, EventOutcome.SUCCEEDED]


def test_own_policies_are_back_where_the_store_goes_away_right_afterwards(service: Service, store: PlayedStore) -> None:
    add(service)
    own = store.enforced
    obey_another(service)
    store.last = store.asked + 1
    delete_source(service)
    assert store.enforced == own and "mine" in names(service)
    assert outcomes(service, "ranger-source.delete") == [EventOutcome.SUCCEEDED]


def test_periods_of_own_policies_count_again_without_the_outside_ranger(service: Service, store: PlayedStore) -> None:
    ends = ValiditySchedule(start_time="2020/01/01 00:00:00", end_time="2090/01/01 00:00:00", time_zone="UTC")
    policies.create_policy(service, identity.owner_principal(service), policy("mine", validity_schedules=[ends]))
    obey_another(service)
    timer = f"policies-{PLACE}"
    wait_for(lambda: timer not in [each.name for each in threading.enumerate()], what="no timer for theirs")
    delete_source(service)
    assert timer in [each.name for each in threading.enumerate()]


def test_policies_that_the_store_cannot_take_hold_up_no_start(service: Service, store: PlayedStore) -> None:
    make_place(service, OTHER)
    with service.database.session() as session:
        session.get_one(EnvironmentRow, OTHER).raz_enabled = True
    store.full = f"{PLACE}-data"
    storage_access.adopt(service)
    with service.database.reading() as session:
        [event] = session.scalars(sa.select(EventRow).where(EventRow.action == "policy.enforce"))
    assert (event.outcome, event.resource_name) == (EventOutcome.FAILED, PLACE)
    assert "too large" in event.detail and "Use fewer paths" in event.detail
    assert OTHER in [known.place.name for known in all_known(service)], "it got its policies"
    store.away = True
    with pytest.raises(PartUnavailable):
        storage_access.adopt(service)


def test_a_change_of_a_role_that_cannot_be_kept_is_enforced_nowhere(service: Service, store: PlayedStore) -> None:
    role = two_places_with_a_role(service)
    before = dict(store.policies)
    refuse(service, "UPDATE ON ranger_roles")
    with pytest.raises(IntegrityError):
        give(service, role)
    assert (store.policies, who_has(service, role)) == (before, [])
    with service.database.session() as session:
        session.execute(sa.text("DROP TRIGGER refuse"))
    give(service, role)
    assert all(store.policies[bucket] != before[bucket] for bucket in before)
    assert who_has(service, role) == ["srv", "srv_other"]
    assert outcomes(service, "ranger-role.update") == [EventOutcome.FAILED, EventOutcome.SUCCEEDED]


def test_a_role_that_one_environment_cannot_obey_is_given_in_none(service: Service, store: PlayedStore) -> None:
    role = two_places_with_a_role(service)
    before, asked = dict(store.policies), store.asked
    store.full = f"{OTHER}-data"
    with pytest.raises(InvalidInput, match="too large"):
        give(service, role)
    assert store.asked > asked + 1, "the other environment had obeyed it already"
    assert (store.policies, who_has(service, role)) == (before, [])
