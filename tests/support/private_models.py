"""Two teams of one registry, each person of them, and a private and a public model, for permissions by MLflow's API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from mlflow.server.handlers import get_endpoints

from registry_tui.client.client import RegistryClient
from registry_tui.platform.secrets import mlflow_password
from registry_tui.schemas.models import ModelUpdate, Visibility
from registry_tui.schemas.places import CollaboratorChange, Project, Role
from support.platforms import PATIENCE, Platform, unique, wait_for

MODEL_FILE = b"flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    python_version: 3.11.0\n"

#: The permission for each registry call of MLflow's REST API. A call without a row fails the walk.
NEEDS = {
    "CreateRegisteredModel": "create",
    "GetRegisteredModel": "read",
    "GetLatestVersions": "read",
    "GetModelVersion": "read",
    "GetModelVersionByAlias": "read",
    "GetModelVersionDownloadUri": "read",
    "SearchRegisteredModels": "search",
    "SearchModelVersions": "search",
    "CreateModelVersion": "add",
    "UpdateRegisteredModel": "own",
    "SetRegisteredModelTag": "own",
    "DeleteRegisteredModelTag": "own",
    "SetRegisteredModelAlias": "own",
    "DeleteRegisteredModelAlias": "own",
    "UpdateModelVersion": "own",
    "SetModelVersionTag": "own",
    "DeleteModelVersionTag": "own",
    "TransitionModelVersionStage": "own",
    "RenameRegisteredModel": "own",
    "DeleteModelVersion": "own",
    "DeleteRegisteredModel": "own",
}
#: The outcome of each person's call, by its permission. Viewers' changes fail at their role, before the model matters.
SEEING: Mapping[str, Mapping[str, str]] = {
    "owner": {"read": "done", "search": "found", "create": "taken", "add": "done", "own": "done"},
    "teammate": {"read": "done", "search": "found", "create": "taken", "add": "done", "own": "denied"},
    "team viewer": {"read": "done", "search": "found", "create": "denied", "add": "denied", "own": "denied"},
    "contributor elsewhere": {
        "read": "done", "search": "found", "create": "taken", "add": "done", "own": "denied",
    },
    "viewer elsewhere": {"read": "done", "search": "found", "create": "denied", "add": "denied", "own": "denied"},
    "nobody": dict.fromkeys(("read", "search", "create", "add", "own"), "not let in"),
}  # fmt: skip
OUTSIDERS: Mapping[str, Mapping[str, str]] = {
    "contributor elsewhere": {
        "read": "missing", "search": "not found", "create": "taken", "add": "missing", "own": "missing",
    },
    "viewer elsewhere": {
        "read": "missing", "search": "not found", "create": "denied", "add": "missing", "own": "missing",
    },
}  # fmt: skip
EXPECTED = {"public": SEEING, "private": {**SEEING, **OUTSIDERS}}


@dataclass(frozen=True)
class Call:
    name: str
    method: str
    path: str
    fields: frozenset[str]


def registry_calls(below: str = "/") -> list[Call]:
    """Every registry call in MLflow's own table of endpoints whose path begins so."""
    return [
        Call(request.__name__, methods[0], path, frozenset(field.name for field in request.DESCRIPTOR.fields))
        for path, request, methods in get_endpoints(lambda request: request)
        if getattr(request, "__module__", "").endswith("model_registry_pb2") and path.startswith(below)
    ]


