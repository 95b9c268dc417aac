"""POSTs about deployments."""

from __future__ import annotations

import json

from support.platforms import unique, wait_for
from support.posts.calls import MEMORY, Call, Place, changes_of
from support.served import register as registered_model
from support.served import split


def deploy(place: Place) -> Call:
    name = unique("d")
    body = {"name": name, "project": place.project.id, "model": place.model, "version": 1}
    count = lambda: len([each for each in place.items("/deployments") if each["name"] == name])  # noqa: E731
    return Call("/deployments", body | {"cpu": 0.1, "memory_bytes": MEMORY}, count)


def rollout(place: Place, path: str, kind: str) -> Call:
    before = len(place.workflows(kind, place.deployment))
    count = lambda: len(place.workflows(kind, place.deployment)) - before  # noqa: E731
    return Call(f"/deployments/{place.deployment}/{path}", None, count)


def decided(place: Place) -> Call:
    """An abort of a canary, whose rollout has ended when it is counted."""
    path = f"/deployments/{place.deployment}"
    change = {"environment": [{"name": "A", "value": unique("v")}], "rollout": {"strategy": "canary"}}
    begun = place.http.patch(path, json=change).raise_for_status().json()
    before = len(changes_of(place, "deployment.canary-abort", place.deployment))
    wait_for(lambda: place.get(f"{path}/canary")["state"] == "running", what="the canary")

    def count() -> int:
        place.finished(begun["workflow"]["id"])
        return len(changes_of(place, "deployment.canary-abort", place.deployment)) - before

    return Call(f"{path}/canary", {"decision": "abort"}, count)


def cancel(place: Place) -> Call:
    """Of a rollout that does not end before: its model takes ten minutes to load."""
    slow = registered_model(place.platform, place.project, load_seconds=600)
    body = {"name": unique("d"), "project": place.project.id, "model": slow.version.model_name, "version": 1}
    begun = place.send("/deployments", body | {"cpu": 0.1, "memory_bytes": MEMORY}).raise_for_status()
    workflow = begun.json()["workflow"]["id"]
    count = lambda: int(place.finished(workflow)["status"] == "cancelled")  # noqa: E731
    return Call(f"/workflows/{workflow}/cancel", None, count)


def trying(place: Place) -> Call:
    body = {"body": json.dumps(split(a=[1.0], b=[2.0]))}
    return Call(f"/deployments/{place.deployment}/test", body, lambda: 1)
