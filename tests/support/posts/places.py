"""POSTs about environments, projects, registries, and the workflows that make them."""

from __future__ import annotations

from typing import Any

from support.platforms import unique
from support.posts.calls import Call, Place, changes_of


def environment(place: Place) -> Call:
    name = unique("e")
    count = lambda: [each["name"] for each in place.items("/environments")].count(name)  # noqa: E731
    return Call("/environments", {"name": name}, count)


def workspace(place: Place) -> Call:
    name = unique("w")
    count = lambda: [each["name"] for each in place.items("/workspaces")].count(name)  # noqa: E731
    return Call("/workspaces", {"name": name, "environment": "local"}, count)


def attached(place: Place) -> Call:
    name = unique("a")
    count = lambda: [each["name"] for each in place.items("/attached-servers")].count(name)  # noqa: E731
    return Call("/attached-servers", {"name": name, "environment": "local", "url": place.stock.url}, count)


def imported(place: Place) -> Call:
    name = unique("a")
    place.send("/attached-servers", {"name": name, "environment": "local", "url": place.stock.url}).raise_for_status()
    told = place.send(f"/registries/{place.registry}/synchronize").raise_for_status().json()
    place.finished(told["workflow"]["id"])
    path = f"/projects/{name}/attached-models/import"
    return Call(path, {}, lambda: len(place.workflows("import", name)))


def project(place: Place) -> Call:
    name = unique("p")
    body = {"name": name, "workspace": "default"}
    return Call("/projects", body, lambda: len(place.items("/projects", name=name)))


def registry(place: Place) -> Call:
    made = place.send("/environments", {"name": unique("e")}).raise_for_status().json()
    name = unique("r")
    body = {"name": name, "environment": made["name"]}
    return Call("/registries", body, lambda: len(place.workflows("provision", name)))


def new_registry(place: Place) -> str:
    call = registry(place)
    answer = place.send(call.path, call.body).raise_for_status().json()
    place.finished(answer["workflow"]["id"])
    return str(answer["resource"]["id"])


def synchronize(place: Place) -> Call:
    id_ = new_registry(place)
    count = lambda: len(place.workflows("synchronize", id_))  # noqa: E731
    return Call(f"/registries/{id_}/synchronize", None, count)


def delete_registry(place: Place) -> Call:
    id_ = new_registry(place)
    count = lambda: len(place.workflows("deprovision", id_))  # noqa: E731
    return Call(f"/registries/{id_}/delete", {"force": True}, count)


def clean_up(place: Place) -> Call:
    id_ = new_registry(place)
    count = lambda: len(place.workflows("clean-up", id_))  # noqa: E731
    return Call(f"/registries/{id_}/storage/clean-up", {"archives": ["aaaa-bbbb-cccc-dddd/aaaa-bbbb-cccc-dddd"]}, count)


def cancelled_provision(place: Place) -> dict[str, Any]:
    """A workflow that was cancelled while it made a registry; some may be quicker than their cancel."""
    for _ in range(10):
        call = registry(place)
        id_ = place.send(call.path, call.body).raise_for_status().json()["workflow"]["id"]
        place.send(f"/workflows/{id_}/cancel")
        if (workflow := place.finished(id_))["status"] == "cancelled":
            return workflow
    raise AssertionError("all were quicker than their cancel")


def retry(place: Place) -> Call:
    workflow = cancelled_provision(place)
    count = lambda: len(place.workflows("provision", workflow["resource_id"])) - 1  # noqa: E731
    return Call(f"/workflows/{workflow['id']}/retry", None, count)


def policy(place: Place, *, apply: bool) -> Call:
    """A policy of Ranger, which has addresses of its own."""
    name, user = unique("policy"), unique("user")
    api = "http://registry-tui/service/public/v2/api/policy"
    body = {
        "service": "cm_s3",
        "name": name,
        "resources": {"bucket": {"values": ["*"]}, "path": {"values": [name]}},
        "policyItems": [{"users": [user], "accesses": [{"type": "read"}]}],
    }

    def count() -> int:
        found = [each for each in place.get(api) if each["name"] == name]
        return sum(item["users"] == [user] for each in found for item in each["policyItems"])

    return Call(f"{api}/apply" if apply else api, body, count)


def ranger_role(place: Place) -> Call:
    api, name = "http://registry-tui/service/public/v2/api/roles", unique("role")
    return Call(api, {"name": name}, lambda: [each["name"] for each in place.get(api)].count(name))


def mappings(place: Place, verb: str) -> Call:
    """A change of IDBroker mappings, or their synchronization, in an environment without RAZ."""
    made = place.send("/environments", {"name": unique("b"), "raz_enabled": False}).raise_for_status().json()
    call, action = {
        "set": ("setIdBrokerMappings", "idbroker.set"),
        "delete": ("deleteIdBrokerMappings", "idbroker.delete"),
        "sync": ("syncIdBrokerMappings", "idbroker.synchronize"),
    }[verb]
    body: dict[str, Any] = {"environmentCrn" if verb == "delete" else "environmentName": made["crn"]}
    if verb == "set":
        role = "arn:aws:iam::123456789012:role/lab"
        body |= {"dataAccessRole": role, "rangerAuditRole": role, "setEmptyMappings": True}
    return Call(f"/environments2/{call}", body, lambda: len(changes_of(place, action, made["id"])))
