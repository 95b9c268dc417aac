"""POSTs about models, versions, experiments and runs."""

from __future__ import annotations

from typing import Any

from registry_tui.contracts import signatures
from support.platforms import unique
from support.posts.calls import Call, Place, changes_of


def register_body(place: Place, name: str) -> dict[str, Any]:
    return {"name": name, "run_id": place.run.run_id, "artifact_path": place.run.artifact_path}


def registered(place: Place) -> str:
    """The name of a new model whose version 1 is READY."""
    name = unique("m")
    answer = place.send(f"/projects/{place.project.id}/register", register_body(place, name)).raise_for_status()
    place.finished(answer.json()["workflow"]["id"])
    return name


def register(place: Place) -> Call:
    name = unique("m")
    versions = f"/registries/{place.registry}/models/{name}/versions"
    return Call(
        f"/projects/{place.project.id}/register", register_body(place, name), lambda: len(place.items(versions))
    )


def verification(place: Place) -> Call:
    model = registered(place)
    version = place.get(f"/registries/{place.registry}/models/{model}/versions/1")["id"]
    path = f"/registries/{place.registry}/models/{model}/versions/1/verification"
    return Call(path, None, lambda: len(place.workflows("verify", version)))


def verify(place: Place) -> Call:
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/verify"
    return Call(path, None, lambda: 1)


def scan(place: Place) -> Call:
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/scan"
    return Call(path, None, lambda: 1)


def signed(place: Place) -> Call:
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/signatures"
    return Call(path, {}, lambda: len(place.http.get(path).json()["signatures"]))


def signing_key(place: Place) -> Call:
    name, path = unique("k"), "/environments/local/signing-keys"
    public = signatures.public_key_of(signatures.new_private_key())
    count = lambda: [each["name"] for each in place.items(path)].count(name)  # noqa: E731
    return Call(path, {"name": name, "public_key": public}, count)


def rotated_signing_key(place: Place) -> Call:
    path = "/environments/local/signing-keys"
    before = len(place.items(path))
    return Call(f"{path}/rotate", None, lambda: len(place.items(path)) - before)


def promotion(place: Place) -> Call:
    """Into the same registry, as another model."""
    name = unique("m")
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/promote"
    versions = f"/registries/{place.registry}/models/{name}/versions"
    return Call(path, {"to": place.registry, "name": name}, lambda: len(place.items(versions)))


def bom(place: Place) -> Call:
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/bom"
    before = int(place.get(path)["document"]["version"])
    return Call(path, None, lambda: int(place.get(path)["document"]["version"]) - before)


def purge(place: Place) -> Call:
    before = len(place.workflows("purge-runs", place.project.id))
    body: dict[str, Any] = {"run_ids": []}
    count = lambda: len(place.workflows("purge-runs", place.project.id)) - before  # noqa: E731
    return Call(f"/projects/{place.project.id}/runs/purge", body, count)


def new_experiment(place: Place) -> str:
    made = place.send(f"/projects/{place.project.id}/experiments", {"name": unique("x")}).raise_for_status()
    return str(made.json()["id"])


def experiment(place: Place) -> Call:
    path, name = f"/projects/{place.project.id}/experiments", unique("x")
    return Call(path, {"name": name}, lambda: len(place.items(path, name=name)))


def changed_experiment(place: Place, verb: str) -> Call:
    """A call that deletes or restores an experiment: with an event of one deletion or restoration."""
    path, id_ = f"/projects/{place.project.id}/experiments", new_experiment(place)
    body = {"experiment_ids": [id_]}
    if verb == "restore":
        place.send(f"{path}/delete", body).raise_for_status()
    return Call(f"{path}/{verb}", body, lambda: len(changes_of(place, f"experiment.{verb}", id_)))


def changed_run(place: Place, verb: str) -> Call:
    """The same with a run, which is also renamed."""
    path, run = f"/projects/{place.project.id}/runs", place.run.run_id
    state = place.get(f"{path}/{run}")["lifecycle_stage"]
    if (state == "deleted") != (verb == "restore"):
        place.send(f"{path}/{'delete' if verb == 'restore' else 'restore'}", {"run_ids": [run]}).raise_for_status()
    before = len(changes_of(place, f"run.{verb}", run))
    body = {"run_ids": [run]} | ({"name": unique("run")} if verb == "update" else {})
    return Call(f"{path}/{verb}", body, lambda: len(changes_of(place, f"run.{verb}", run)) - before)