@dataclass(frozen=True)
class Stage:
    """Two teams of one registry, and a public and a private model of the first."""

    platform: Platform
    origin: Project
    elsewhere: Project
    people: Mapping[str, str]
    run_id: str
    source: str
    public: str
    private: str
    http: httpx.Client

    def workspace(self, person: str) -> str:
        return (self.elsewhere if person.endswith("elsewhere") else self.origin).mlflow_workspace

    def ask(
        self, person: str, method: str, path: str, values: Any = None, *, workspace: str | None = None, **more: Any
    ) -> httpx.Response:
        user = self.people.get(person)
        auth = None if user is None else (user, mlflow_password(self.platform.secrets, user))
        given: dict[str, Any] = {} if values is None else {"params" if method == "GET" else "json": values}
        return self.http.request(
            method,
            f"{self.platform.ports.mlflow_url}{path if path.startswith('/') else f'/api/2.0/mlflow/{path}'}",
            auth=auth,
            headers={"X-MLFLOW-WORKSPACE": workspace or self.workspace(person)},
            **given,
            **more,
        )

    def register(self, name: str, person: str = "owner") -> None:
        """Makes a model with a stored version and the alias `champion`."""
        self.ask(person, "POST", "registered-models/create", {"name": name}).raise_for_status()
        self.add_version(name, person)
        alias = {"name": name, "alias": "champion", "version": "1"}
        self.ask(person, "POST", "registered-models/alias", alias).raise_for_status()

    def add_version(self, name: str, person: str = "owner") -> str:
        body = {"name": name, "source": self.source, "run_id": self.run_id}
        made = self.ask(person, "POST", "model-versions/create", body).raise_for_status().json()["model_version"]
        params = {"name": name, "version": made["version"]}

        def ready() -> bool:
            found = self.ask(person, "GET", "model-versions/get", params).json()["model_version"]
            assert found["status"] != "FAILED_REGISTRATION", found
            return bool(found["status"] == "READY")

        wait_for(ready, what=f"{name} to be stored")
        return str(made["version"])

    def everything(self, name: str) -> Any:
        """All that the owner sees of a model."""
        model = self.ask("owner", "GET", "registered-models/get", {"name": name}).raise_for_status().json()
        found = self.ask("owner", "GET", "model-versions/search", {"filter": f"name = '{name}'"}).raise_for_status()
        return model, found.json()

    def archive(self, name: str) -> str:
        """Path of a version's archive behind the artifact proxy of the owner's project."""
        params = {"name": name, "version": "1"}
        answer = self.ask("owner", "GET", "model-versions/get-download-uri", params).raise_for_status()
        return str(answer.json()["artifact_uri"]).removeprefix("mlflow-artifacts:/")


@contextmanager
def set_stage(platform: Platform) -> Iterator[Stage]:
    """Makes the teams and the models; the first version of each is stored."""
    origin, elsewhere = platform.new_project(), platform.new_project()
    people = {person: unique(person.replace(" ", "-")) for person in SEEING if person != "nobody"}

    async def let_in(client: RegistryClient) -> None:
        for person, user in people.items():
            project = elsewhere if person.endswith("elsewhere") else origin
            role = Role.VIEWER if "viewer" in person else Role.CONTRIBUTOR
            await client.set_collaborator(project.id, user, CollaboratorChange(role=role))

    platform.ask(let_in)
    http = httpx.Client(timeout=PATIENCE)
    made = Stage(platform, origin, elsewhere, people, "", "", unique("public"), unique("private"), http)
    experiment = made.ask("owner", "POST", "experiments/create", {"name": unique("walk")}).raise_for_status().json()
    run = made.ask("owner", "POST", "runs/create", experiment).raise_for_status().json()["run"]["info"]
    path = f"{run['artifact_uri'].removeprefix('mlflow-artifacts:/')}/model/MLmodel"
    address = f"/api/2.0/mlflow-artifacts/artifacts/{path}"
    made.ask("owner", "PUT", address, content=MODEL_FILE).raise_for_status()
    made = replace(made, run_id=run["run_id"], source=f"{run['artifact_uri']}/model")
    made.register(made.public)
    made.register(made.private)
    registry = origin.registry_id or ""
    change = ModelUpdate(visibility=Visibility.PUBLIC)
    platform.ask(lambda client: client.update_model(registry, made.public, change), user=people["owner"])
    yield made
    http.close()


def values_for(call: Call, stage: Stage, name: str) -> dict[str, Any]:
    """The arguments of a call, for one model."""
    known = {
        "name": name,
        "new_name": unique("renamed"),
        "version": "1",
        "alias": "champion" if "Get" in call.name else "other",
        "stage": "Archived",
        "archive_existing_versions": False,
        "key": "team",
        "value": "wine",
        "description": "changed",
        "source": stage.source,
        "run_id": stage.run_id,
        "filter": f"name = '{name}'",
    }
    return {key: value for key, value in known.items() if key in call.fields}


def outcome(response: httpx.Response, name: str) -> str:
    """The outcome in a response, in the words of the tables."""
    if response.status_code == 401:
        return "not let in"
    if response.status_code == 403:
        return "denied"
    body = response.json()
    if response.status_code == 404:
        assert body["error_code"] == "RESOURCE_DOES_NOT_EXIST", body
        return "missing"
    if response.status_code == 400 and body["error_code"] == "RESOURCE_ALREADY_EXISTS":
        return "taken"
    assert response.is_success, response.text
    if response.request.url.path.endswith("/search"):
        return "found" if name in response.text else "not found"
    return "done"


def plain(response: httpx.Response, name: str) -> tuple[int, str]:
    """A response without the model's name."""
    return response.status_code, response.text.replace(name, "NAME")
