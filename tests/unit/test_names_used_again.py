"""A new user with the name of a deleted one inherits nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.operations import EventOutcome, Workflow, WorkflowKind, WorkflowStatus
from registry_tui.schemas.people import GroupChange, UserChange
from registry_tui.schemas.ranger import RangerRole, RoleMember
from registry_tui.schemas.registries import RegistryStatus
from registry_tui.schemas.stream import Change, ChangeKind
from registry_tui.service.access import groups, people
from registry_tui.service.adapters.access import Access
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import (
    EventRow,
    IdempotencyRow,
    InstallationRow,
    RegistryRow,
    UserRow,
    WorkflowRow,
)
from registry_tui.service.engine.engine import Engine
from registry_tui.service.engine.rows import to_schema
from registry_tui.service.errors import Missing
from registry_tui.service.loops import stream
from registry_tui.service.models import leaving
from registry_tui.service.ranger import forgetting, roles
from registry_tui.service.registries import place
from registry_tui.service.workflows.catalog import DEFINITIONS
from support.accounts import Accounts
from support.bare import acting, asking, bare_service, make_place, set_roles

WINE = Resource("registry", "aws-registry", "aws-registry", "aws-registry")


class Versions(Accounts):
    """MLflow with a model and its versions, in one registry."""

    def __init__(self) -> None:
        super().__init__()
        self.creators = {("wine", 1): "bob", ("wine", 2): "eve"}
        self.tags = {mlflow_tags.OWNER: "bob", f"{mlflow_tags.CONTRIBUTOR}bob": "true", "a": "b"}
        #: Whether the registry's MLflow workspace is gone.
        self.gone = False

    def call(self, method: str, path: str, json: Mapping[str, Any] | None = None, **given: Any) -> dict[str, Any]:
        if path.startswith("registered-models/") and self.gone:
            raise Missing("There is no such workspace")
        if path == "registered-models/search":
            tags = [{"key": key, "value": value} for key, value in self.tags.items()]
            return {"registered_models": [{"name": "wine", "tags": tags}]}
        if path == "registered-models/set-tag":
            assert json is not None
            self.tags[json["key"]] = json["value"]
        if path == "registered-models/delete-tag":
            assert json is not None
            del self.tags[json["key"]]
        return super().call(method, path, json, **given)

    def search_versions(self, workspace: str, *, filter: str = "") -> Iterator[dict[str, Any]]:
        if self.gone:
            raise Missing("There is no such workspace")
        for (name, version), creator in self.creators.items():
            if filter == f"tags.`{mlflow_tags.CREATOR}` = '{creator}'":
                yield {"name": name, "version": str(version)}

    def set_version_tags(self, workspace: str, name: str, version: str, tags: Mapping[str, str]) -> None:
        self.creators[name, int(version)] = tags[mlflow_tags.CREATOR]


@pytest.fixture
def mlflow() -> Versions:
    return Versions()


@pytest.fixture
def service(tmp_path: Path, mlflow: Versions) -> Iterator[Service]:
    engine = Engine(f"sqlite:///{tmp_path}/workflows.db", DEFINITIONS)
    with bare_service(tmp_path, mlflow=mlflow, workflows=engine) as bare:
        made = replace(bare, access=Access(mlflow, bare.secrets, partial(identity.mlflow_account, bare.database)))  # type: ignore[arg-type]
        engine.attach(made)
        made.home.routes_file.parent.mkdir(parents=True)
        made.home.serving.mkdir(parents=True, exist_ok=True)
        make_place(made, "aws")
        identity.ensure_user(made, "heir")
        yield made


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(service) as client:
        client.headers.update(acting("bob"))
        yield client


def delete(service: Service, name: str) -> None:
    """Deletes a user, with the deployments' routes left as they are."""
    leaving.delete_user(service, identity.owner_principal(service), name, "heir")


def make_again(service: Service, name: str) -> Principal:
    people.put_user(service, identity.owner_principal(service), name, UserChange())
    return set_roles(service, name, "aws", "EnvironmentUser", "MLAdmin")


def begin(service: Service, person: Principal) -> Workflow:
    """A workflow that a person began and cancelled, and the event about it."""
    made = service.workflows.start(person, WorkflowKind.SYNCHRONIZE, resource=WINE)
    with service.database.session() as session:
        row = session.get_one(WorkflowRow, made.id)
        row.status, row.lock = WorkflowStatus.CANCELLED.value, None
    return to_schema(row)


async def test_events_and_workflows_are_of_the_person_and_not_of_the_name(
    service: Service, http: httpx.AsyncClient
) -> None:
    old = set_roles(service, "bob", "aws", "EnvironmentUser", "MLAdmin")
    workflow = begin(service, old)
    event = events.record(service, old, action="x.y", resource=WINE, outcome=EventOutcome.SUCCEEDED)
    assert [each["id"] for each in (await http.get("/workflows")).json()["items"]] == [workflow.id]
    assert event in [each["id"] for each in (await http.get("/events")).json()["items"]]
    delete(service, "bob")
    new = make_again(service, "bob")
    assert new.crn != old.crn
    for path in ("/workflows", "/events"):
        assert (await http.get(path)).raise_for_status().json()["items"] == []
    assert (await http.get("/events/choices")).json() == {"actors": [], "actions": []}
    assert (await http.get(f"/events/{event}/logs")).status_code == 404
    for path in (f"/workflows/{workflow.id}", f"/workflows/{workflow.id}/logs"):
        assert (await http.get(path)).status_code == 403
    for verb in ("retry", "cancel"):
        assert (await http.post(f"/workflows/{workflow.id}/{verb}")).status_code == 403
    own = begin(service, new)
    assert [each["id"] for each in (await http.get("/workflows")).json()["items"]] == [own.id]


