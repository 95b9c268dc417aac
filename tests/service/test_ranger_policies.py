"""Ranger's policies by its own REST addresses: kept, enforced by the object store at the next request, and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from registry_tui.client.errors import Conflict
from registry_tui.schemas.operations import EventOutcome, WorkflowStatus
from registry_tui.schemas.places import Cloud, CollaboratorChange, Environment, EnvironmentCreate, Role
from registry_tui.schemas.ranger import RangerPolicy
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete, StorageAccess
from support.machine_users import can_put, machine_store
from support.platforms import PATIENCE, Platform, early_enough, unique, wait_for

API = "/service/public/v2/api"


@dataclass(frozen=True)
class Place:
    """A RAZ-enabled environment with a registry whose machine user was given nothing."""

    platform: Platform
    environment: Environment
    registry: ModelRegistry
    service: str
    http: httpx.Client = field(repr=False)

    def ask(self, method: str, path: str, *, status: int = 200, user: str | None = None, **options: Any) -> Any:
        headers = {**options.pop("headers", {}), **({} if user is None else {"X-Registry-User": user})}
        answer = self.http.request(method, path, headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def policy(self, name: str, path: str, user: str, *accesses: str, **more: Any) -> dict[str, Any]:
        """A policy as Ranger's clients write it."""
        return {
            "service": self.service,
            "name": name,
            "resources": {
                "bucket": {"values": [self.environment.bucket]},
                "path": {"values": [path], "isRecursive": True},
            },
            "policyItems": [{"users": [user], "accesses": [{"type": type_, "isAllowed": True} for type_ in accesses]}],
            **more,
        }

    def machine(self) -> Any:
        """The object store, with the machine user's own key."""
        return machine_store(self.platform, self.registry)

    def can_put(self, key: str) -> bool:
        return can_put(self.platform, self.registry, key)

    def access(self) -> StorageAccess:
        return self.platform.ask(lambda client: client.registry(self.registry.id)).storage_access


@pytest.fixture(scope="module")
def place(platform: Platform) -> Iterator[Place]:
    environment = platform.ask(
        lambda client: client.create_environment(EnvironmentCreate(name=unique("raz").lower(), cloud=Cloud.AWS))
    )
    request = RegistryCreate(environment=environment.name, grant_storage_access=False)
    made = platform.ask(lambda client: client.create_registry(request))
    done = platform.ask(lambda client: client.wait_for_workflow(made.workflow.id))
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    with httpx.Client(transport=transport, base_url="http://service", timeout=PATIENCE) as http:
        services = http.get(f"{API}/service").json()
        name = next(each["name"] for each in services if each["configs"]["environment"] == environment.name)
        yield Place(platform, environment, made.resource, name, http)
    gone = platform.ask(
        lambda client: client.delete_registry(made.resource.id, RegistryDelete(delete_archives=True, force=True))
    )
    platform.ask(lambda client: client.wait_for_workflow(gone.workflow.id))


def test_every_raz_enabled_environment_has_a_service_with_its_first_policy(place: Place) -> None:
    described = place.ask("GET", f"{API}/service/name/{place.service}")
    assert (described["type"], described["displayName"]) == ("s3", "cm_s3")
    assert place.ask("GET", f"{API}/service/{described['id']}")["name"] == place.service
    [first] = [
        each for each in place.ask("GET", f"{API}/service/{place.service}/policy") if each["name"].startswith("all")
    ]
    assert first["name"] == "all - bucket, path"
    assert first["resources"]["path"] == {"values": ["*"], "isExcludes": False, "isRecursive": True}
    kinds = place.ask("GET", f"{API}/servicedef")
    assert {kind["name"]: [level["name"] for level in kind["resources"]] for kind in kinds} == {
        "s3": ["bucket", "path"],
        "adls": ["storageaccount", "storageaccountcontainer", "relativepath"],
    }
    assert place.ask("GET", f"{API}/servicedef/name/adls")["id"] == 2


