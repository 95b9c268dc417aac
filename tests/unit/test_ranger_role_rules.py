"""Ranger's roles without a platform: their holders, and the policies in the object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry_tui.schemas.ranger import (
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    RangerRole,
    RoleMember,
)
from registry_tui.service.core import identity
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EnvironmentRow, RegistryRow
from registry_tui.service.errors import PartUnavailable
from registry_tui.service.ranger import policies, roles, timing
from registry_tui.service.ranger.evaluator import roles_of
from support.bare import bare_service
from support.platforms import wait_for

PLACES = ("one", "two")


class Played:
    """An object store that keeps bucket policies, and goes away after some more of them."""

    def __init__(self) -> None:
        self.statements: dict[str, Sequence[Mapping[str, Any]]] = {}
        self.left: int | None = None

    def put_bucket_policy(self, bucket: str, statements: Sequence[Mapping[str, Any]]) -> None:
        if self.left == 0:
            raise PartUnavailable("The object store does not answer")
        if self.left is not None:
            self.left -= 1
        self.statements[bucket] = statements


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr(timing, "AGAIN", 0.05)
    return Played()


@pytest.fixture
def service(tmp_path: Path, store: Played) -> Iterator[Service]:
    """A service with two RAZ-enabled environments, whose machine users are `m-one` and `m-two`."""
    with bare_service(tmp_path, stores=SimpleNamespace(objects=store)) as made:
        for name in PLACES:
            environment = EnvironmentRow(
                id=name,
                name=name,
                crn=name,
                cloud="aws",
                raz_enabled=True,
                bucket=f"bucket-{name}",
                state="ready",
                creator="ann",
            )
            registry = RegistryRow(
                id=name,
                name=name,
                crn=name,
                status="installation:finished",
                environment_id=name,
                location="control plane",
                owner="ann",
                creator="ann",
                mlflow_workspace=name,
                version="1",
                machine_user_workload_name=f"m-{name}",
            )
            for row in (environment, registry):
                with made.database.session() as session:
                    session.add(row)
            policies.ensure(made, name)
        yield made


def policy_of(service: Service, place: str, role: str) -> RangerPolicy:
    """A new policy that lets holders of a role read an environment's bucket."""
    found = policies.get_service(service, identity.owner_principal(service), place)
    resources = {"bucket": PolicyResource(values=[f"bucket-{place}"]), "path": PolicyResource(values=["a"])}
    items = [PolicyItem(roles=[role], accesses=[PolicyItemAccess(type="read")])]
    wanted = RangerPolicy(service=found.name, name=role, resources=resources, policy_items=items)
    return policies.create_policy(service, identity.owner_principal(service), wanted)


def test_a_disabled_role_gives_nothing_neither_by_itself_nor_by_another_role() -> None:
    def found(enabled: bool) -> list[RangerRole]:
        inner = RangerRole(name="inner", is_enabled=enabled, users=[RoleMember(name="ana")])
        return [inner, RangerRole(name="outer", roles=[RoleMember(name="inner")])]

    assert roles_of("ana", (), found(True)) == {"inner", "outer"}
    assert roles_of("ana", (), found(False)) == frozenset()


@pytest.mark.parametrize("answers", [1, 2], ids=["the second environment", "the database"])
def test_a_change_of_a_role_that_fails_half_way_is_taken_back_once_the_store_answers(
    service: Service, store: Played, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    owner = identity.owner_principal(service)
    role = roles.create_role(service, owner, RangerRole(name="readers"))
    for place in PLACES:
        policy_of(service, place, role.name)
    before = dict(store.statements)
    everybody = role.model_copy(update={"users": [RoleMember(name=f"m-{place}") for place in PLACES]})
    store.left = answers
    if answers == len(PLACES):

        def refuse(*_: object) -> None:
            raise PartUnavailable("The database is full")

        monkeypatch.setattr(roles, "_keep", refuse)
    with pytest.raises(PartUnavailable, match="does not answer" if answers == 1 else "is full"):
        roles.update_role(service, owner, role.id or 0, everybody)
    assert store.statements != before, "an environment obeys what was refused"
    assert roles.get_role(service, owner, role.name).users == []
    store.left = None
    wait_for(lambda: store.statements == before, what="the store to obey what is kept")


def test_a_policy_that_could_not_be_kept_is_taken_back_once_the_store_answers(
    service: Service, store: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(store.statements)
    role = roles.create_role(
        service, identity.owner_principal(service), RangerRole(name="readers", users=[RoleMember(name="m-one")])
    )

    def refuse(*_: object) -> None:
        raise RuntimeError("The database is gone")

    monkeypatch.setattr(policies, "_keep", refuse)
    store.left = 1
    with pytest.raises(RuntimeError, match="is gone"):
        policy_of(service, "one", role.name)
    assert store.statements != before
    store.left = None
    wait_for(lambda: store.statements == before, what="the store to obey what is kept")