async def test_the_stream_tells_what_the_person_did_and_not_what_the_name_did(service: Service) -> None:
    old = set_roles(service, "bob", "aws", "EnvironmentUser", "MLAdmin")
    told = Change(id="1", kind=ChangeKind.WORKFLOW, workflow=begin(service, old))
    assert stream._Follower(old).may_see(told)
    delete(service, "bob")
    assert not stream._Follower(make_again(service, "bob")).may_see(told)


def test_the_old_mlflow_password_opens_no_account_of_the_new_person(service: Service, mlflow: Versions) -> None:
    set_roles(service, "bob", "aws", "EnvironmentUser")
    passwords = []
    for _ in range(3):
        passwords.append(service.access.usable_password("bob"))
        assert mlflow.passwords["bob"] == passwords[-1]
        delete(service, "bob")
        assert "bob" not in mlflow.passwords
        make_again(service, "bob")
    assert len(set(passwords)) == 3
    # The password stays the same as long as the person does, over restarts of the service too.
    again = Access(mlflow, service.secrets, partial(identity.mlflow_account, service.database))  # type: ignore[arg-type]
    assert again.usable_password("bob") == service.access.usable_password("bob") not in passwords


@pytest.mark.parametrize("status", list(RegistryStatus))
def test_the_new_person_owns_no_model_of_a_registry_that_is_made_or_removed(
    service: Service, mlflow: Versions, status: RegistryStatus
) -> None:
    identity.ensure_user(service, "bob")
    with service.database.session() as session:
        session.get_one(RegistryRow, "aws-registry").status = status.value
    delete(service, "bob")
    assert mlflow.tags == {mlflow_tags.OWNER: "heir", f"{mlflow_tags.CONTRIBUTOR}heir": "true", "a": "b"}
    assert mlflow.creators == {("wine", 1): "heir", ("wine", 2): "eve"}


def test_a_registry_whose_models_are_gone_keeps_nobody(service: Service, mlflow: Versions) -> None:
    identity.ensure_user(service, "bob")
    with service.database.session() as session:
        session.get_one(RegistryRow, "aws-registry").status = RegistryStatus.DEPROVISION_STARTED.value
    mlflow.gone = True
    delete(service, "bob")
    with service.database.reading() as session:
        assert session.get(UserRow, "bob") is None


def test_a_registry_that_is_deleted_meanwhile_keeps_nobody(
    service: Service, mlflow: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list of all registries and its turn, and between its turn and MLflow's answer."""

    def enter(*given: Any, **named: Any) -> place.RegistryPlace:
        if after_entering:
            found = place.enter_registry(*given, **named)
        with service.database.session() as session:
            session.execute(sa.delete(RegistryRow))
        mlflow.gone = True
        return found if after_entering else place.enter_registry(*given, **named)

    monkeypatch.setattr(leaving, "enter_registry", enter)
    for after_entering in (True, False):
        identity.ensure_user(service, "bob")
        if not after_entering:
            make_place(service, "gcp")
        delete(service, "bob")
        with service.database.reading() as session:
            assert session.get(UserRow, "bob") is None and session.scalars(sa.select(RegistryRow)).all() == []


def test_a_live_registry_whose_models_mlflow_does_not_know_ends_no_person(service: Service, mlflow: Versions) -> None:
    identity.ensure_user(service, "bob")
    mlflow.gone = True
    with pytest.raises(Missing):
        delete(service, "bob")
    with service.database.reading() as session:
        assert session.get(UserRow, "bob") is not None


def test_the_event_says_which_policies_of_ranger_named_the_person(service: Service) -> None:
    identity.ensure_user(service, "bob")
    owner = identity.owner_principal(service)
    roles.create_role(service, owner, RangerRole(name="tasters", users=[RoleMember(name="bob")]))
    delete(service, "bob")
    with service.database.reading() as session:
        detail = session.scalars(sa.select(EventRow.detail).where(EventRow.action == "user.delete")).one()
    assert detail == "everything goes to heir; taken out of Ranger's role 'tasters'"
    make_again(service, "bob")
    assert roles.roles_of_user(service, owner, "bob") == []


@pytest.mark.parametrize("kind", ["users", "groups"])
def test_plugins_that_poll_get_the_roles_without_whoever_is_gone(service: Service, kind: str) -> None:
    """A plugin sends the version that it knows, and gets nothing while that is the last one."""
    identity.ensure_user(service, "bob")
    owner = identity.owner_principal(service)
    groups.put_group(service, owner, "bob", GroupChange())
    roles.create_role(service, owner, RangerRole(name="others", users=[RoleMember(name="eve")]))
    roles.create_role(service, owner, RangerRole.model_validate({"name": "tasters", kind: [{"name": "bob"}]}))

    def version() -> int:
        with service.database.reading() as session:
            return int(session.get_one(InstallationRow, roles._VERSION).value)

    before = version()
    forgetting.forget(service, "users" if kind == "groups" else "groups", "bob", owner.name)
    assert version() == before
    if kind == "users":
        delete(service, "bob")
    else:
        groups.delete_group(service, owner, "bob")
    assert version() == before + 1


def test_the_new_person_made_no_version_and_sent_no_request(service: Service, mlflow: Versions) -> None:
    identity.ensure_user(service, "bob")
    with service.database.session() as session:
        session.add(IdempotencyRow(id="i", digest="d", person="bob", request="POST /keys"))
    delete(service, "bob")
    assert mlflow.creators == {("wine", 1): "heir", ("wine", 2): "eve"}
    with service.database.reading() as session:
        assert session.scalars(sa.select(IdempotencyRow)).all() == []
        assert session.get(UserRow, "bob") is None
