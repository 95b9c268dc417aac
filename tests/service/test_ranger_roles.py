"""Ranger's roles: by its stock client, in policies, and as the object store obeys them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
from apache_ranger.client.ranger_client import RangerClient
from apache_ranger.exceptions import RangerServiceException
from apache_ranger.model.ranger_role import RangerRole, RoleMember

from registry_tui.client.client import RegistryClient
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Cloud, EnvironmentCreate
from registry_tui.schemas.ranger import PolicyItem, PolicyItemAccess, PolicyResource, RangerPolicy
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete, StorageAccess
from support.forwarding import forwarded
from support.machine_users import can_put
from support.platforms import PATIENCE, Platform, unique

API = "/service/public/v2/api/roles"


@dataclass(frozen=True)
class Raz:
    """A RAZ-enabled environment whose registry's machine user was given nothing."""

    platform: Platform
    registry: ModelRegistry
    service: str

    @property
    def machine_user(self) -> str:
        return self.registry.machine_user_workload_name or ""

    def ask(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        transport = httpx.HTTPTransport(uds=str(self.platform.home.service_socket))
        with httpx.Client(transport=transport, base_url="http://service", timeout=PATIENCE) as http:
            answer = http.request(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def role(self, *users: str, roles: tuple[str, ...] = ()) -> dict[str, Any]:
        """A new role of these people and roles."""
        body = {"name": unique("role"), "users": members(*users), "roles": members(*roles)}
        made: dict[str, Any] = self.ask("POST", API, json=body)
        return made

    def policy(self, *roles: str, path: str | None = None) -> RangerPolicy:
        """A policy that allows holders of these roles everything with the registry's archives."""
        accesses = [PolicyItemAccess(type=each) for each in ("read", "write", "list", "delete")]
        wanted = RangerPolicy(
            service=self.service,
            name=unique("for-roles"),
            resources={
                "bucket": PolicyResource(values=[self.registry.bucket]),
                "path": PolicyResource(values=[path or self.registry.prefix], is_recursive=True),
            },
            policy_items=[PolicyItem(roles=list(roles), accesses=accesses)],
        )
        return self.platform.call(RegistryClient.create_policy, wanted)

    def allowed(self, user: str) -> bool:
        """Whether the decision point lets somebody write there."""
        resource = f"path:{self.registry.bucket}/{self.registry.prefix}/x"
        answer = self.platform.call(RegistryClient.check_access, self.service, user, resource, ["write"])
        return answer.decision == "ALLOW"

    def can_put(self) -> bool:
        return can_put(self.platform, self.registry)

    def access(self) -> StorageAccess:
        return self.platform.call(RegistryClient.registry, self.registry.id).storage_access


def members(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "isAdmin": False} for name in names]


@pytest.fixture(scope="module")
def raz(platform: Platform) -> Iterator[Raz]:
    wanted = EnvironmentCreate(name=unique("raz").lower(), cloud=Cloud.AWS)
    environment = platform.call(RegistryClient.create_environment, wanted)
    request = RegistryCreate(environment=environment.name, grant_storage_access=False)
    made = platform.call(RegistryClient.create_registry, request)
    done = platform.call(RegistryClient.wait_for_workflow, made.workflow.id)
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    registry = platform.call(RegistryClient.registry, made.resource.id)
    service = platform.call(RegistryClient.ranger_service, environment.name).name
    yield Raz(platform, registry, service)
    gone = platform.call(RegistryClient.delete_registry, registry.id, RegistryDelete(delete_archives=True, force=True))
    platform.call(RegistryClient.wait_for_workflow, gone.workflow.id)


def test_the_stock_client_works_on_roles(platform: Platform) -> None:
    name, user = unique("stock"), unique("ana")
    with forwarded(platform.home.service_socket) as url:
        client = RangerClient(url, ("anybody", "nothing"))
        made = client.create_role("cm_s3", RangerRole({"name": name, "users": [RoleMember({"name": user})]}))
        assert made.id > 0 and made.version == 1 and made.guid and made.createdByUser
        assert client.get_role_by_id(made.id).name == name
        assert client.get_role(name, "anybody", "cm_s3").id == made.id
        assert [each.id for each in client.find_roles({"roleName": name})] == [made.id]
        assert name in [each.name for each in client.find_roles()]
        assert name in client.get_all_role_names("anybody", "cm_s3")
        above = client.create_role(
            "cm_s3", RangerRole({"name": f"{name}-above", "roles": [RoleMember({"name": name})]})
        )
        assert client.get_user_roles(user) == [name, f"{name}-above"]

        made.description, made.users = (
            "changed",
            [RoleMember({"name": user, "isAdmin": True}), RoleMember({"name": "b"})],
        )
        changed = client.update_role(made.id, made)
        assert changed.version == 2 and changed.description == "changed" and changed.guid == made.guid
        assert [(each["name"], each["isAdmin"]) for each in changed.users] == [(user, True), ("b", False)]

        with pytest.raises(RangerServiceException, match="has a role"):
            client.create_role("cm_s3", RangerRole({"name": name}))
        with pytest.raises(RangerServiceException, match=f"role '{name}-above' names it"):
            client.delete_role_by_id(made.id)
        client.delete_role_by_id(above.id)
        client.delete_role(name, "anybody", "cm_s3")
        # Nobody knows the name without its role.
        assert client.get_role_by_id(made.id) is None and client.get_user_roles(user) is None


def test_a_policy_for_a_role_counts_for_everybody_who_has_it(raz: Raz) -> None:
    user = unique("ana")
    inner = raz.role(user)
    outer = raz.role(roles=(inner["name"],))
    policy = raz.policy(outer["name"])
    assert raz.allowed(user) and not raz.allowed(unique("somebody"))
    raz.ask("PUT", f"{API}/{inner['id']}", json=inner | {"users": []})
    assert not raz.allowed(user)
    raz.platform.call(RegistryClient.delete_policy, policy.id or 0)
    for each in (outer, inner):
        raz.ask("DELETE", f"{API}/{each['id']}", status=204)


def test_the_object_store_obeys_a_role_at_the_next_request(raz: Raz) -> None:
    assert not raz.can_put()
    role = raz.role()
    policy = raz.policy(role["name"])
    assert not raz.can_put() and not raz.allowed(raz.machine_user)

    # The last part of its name names the machine user; the whole name is kept.
    short = raz.machine_user.rpartition("_")[2]
    given = raz.ask("PUT", f"{API}/{role['id']}", json=role | {"users": members(short)})
    assert [each["name"] for each in given["users"]] == [raz.machine_user]
    assert raz.can_put() and raz.allowed(raz.machine_user) and raz.access() is StorageAccess.GRANTED
    assert raz.ask("GET", f"{API}/user/{raz.machine_user}") == [role["name"]]

    raz.ask("PUT", f"{API}/{role['id']}", json=given | {"isEnabled": False})
    assert raz.ask("GET", f"{API}/user/{raz.machine_user}") == []
    assert not raz.can_put() and not raz.allowed(raz.machine_user)
    raz.ask("PUT", f"{API}/{role['id']}", json=given | {"isEnabled": True})
    assert raz.can_put() and raz.allowed(raz.machine_user)

    raz.ask("PUT", f"{API}/{role['id']}", json=given | {"users": []})
    assert raz.ask("GET", f"{API}/user/{raz.machine_user}") == []
    assert not raz.can_put() and not raz.allowed(raz.machine_user) and raz.access() is StorageAccess.NOT_GRANTED
    raz.platform.call(RegistryClient.delete_policy, policy.id or 0)
    raz.ask("DELETE", f"{API}/{role['id']}", status=204)


def test_a_role_that_is_named_is_neither_deleted_nor_renamed(raz: Raz) -> None:
    role = raz.role("ana")
    policy = raz.policy(role["name"], path="elsewhere")
    for method, body in (("DELETE", None), ("PUT", role | {"name": unique("other")})):
        refused = raz.ask(method, f"{API}/{role['id']}", status=409, json=body)
        assert policy.name in refused["detail"] and refused["action"] == "Take it out there first"
        assert refused["detail"] in refused["msgDesc"]
    raz.platform.call(RegistryClient.delete_policy, policy.id or 0)
    renamed = raz.ask("PUT", f"{API}/{role['id']}", json=role | {"name": unique("other")})
    raz.ask("DELETE", f"{API}/name/{renamed['name']}", status=204)
    raz.ask("GET", f"{API}/{role['id']}", status=404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "{new}", "users": members("")}, "users"),
        ({"name": "{new}", "groups": members("\x1b")}, "groups"),
        ({"name": "{new}", "roles": members("{new}")}, "roles"),
        ({"name": "{new}", "roles": members("role-that-nobody-made")}, "roles"),
        ({"name": "{new}", "users": members(*(f"user-{number}" for number in range(1001)))}, "users"),
    ],
)
def test_a_role_that_cannot_be_is_refused_with_its_field(body: dict[str, Any], field: str, raz: Raz) -> None:
    new = unique("wrong")

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [named(each) for each in value]
        if isinstance(value, dict):
            return {name: named(each) for name, each in value.items()}
        return new if value == "{new}" else value

    refused = raz.ask("POST", API, status=422, json=named(body))
    assert {each["field"] for each in refused["errors"]} == {field}
    assert new not in raz.ask("GET", f"{API}/names")