def test_the_documented_procedure_lets_the_machine_user_in(place: Place) -> None:
    """Add the machine user, by the last part of its name, to the allow conditions of *all - bucket, path*."""
    assert place.access() is StorageAccess.NOT_GRANTED and not place.can_put("modelregistry/x")
    whole = place.registry.machine_user_workload_name
    assert whole is not None and whole.startswith("srv_cml_env_machine_user_")
    before = place.ask("GET", f"{API}/service/{place.service}/policy/all%20-%20bucket,%20path")
    items = json.loads(json.dumps(before["policyItems"]))
    items[0]["users"].append(whole.rpartition("_")[2])
    after = place.ask("PUT", f"{API}/policy/{before['id']}", json={**before, "policyItems": items})
    # The whole name is kept and shown.
    assert after["policyItems"][0]["users"] == [*before["policyItems"][0]["users"], whole]
    assert after["version"] == before["version"] + 1 and after["guid"] == before["guid"]
    assert place.can_put("modelregistry/x") and place.can_put("workspaces/y")
    assert place.access() is StorageAccess.GRANTED
    # Taking the name out again takes the access away, at the next request.
    place.ask("PUT", f"{API}/policy/{before['id']}", json=before)
    assert not place.can_put("modelregistry/x")
    assert place.access() is StorageAccess.NOT_GRANTED


def test_granting_and_revoking_are_policies_too(place: Place) -> None:
    granted = place.platform.ask(lambda client: client.grant_storage_access(place.registry.id))
    assert granted.storage_access is StorageAccess.GRANTED
    assert place.can_put("modelregistry/x") and not place.can_put("workspaces/y")
    mine = [
        each
        for each in place.ask("GET", f"{API}/policy?serviceName={place.service}")
        if "Model Registry" in each["name"]
    ]
    assert sorted(each["resources"]["path"]["values"][0] for each in mine) == ["modelregistry", "workspaces"]
    # Again changes nothing.
    place.platform.ask(lambda client: client.grant_storage_access(place.registry.id))
    assert len(place.ask("GET", f"{API}/policy?serviceName={place.service}")) == 3
    # An override that denies beats it.
    user = place.registry.machine_user_workload_name or ""
    denial = place.policy("freeze", "modelregistry", user, policyPriority=1)
    denial["denyPolicyItems"] = [{"users": [user], "accesses": [{"type": "write"}]}]
    denial["policyItems"] = []
    made = place.ask("POST", f"{API}/policy", json=denial)
    assert not place.can_put("modelregistry/x") and place.access() is StorageAccess.NOT_GRANTED
    place.ask("DELETE", f"{API}/policy/{made['id']}", status=204)
    assert place.can_put("modelregistry/x") and place.access() is StorageAccess.GRANTED
    revoked = place.platform.ask(lambda client: client.revoke_storage_access(place.registry.id))
    assert revoked.storage_access is StorageAccess.NOT_GRANTED and not place.can_put("modelregistry/x")


def test_a_change_to_a_version_is_refused_once_somebody_else_changed_the_policy(place: Place) -> None:
    name = unique("policy")
    asked = RangerPolicy.model_validate(place.policy(name, "shared", "ana", "read"))
    made = place.platform.ask(lambda client: client.create_policy(asked))

    def save(version: int | None, description: str = "mine") -> RangerPolicy:
        wanted = made.model_copy(update={"description": description})
        return place.platform.ask(lambda client: client.update_policy(made.id or 0, wanted, version=version))

    as_json = made.model_dump(mode="json")
    place.ask("PUT", f"{API}/policy/{made.id}", json={**as_json, "description": "another's"})
    with pytest.raises(Conflict, match="version 2, and the change was made to version 1") as refused:
        save(1)
    assert [each.field for each in refused.value.problem.errors] == ["version"]
    assert place.ask("GET", f"{API}/policy/{made.id}")["description"] == "another's"
    assert save(2).description == "mine"
    # As with Ranger, the version that the policy itself holds decides nothing.
    assert save(None, "without one").version == 4
    place.ask("PUT", f"{API}/policy/{made.id}", status=422, json=as_json, headers={"If-Match": "many"})
    place.ask("DELETE", f"{API}/policy/{made.id}", status=204)


