"""Every method of Ranger's stock client: it works here as with a Ranger Admin, or is refused with the reason."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from apache_ranger.client.ranger_client import RangerClient
from apache_ranger.exceptions import RangerServiceException
from apache_ranger.model.grant_revoke_role_request import GrantRevokeRoleRequest
from apache_ranger.model.ranger_policy import (
    RangerPolicy,
    RangerPolicyItem,
    RangerPolicyItemAccess,
    RangerPolicyResource,
)
from apache_ranger.model.ranger_role import RangerRole, RoleMember
from apache_ranger.model.ranger_security_zone import RangerSecurityZone, RangerSecurityZoneV2
from apache_ranger.model.ranger_service import RangerService
from apache_ranger.model.ranger_service_def import RangerServiceDef
from apache_ranger.model.ranger_service_tags import RangerServiceTags

from support.forwarding import forwarded
from support.platforms import PATIENCE, Platform, unique, wait_for

API = "/service/public/v2/api"
ZONE, ZONE_V2 = RangerSecurityZone({"name": "zone"}), RangerSecurityZoneV2({"name": "zone"})


@dataclass
class Stock:
    """The stock client at the service, with the things it made."""

    client: RangerClient
    url: str
    name: str = field(default_factory=lambda: unique("walk"))

    @property
    def service_id(self) -> int:
        found: int = self.client.get_service("cm_s3").id
        return found

    def policy(self) -> RangerPolicy:
        """A new policy of a role and a person that nobody else names."""
        wanted = RangerPolicy()
        wanted.service, wanted.name = "cm_s3", unique("walk")
        wanted.resources = {
            "bucket": RangerPolicyResource({"values": [self.name]}),
            "path": RangerPolicyResource({"values": [wanted.name], "isRecursive": True}),
        }
        item = RangerPolicyItem()
        item.users, item.groups = [f"{self.name}-user"], [f"{self.name}-group"]
        item.accesses = [RangerPolicyItemAccess({"type": "read"})]
        wanted.policyItems = [item]
        made: RangerPolicy = self.client.create_policy(wanted)
        return made

    def role(self, **members: list[str]) -> RangerRole:
        given = {kind: [RoleMember({"name": each}) for each in names] for kind, names in members.items()}
        made: RangerRole = self.client.create_role("cm_s3", RangerRole({"name": unique("walk"), **given}))
        return made

    def raw(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}{path}", timeout=PATIENCE, **options)


@pytest.fixture(scope="module")
def stock(platform: Platform) -> Iterator[Stock]:
    with forwarded(platform.home.service_socket) as url:
        stock = Stock(RangerClient(url, ("anybody", "nothing")), url)
        yield stock
        for policy in stock.client.find_policies({"user": f"{stock.name}-user"}):
            stock.client.delete_policy_by_id(policy.id)


Walk = Callable[[Stock], None]


def definitions(stock: Stock) -> None:
    client = stock.client
    assert {"s3", "adls"} <= {each.name for each in client.find_service_defs()}
    (found,) = client.find_service_defs({"serviceType": "s3"})
    assert client.get_service_def_by_id(found.id).name == client.get_service_def("s3").name == "s3"
    assert client.get_service_def("none") is None


def services(stock: Stock) -> None:
    client = stock.client
    found = client.find_services({"serviceName": "cm_s3"})
    assert [each.name for each in found] == ["cm_s3"]
    assert "cm_s3" in [each.name for each in client.find_services({"serviceType": "s3", "isEnabled": "true"})]
    assert client.find_services({"serviceType": "hive"}) == client.find_services({"isEnabled": "false"}) == []
    assert client.get_service_by_id(found[0].id).name == client.get_service("cm_s3").name
    assert client.get_service("none") is None


def policies(stock: Stock) -> None:
    client, made = stock.client, stock.policy()
    assert client.get_policy_by_id(made.id).name == made.name
    assert client.get_policy("cm_s3", made.name).id == made.id
    assert made.id in [each.id for each in client.get_policies_in_service("cm_s3")]
    made.description = "by ID"
    assert client.update_policy_by_id(made.id, made).description == "by ID"
    made.description = "by name"
    assert client.update_policy("cm_s3", made.name, made).description == "by name"
    item = RangerPolicyItem({"users": [f"{stock.name}-other"], "accesses": [{"type": "write"}]})
    applied = client.apply_policy(RangerPolicy({**made, "policyItems": [item]}))
    assert applied.id == made.id and len(applied.policyItems) == 2
    client.delete_policy_by_id(made.id)
    assert client.get_policy_by_id(made.id) is None
    other = stock.policy()
    client.delete_policy("cm_s3", other.name)
    assert client.get_policy("cm_s3", other.name) is None


def filters(stock: Stock) -> None:
    """A filter finds the named policies and no others, for callers that delete all results."""
    client, made = stock.client, stock.policy()
    for wanted in (
        {"policyName": made.name},
        {"policyNamePartial": made.name[1:].upper()},
        {"policyId": made.id},
        {"guid": made.guid},
    ):
        assert [each.id for each in client.find_policies(wanted)] == [made.id], wanted
        assert [each.id for each in client.get_policies_in_service("cm_s3", wanted)] == [made.id], wanted
    mine = {"policyName": made.name}
    for wanted in (
        {"user": f"{stock.name}-user"},
        {"group": f"{stock.name}-group"},
        {"isEnabled": "true"},
        {"policyType": "0"},
        {"policyPriority": "0"},
        {"serviceType": "s3"},
    ):
        assert [each.id for each in client.find_policies(wanted | mine)] == [made.id], wanted
    for wanted in (
        {"user": f"{stock.name}-nobody"},
        {"group": f"{stock.name}-user"},
        {"role": f"{stock.name}-user"},
        {"isEnabled": "false"},
        {"policyType": "1"},
        {"policyPriority": "1"},
        {"serviceType": "adls"},
        {"policyLabel": "none"},
        {"zoneName": "zone"},
        {"startIndex": "1"},
        {"pageSize": "0"},
    ):
        assert client.find_policies(wanted | mine) == [], wanted
    for wanted in ({"resource:path": "x"}, {"tagServiceName": "x"}, {"sortBy": "policyName"}):
        with pytest.raises(RangerServiceException, match=f"cannot be filtered by {next(iter(wanted))}"):
            client.find_policies(wanted)


def zones_of_policies(stock: Stock) -> None:
    """Without zones a zone has no policies; the policy of this name is not the one that was named."""
    client, made = stock.client, stock.policy()
    assert client.get_policy_by_name_zone("cm_s3", made.name, "zone") is None
    assert client.get_policy_by_name_zone("cm_s3", made.name, "").id == made.id
    changed = RangerPolicy({**made, "description": "in a zone"})
    assert client.update_policy_by_name_zone("cm_s3", made.name, "zone", changed) is None
    client.delete_policy_by_name_zone("cm_s3", made.name, "zone")
    assert client.get_policy_by_id(made.id).version == made.version
    assert client.update_policy_by_name_zone("cm_s3", made.name, "", changed).description == "in a zone"
    client.delete_policy_by_name_zone("cm_s3", made.name, "")
    assert client.get_policy_by_id(made.id) is None


def zones(stock: Stock) -> None:
    client = stock.client
    assert client.find_security_zones() == client.get_security_zone_headers() == []
    assert client.find_security_zones_v2().list == [] and client.find_security_zones_v2().totalCount == 0
    assert client.get_zone_names_for_resource("cm_s3", {"bucket": "lake", "path": "raw"}) == []
    assert client.get_security_zone("zone") is client.get_security_zone_by_id(2) is None
    assert client.get_security_zone_v2("zone") is client.get_security_zone_v2_by_id(2) is None
    assert client.get_security_zone_service_headers(2) is None
    assert client.zone_v2_get_resources("zone", "cm_s3") is client.zone_v2_by_id_get_resources(2, "cm_s3") is None
    answer = stock.raw("GET", f"{API}/zones/name/zone")
    assert answer.status_code == 404
    assert answer.json()["msgDesc"].startswith("There is no security zone 'zone': there are no security zones here")


def roles(stock: Stock) -> None:
    client, made = stock.client, stock.role(users=[f"{stock.name}-user"], groups=[f"{stock.name}-group"])
    assert client.get_role_by_id(made.id).name == made.name
    assert client.get_role(made.name, "anybody", "cm_s3").id == made.id
    assert made.name in client.get_all_role_names("anybody", "cm_s3")
    assert client.get_user_roles(f"{stock.name}-user") == [made.name]
    partial = {"roleNamePartial": made.name[1:]}
    for wanted in ({"roleName": made.name}, partial, partial | {"userName": f"{stock.name}-user"}):
        assert [each.id for each in client.find_roles(wanted)] == [made.id], wanted
    assert client.find_roles(partial | {"groupName": f"{stock.name}-user"}) == []
    made.description = "changed"
    assert client.update_role(made.id, made).description == "changed"
    client.delete_role_by_id(made.id)
    other = stock.role()
    client.delete_role(other.name, "anybody", "cm_s3")
    assert client.get_role_by_id(made.id) is client.get_role_by_id(other.id) is None


def grants(stock: Stock) -> None:
    """Both are carried out; the answer that a Ranger Admin gives is one that this client cannot read."""
    client, role = stock.client, stock.role()
    request = GrantRevokeRoleRequest({"targetRoles": [role.name], "users": [f"{stock.name}-user"], "grantOption": True})
    with pytest.raises(TypeError, match="super"):
        client.grant_role("cm_s3", request)
    members = client.get_role_by_id(role.id).users
    assert [(each["name"], each["isAdmin"]) for each in members] == [(f"{stock.name}-user", True)]
    for left in ([(f"{stock.name}-user", False)], []):
        with pytest.raises(TypeError, match="super"):
            client.revoke_role("cm_s3", request)
        request.grantOption = False
        members = client.get_role_by_id(role.id).users
        assert [(each["name"], each["isAdmin"]) for each in members] == left
    client.delete_role_by_id(role.id)


def tags(stock: Stock) -> None:
    found = stock.client.get_service_tags("cm_s3")
    assert found.serviceName == "cm_s3" and not found.tags and not found.serviceResources
    assert stock.client.get_service_tags("none") is None


#: Which methods each walk calls.
WALKS: dict[Walk, str] = {
    definitions: "find_service_defs get_service_def_by_id get_service_def",
    services: "find_services get_service_by_id get_service",
    policies: (
        "create_policy get_policy_by_id get_policy get_policies_in_service update_policy_by_id update_policy "
        "apply_policy delete_policy_by_id delete_policy"
    ),
    filters: "find_policies",
    zones_of_policies: "get_policy_by_name_zone update_policy_by_name_zone delete_policy_by_name_zone",
    zones: (
        "find_security_zones find_security_zones_v2 get_security_zone_headers get_zone_names_for_resource "
        "get_security_zone get_security_zone_by_id get_security_zone_v2 get_security_zone_v2_by_id "
        "get_security_zone_service_headers zone_v2_get_resources zone_v2_by_id_get_resources"
    ),
    roles: (
        "create_role get_role_by_id get_role get_all_role_names get_user_roles find_roles update_role "
        "delete_role_by_id delete_role"
    ),
    grants: "grant_role revoke_role",
    tags: "get_service_tags",
}
#: Refused calls, with words of the reason.
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "create_service_def": ((RangerServiceDef({"name": "x"}),), "definitions s3 and adls are fixed"),
    "update_service_def_by_id": ((1, RangerServiceDef({"name": "x"})), "definitions s3 and adls are fixed"),
    "update_service_def": (("s3", RangerServiceDef({"name": "s3"})), "definitions s3 and adls are fixed"),
    "delete_service_def_by_id": ((1,), "definitions s3 and adls are fixed"),
    "delete_service_def": (("s3",), "definitions s3 and adls are fixed"),
    "create_service": ((RangerService({"name": "x", "type": "s3"}),), "belongs to a RAZ-enabled environment"),
    "update_service_by_id": ((1, RangerService({"name": "x"})), "belongs to a RAZ-enabled environment"),
    "update_service": (("cm_s3", RangerService({"name": "cm_s3"})), "belongs to a RAZ-enabled environment"),
    "delete_service_by_id": ((1,), "belongs to a RAZ-enabled environment"),
    "delete_service": (("cm_s3",), "belongs to a RAZ-enabled environment"),
    "create_security_zone": ((ZONE,), "No security zone can be made"),
    "update_security_zone_by_id": ((2, ZONE), "There is no security zone"),
    "delete_security_zone_by_id": ((2,), "There is no security zone"),
    "delete_security_zone": (("zone",), "There is no security zone"),
    "create_security_zone_v2": ((ZONE_V2,), "No security zone can be made"),
    "update_security_zone_v2": ((2, ZONE_V2), "There is no security zone"),
    "partial_update_security_zone_v2": ((2, {"name": "zone"}), "There is no security zone"),
    "import_service_tags": (("cm_s3", RangerServiceTags()), "Tags of resources are not kept here"),
    "delete_policy_deltas": ((7, True), "there is nothing to delete"),
    "purge_records": (("login_records", 7), "there is nothing to delete"),
}


def test_every_method_of_the_stock_client_is_walked_or_refused() -> None:
    methods = {name for name, _ in inspect.getmembers(RangerClient, inspect.isfunction) if not name.startswith("_")}
    walked = [name for names in WALKS.values() for name in names.split()]
    assert sorted([*walked, *REFUSED]) == sorted(methods)


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.__name__)
def test_the_stock_client_gets_what_a_ranger_admin_gives(walk: Walk, stock: Stock) -> None:
    called = set[str]()

    class Noted(RangerClient):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            called.add(name)
            return super().__getattribute__(name)

    walk(Stock(Noted(stock.url, ("anybody", "nothing")), stock.url, stock.name))
    assert set(WALKS[walk].split()) <= called


def test_what_cannot_be_here_is_refused_with_the_reason_and_changes_nothing(stock: Stock) -> None:
    client = stock.client
    before = (client.find_service_defs(), client.find_services({"serviceName": "cm_s3"}), client.find_security_zones())
    for method, (arguments, words) in REFUSED.items():
        with pytest.raises(RangerServiceException, match=words) as refused:
            getattr(client, method)(*arguments)
        assert refused.value.statusCode == 400, method
    after = (client.find_service_defs(), client.find_services({"serviceName": "cm_s3"}), client.find_security_zones())
    assert after == before


def test_a_grant_answers_as_a_ranger_admin_and_refuses_what_cannot_be(stock: Stock) -> None:
    inner, outer = stock.role(), stock.role()
    user = unique("ana")

    def send(verb: str, status: int, **request: Any) -> Any:
        answer = stock.raw("PUT", f"{API}/roles/{verb}/cm_s3", json=request)
        assert answer.status_code == status, answer.text
        return answer.json()

    assert send("grant", 200, targetRoles=[inner.name, outer.name], users=[user]) == {"statusCode": 0}
    assert stock.client.get_user_roles(user) == sorted([inner.name, outer.name])
    # Again, also for somebody else: holders keep the role, as an admin or not.
    send("grant", 200, targetRoles=[inner.name], users=[user, "b"], groups=["g"], grantOption=False)
    found = stock.client.get_role_by_id(inner.id)
    assert [each["name"] for each in found.users] == [user, "b"] and [each["name"] for each in found.groups] == ["g"]
    # In the name of somebody: only an admin of the role.
    refused = send("revoke", 403, targetRoles=[inner.name], users=["b"], grantor=user)
    assert refused["detail"] == f"{user} is not an admin of role {inner.name!r}, and can neither grant nor revoke it"
    send("grant", 200, targetRoles=[inner.name], users=[user], grantOption=True)
    send("revoke", 200, targetRoles=[inner.name], users=["b"], groups=["g"], grantor=user)
    assert [each["name"] for each in stock.client.get_role_by_id(inner.id).users] == [user]

    send("grant", 200, targetRoles=[outer.name], roles=[inner.name])
    round_about = send("grant", 422, targetRoles=[inner.name], roles=[outer.name])
    assert "is a member of" in round_about["msgDesc"]
    for request, field_ in (
        ({"targetRoles": ["role-that-nobody-made"], "users": [user]}, "targetRoles"),
        ({"users": [user]}, "targetRoles"),
        ({"targetRoles": [inner.name]}, "users"),
        ({"targetRoles": [inner.name], "users": ["{USER}"]}, "users"),
        ({"targetRoles": [inner.name], "roles": ["role-that-nobody-made"]}, "roles"),
    ):
        assert {each["field"] for each in send("grant", 422, **request)["errors"]} == {field_}
    for each in (outer, inner):
        stock.client.delete_role_by_id(each.id)


def test_plugins_download_roles_until_nothing_changed(stock: Stock) -> None:
    def download(known: int = -1) -> httpx.Response:
        parameters = {"lastKnownRoleVersion": known, "lastActivationTime": 0, "pluginId": "p", "clusterName": ""}
        return stock.raw("GET", "/service/roles/download/cm_s3", params=parameters)

    role, versions = stock.role(users=["ana"]), list[int]()

    def roles_now() -> list[dict[str, Any]]:
        answer = download().json()
        assert answer["serviceName"] == "cm_s3" and answer["roleUpdateTime"] > 0
        versions.append(answer["roleVersion"])
        return [each for each in answer["rangerRoles"] if each["id"] == role.id]

    (found,) = roles_now()
    assert found["name"] == role.name and [each["name"] for each in found["users"]] == ["ana"]
    stock.client.update_role(role.id, RangerRole({"name": role.name}))
    assert roles_now()[0]["users"] == []
    stock.client.delete_role_by_id(role.id)
    assert roles_now() == []
    # Other tests change roles too: a version never comes again.
    assert versions == sorted(set(versions))
    # Others may change a role between two questions.
    wait_for(lambda: download(download().json()["roleVersion"]).status_code == 304, what="an answer without roles")
    assert stock.raw("GET", "/service/roles/download/none").status_code == 404