def test_changes_of_roles_are_events(raz: Raz) -> None:
    role = raz.role("ana")
    raz.ask("PUT", f"{API}/{role['id']}", json=role | {"description": "changed"})
    raz.ask("DELETE", f"{API}/{role['id']}", status=204)
    for verb in ("create", "update", "delete"):
        ask = partial(RegistryClient.events, action=f"ranger-role.{verb}", page_size=1000)
        assert role["name"] in [each.resource_name for each in raz.platform.call(ask).items], verb


def test_commands_make_change_and_delete_roles(raz: Raz) -> None:
    def run(*words: str) -> str:
        return raz.platform.command("ranger", "roles", *words).stdout

    name, short = unique("role"), raz.machine_user.rpartition("_")[2]
    policy = None
    made = json.loads(run("create", name, "--user", "ana", "--group", "staff", "--description", "for tests", "--json"))
    try:
        policy = raz.policy(name)
        assert not raz.can_put()
        assert "ana" in run("show", name) and name in run("list")
        run("update", name, "--add-user", short, "--remove-user", "ana", "--remove-group", "staff")
        assert raz.can_put()
        found = json.loads(run("show", str(made["id"]), "--json"))
        assert [each["name"] for each in found["users"]] == [raz.machine_user] and not found["groups"]
        run("update", name, "--disable")
        assert not raz.can_put()
        run("update", name, "--file", json.dumps(found))
        assert raz.can_put()
        run("update", name, "--remove-user", short)
        assert not raz.can_put() and found["description"] == "for tests"
        refused = raz.platform.command("ranger", "roles", "delete", name, "--yes", check=False)
        assert refused.returncode == 1 and f"policy {policy.name!r} names it" in refused.stderr
    finally:
        if policy is not None:
            raz.platform.call(RegistryClient.delete_policy, policy.id or 0)
        run("delete", name, "--yes")
    gone = raz.platform.command("ranger", "roles", "show", name, check=False)
    assert gone.returncode == 1 and "ranger roles list" in gone.stderr