def test_policies_are_created_applied_and_deleted_by_name(place: Place) -> None:
    name = f"{unique('policy')} [x] ünï"
    made = place.ask("POST", f"{API}/policy", json=place.policy(name, "/shared/", "ana", "read"))
    assert made["version"] == 1 and made["createdBy"] and made["resources"]["path"]["values"] == ["shared/"]
    place.ask("POST", f"{API}/policy", status=409, json=place.policy(name, "elsewhere", "ana", "read"))
    added = place.policy(name, "shared/", "ben", "write")
    applied = place.ask("POST", f"{API}/policy/apply", json=added)
    assert applied["id"] == made["id"]
    assert [item["users"] for item in applied["policyItems"]] == [["ana"], ["ben"]]
    versions = place.ask("GET", f"/service/plugins/policies/download/{place.service}")
    assert [each["name"] for each in versions["policies"]] == ["all - bucket, path", name]
    known = f"/service/plugins/policies/download/{place.service}?lastKnownVersion={versions['policyVersion']}"
    place.ask("GET", known, status=304)
    query = {"servicename": place.service, "policyname": name}
    place.ask("DELETE", f"{API}/policy", status=204, params=query)
    assert place.ask("GET", known)["policyVersion"] > versions["policyVersion"]
    place.ask("GET", f"{API}/policy/{made['id']}", status=404)


def test_the_decision_point_is_asked(place: Place) -> None:
    made = place.ask("POST", f"{API}/policy", json=place.policy(unique("asked"), "lake", "ana", "read"))

    def verdict(user: str, *permissions: str) -> str:
        resource = {"name": f"path:{place.environment.bucket}/lake/table"}
        body = {
            "requestId": "1",
            "user": {"name": user},
            "access": {"resource": resource, "permissions": list(permissions)},
            "context": {"serviceName": place.service},
        }
        return str(place.ask("POST", "/authz/v1/authorize", json=body)["decision"])

    assert (verdict("ana", "read"), verdict("ana", "read", "write"), verdict("ben", "read")) == (
        "ALLOW",
        "DENY",
        "DENY",
    )
    place.ask("DELETE", f"{API}/policy/{made['id']}", status=204)
    assert verdict("ana", "read") == "DENY"


def test_a_validity_period_begins_and_ends_by_itself(place: Place) -> None:
    user, past, future = place.registry.machine_user_workload_name or "", timedelta(days=-1), timedelta(days=1)

    @contextmanager
    def valid(begins: timedelta, ends: timedelta) -> Iterator[None]:
        """While a policy is there that is valid in this period, counted from now."""
        start, end = ((datetime.now(UTC) + each).strftime("%Y/%m/%d %H:%M:%S") for each in (begins, ends))
        period = {"startTime": start, "endTime": end, "timeZone": "UTC"}
        body = place.policy(unique("period"), "soon", user, "write", validitySchedules=[period])
        made = place.ask("POST", f"{API}/policy", json=body)
        yield
        place.ask("DELETE", f"{API}/policy/{made['id']}", status=204)

    def begins_by_itself(span: timedelta) -> bool:
        with valid(span, future):
            early = not place.can_put("soon/x")
            wait_for(lambda: place.can_put("soon/x"), what="the period to begin")
        return early

    def ends_by_itself(span: timedelta) -> bool:
        with valid(past, span):
            early = place.can_put("soon/x")
            wait_for(lambda: not place.can_put("soon/x"), what="the period to end")
        return early

    early_enough(begins_by_itself)
    early_enough(ends_by_itself)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"policyType": 1}, "policyType"),
        ({"policyPriority": 2}, "policyPriority"),
        ({"zoneName": "z"}, "zoneName"),
        ({"resources": {"bucket": {"values": ["b"]}}}, "resources.path"),
        ({"resources": {"bucket": {"values": []}, "path": {"values": ["x"]}}}, "resources.bucket"),
        ({"resources": {"bucket": {"values": ["b"]}, "path": {"values": ["x"]}, "tag": {}}}, "resources.tag"),
        ({"resources": {"bucket": {"values": ["b"]}, "path": {"values": ["a\\b", "${x}"]}}}, "resources.path"),
        ({"resources": {"bucket": {"values": ["b"]}, "path": {"values": ["a\x1bb"]}}}, "resources.path"),
        ({"policyItems": []}, "policyItems"),
        ({"policyItems": [{"accesses": [{"type": "read"}]}]}, "policyItems.0"),
        ({"policyItems": [{"users": ["a"], "accesses": [{"type": "execute"}]}]}, "policyItems.0.accesses"),
        ({"conditions": [{"type": "_expression", "values": ["true"]}]}, "conditions"),
        ({"validitySchedules": [{"startTime": "tomorrow"}]}, "validitySchedules.0.startTime"),
        (
            {"validitySchedules": [{"startTime": "2026/01/02 00:00:00", "endTime": "2026/01/01 00:00:00"}]},
            "validitySchedules.0.endTime",
        ),
        ({"validitySchedules": [{"startTime": "2026/01/02 00:00:00", "timeZone": "Nowhere"}]}, "validitySchedules.0"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_fields(place: Place, change: dict[str, Any], field: str) -> None:
    body = place.policy(unique("wrong"), "x", "ana", "read") | change
    answer = place.ask("POST", f"{API}/policy", status=422, json=body)
    assert any(each["field"].startswith(field) for each in answer["errors"]), answer
    # Ranger's own clients show this field.
    assert answer["detail"] in answer["msgDesc"]


def test_policies_are_for_administrators(place: Place) -> None:
    project = place.platform.new_project()
    guest = unique("guest")
    change = CollaboratorChange(role=Role.CONTRIBUTOR)
    place.platform.ask(lambda client: client.set_collaborator(project.id, guest, change))
    for path in (
        f"{API}/service",
        f"{API}/policy",
        f"{API}/servicedef",
        f"/service/plugins/policies/download/{place.service}",
    ):
        place.ask("GET", path, status=403, user=guest)
    place.ask("POST", f"{API}/policy", status=403, user=guest, json=place.policy("mine", "*", guest, "read"))
    first = place.ask("GET", f"{API}/service/{place.service}/policy")[0]
    place.ask("PUT", f"{API}/policy/{first['id']}", status=403, user=guest, json=first)
    place.ask("DELETE", f"{API}/policy/{first['id']}", status=403, user=guest)


def test_a_change_without_rights_is_refused_before_anything_is_looked_up(place: Place) -> None:
    """A person who may not change policies learns neither of existing ones nor of requirements; it leaves an event."""
    project = place.platform.new_project()
    guest = unique("guest")
    change = CollaboratorChange(role=Role.CONTRIBUTOR)
    place.platform.ask(lambda client: client.set_collaborator(project.id, guest, change))
    missing, wrong = unique("missing"), {"name": 5, "policyItems": "none"}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", f"{API}/policy", {"json": {"service": missing, "name": "x"}}),
        ("POST", f"{API}/policy", {"json": wrong}),
        ("POST", f"{API}/policy/apply", {"json": {"service": missing, "name": "x"}}),
        ("POST", f"{API}/policy/apply", {"json": wrong}),
        ("PUT", f"{API}/policy/999999999", {"json": place.policy("x", "x", guest, "read")}),
        ("PUT", f"{API}/policy/999999999", {"json": wrong}),
        ("PUT", f"{API}/policy/{missing}", {"json": wrong}),
        ("PUT", f"{API}/service/{missing}/policy/{missing}", {"json": wrong}),
        ("DELETE", f"{API}/policy/999999999", {}),
        ("DELETE", f"{API}/policy", {"params": {"servicename": missing, "policyname": missing}}),
    ]
    for method, path, options in requests:
        answer = place.ask(method, path, status=403, user=guest, **options)
        assert guest in answer["detail"] and missing not in answer["detail"]
    events = place.platform.ask(lambda client: client.events(actor=guest, page_size=100)).items
    denied = [each.action for each in events if each.outcome is EventOutcome.DENIED]
    assert sorted(denied) == sorted(
        ["policy.create"] * 2 + ["policy.apply"] * 2 + ["policy.update"] * 4 + ["policy.delete"] * 2
    )


def test_an_applied_policy_that_is_refused_leaves_an_event(place: Place) -> None:
    name = unique("wrong")
    body = place.policy(name, "x", "ana", "read") | {"policyType": 1}
    place.ask("POST", f"{API}/policy/apply", status=422, json=body)
    [event] = place.platform.events(action="policy.apply", resource=name)
    assert event.outcome is EventOutcome.FAILED and "policyType" in event.detail
    made = place.ask("POST", f"{API}/policy/apply", json=body | {"policyType": 0})
    place.ask("DELETE", f"{API}/policy/{made['id']}", status=204)


def test_policies_too_large_for_the_store_change_nothing(place: Place) -> None:
    user = place.registry.machine_user_workload_name or ""
    body = place.policy(unique("large"), "x", user, "read")
    body["resources"]["path"]["values"] = [f"{'x' * 200}{number}" for number in range(150)]
    answer = place.ask("POST", f"{API}/policy", status=422, json=body)
    assert "too large for the object store" in answer["detail"]
    assert all(each["name"] != body["name"] for each in place.ask("GET", f"{API}/policy"))
