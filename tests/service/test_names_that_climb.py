"""A name reaches the resource that it names or none: over every route, every method of the client, and commands."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.schemas.deployments import ApiKeyCreate, Deployment
from registry_tui.schemas.people import GroupChange, UserTokenCreate
from registry_tui.schemas.places import CollaboratorChange, Environment, EnvironmentCreate, Role, WorkspaceCreate
from registry_tui.schemas.promotion import ApprovalAsk
from registry_tui.schemas.webhooks import WebhookCreate
from support import served
from support.client_questions import MARKED, arguments, questions, sent_parts
from support.climbing import ENCODED, RAW, REFUSED
from support.platforms import PATIENCE, Platform, unique
from support.served import Served
from support.workflow_cases import registered_environment

API = "/api/v1"
#: Bodies with which each request would change something, by their schema.
BODIES: dict[str, Any] = {
    "AttachedImport": {"models": []},
    "AttachedServerChange": {"url": "http://localhost:1/"},
    "StoreChange": {"store": {"kind": "directory", "address": {"path": "/nowhere/at/all"}}},
    "BackendChange": {"kind": "ray", "address": "ftp://nowhere", "token": "none"},
    "StoreKeyGive": {"store": {"kind": "directory", "address": {"path": "/nowhere/at/all"}}},
    "CanaryDecision": {"decision": "pause"},
    "CollaboratorChange": {"role": "viewer"},
    "DeploymentUpdate": {"description": "changed"},
    "ExperimentCreate": {"name": "changed"},
    "ExperimentUpdate": {"name": "changed"},
    "ExperimentsChosen": {"experiment_ids": ["1"]},
    "KeyLimits": {"per_day": 7},
    "RequestLogRules": {"share": 0.5},
    "DriftRules": {"max_psi": 0.5},
    "ProfileChange": {
        "source": "changed",
        "rows": 1,
        "columns": [{"name": "a", "numeric": False, "count": 1, "shares": [1, 0], "categories": ["x"]}],
    },
    "RangerPolicy": {"name": "changed", "service": "cm_s3"},
    "RangerRole": {"name": "changed"},
    "RoleGrant": {"targetRoles": ["1"], "users": ["changed"]},
    "RangerSourceChange": {"url": "http://127.0.0.1:9", "service": "cm_s3"},
    "CardChange": {"text": "changed"},
    "ModelUpdate": {"description": "changed"},
    "RegisterModel": {"name": "changed", "run_id": "0" * 32, "artifact_path": "model"},
    "RegistryDelete": {"force": True},
    "RunGrouping": {"experiment_ids": ["1"], "param": "x"},
    "RunPurge": {"run_ids": ["0" * 32]},
    "RunSearch": {"experiment_ids": ["1"]},
    "RunsChosen": {"run_ids": ["0" * 32]},
    "RunsUpdate": {"run_ids": ["0" * 32], "name": "changed"},
    "RunVersionsAsked": {"run_ids": ["0" * 32]},
    "StorageCleanUp": {"archives": ["a/b"]},
    "TestRequest": {"body": "{}"},
    "GroupChange": {"description": "changed"},
    "RolesChange": {"roles": ["MLAdmin"]},
    "UserChange": {"full_name": "changed"},
    "UserTokenCreate": {"name": "changed"},
    "ExceptionChange": {"reason": "changed"},
    "RulesChange": {"text": "rules: []"},
    "VersionUpdate": {"notes": "changed"},
    "ApprovalAsk": {"comment": "changed"},
    "ApprovalDecision": {"decision": "reject"},
    "PromotionRules": {"four_eyes": False},
    "StageChange": {"stage": "QA"},
    "SigningKeyAdd": {"name": "changed", "public_key": "none"},
    "SignVersion": {"signature": "none"},
    "VersionPromotion": {"to": "none"},
    "WebhookChange": {"events": ["version.*"]},
    "WebhookCreate": {"name": "changed", "environment": "none", "url": "http://localhost:1/"},
    "WebhookReplay": {"delivery": "changed"},
}
#: Calls of the client that create the named thing.
MAKES = {("set_alias", "alias"), ("set_collaborator", "user"), ("put_user", "user"), ("put_group", "group")}
#: Query parameters that are searched for, or select a part of the response. Every other one names a resource.
SEARCHED = {"name", "search", "owner", "actor", "action", "status", "state", "order_by", "page_token", "metric", "path"}
RANGER = "/service/public/v2/api"
#: By which Ranger's lists are filtered.
FILTERS = ["guid", "policyName", "policyNamePartial", "policyLabel", "serviceType", "zoneName", "user", "group", "role"]
SEARCHED_IN = {
    ("/search", "q"),
    *((f"{RANGER}/{path}", name) for path in ("policy", "service/{ranger_service}/policy") for name in FILTERS),
    *((f"{RANGER}/{path}", "serviceType") for path in ("service", "servicedef")),
    *((f"{RANGER}/roles", name) for name in ("roleName", "roleNamePartial", "userName", "groupName")),
    (f"{RANGER}/policy", "policyname"),
    (f"{RANGER}/service/{{ranger_service}}/policy/{{policy}}", "zoneName"),
    ("/registries", "environment"),
    ("/registries/{registry}/models/{model}/versions/{version}/rules", "alias"),
    ("/registries/{registry}/models/{model}/versions/{version}/rules", "purpose"),
    ("/registries/{registry}/storage/archives", "model"),
    ("/registries/{registry}/storage/models", "model"),
}


@dataclass(frozen=True)
class Places:
    """One resource of each kind; a hostile name must change none of them."""

    served: Served
    deployment: Deployment
    environment: Environment
    key: str
    workflow: str
    token: str
    webhook: str
    approval: str

    @property
    def names(self) -> dict[str, Any]:
        """A real value for each name in an address."""
        version = self.served.version
        return {
            "registry": version.registry_id,
            "model": version.model_name,
            "version": version.version,
            "alias": "champion",
            "rule": "some-rule",
            "fingerprint": version.signatures[0].fingerprint,
            "purpose": "deploy",
            "uses": "dataset:table",
            "node": f"deployment:{self.deployment.id}",
            "direction": "dependents",
            "time": "2026-11-20T14:03:00Z",
            "approval": self.approval,
            "project": self.served.project.id,
            "user": "somebody",
            "environment": self.environment.id,
            "workspace": f"{self.environment.name}/team",
            "experiment": version.origin.experiment_id,
            "run": version.origin.run_id,
            "deployment": self.deployment.id,
            "replica": "0",
            "request_id": "none-is-kept",
            "key": self.key,
            "token": self.token,
            "group": "some-group",
            "to": "nobody-at-all",
            "workflow": self.workflow,
            "event": 1,
            "webhook": self.webhook,
            "metric": "loss",
            "path": "model/MLmodel",
            "name": "s3",
            "definition": "1",
            "ranger_service": "cm_s3",
            "policy": "1",
            "role": "1",
            "zone": "1",
            "servicename": "cm_s3",
            "policyname": "all",
        }


@pytest.fixture(scope="module")
def places(platform: Platform) -> Iterator[Places]:
    # In a registry of its own, which no other test works on meanwhile.
    _, _, project = registered_environment(platform, synchronized=True)
    made = served.register(platform, platform.ask(lambda client: client.project(project.id)))
    deployment = served.deploy(platform, made)

    async def make(client: RegistryClient) -> Places:
        version = made.version
        await client.set_alias(version.registry_id, version.model_name, "champion", version.version)
        await client.set_collaborator(made.project.id, "somebody", CollaboratorChange(role=Role.VIEWER))
        environment = await client.create_environment(EnvironmentCreate(name=unique("climb")))
        await client.create_workspace(WorkspaceCreate(name="team", environment=environment.name))
        key = (await client.create_key(ApiKeyCreate(name=unique("key")))).api_key.id
        await client.put_group("some-group", GroupChange())
        token = (await client.create_token("somebody", UserTokenCreate(name=unique("token")))).user_token.id
        workflow = made.version.workflow_id
        assert workflow is not None
        told = WebhookCreate(name=unique("w"), environment=environment.name, url="http://localhost:1/")
        webhook = (await client.create_webhook(told)).webhook.id
        number = version.version
        asked = await client.ask_approval(version.registry_id, version.model_name, number, "deploy", ApprovalAsk())
        return Places(made, deployment, environment, key, workflow, token, webhook, asked.id)

    yield platform.ask(make)
    served.take_away([(platform, deployment.id)])


async def state(client: RegistryClient, places: Places) -> dict[str, Any]:
    """The existing resources, and everything that a hostile name could have made."""
    version, project = places.served.version, places.served.project
    models = [each async for each in client.every(client.models, version.registry_id)]
    users = [each.name async for each in client.every(client.users)]
    tokens = (await client.tokens("somebody")).items
    workflows = [each async for each in client.every(client.workflows)]
    return {
        "model": (await client.model(version.registry_id, version.model_id)).model_dump(),
        "version": (await client.version(version.registry_id, version.model_id, version.version)).model_dump(),
        "project": (await client.project(project.id)).model_dump(),
        "collaborators": [each.model_dump() for each in (await client.collaborators(project.id)).items],
        "deployment": (await client.deployment(places.deployment.id)).model_dump(include={"revision", "description"}),
        "key": [(each.revoked_at, each.limits) async for each in client.every(client.keys) if each.id == places.key],
        "tokens": [each.model_dump() for each in tokens],
        "group": (await client.group("some-group")).model_dump(),
        "roles": [each.model_dump() for each in (await client.environment_roles(places.environment.id)).items],
        "somebody": (await client.user("somebody")).model_dump(),
        "environment": (await client.environment(places.environment.id)).model_dump(),
        "webhook": (await client.webhook(places.webhook)).model_dump(),
        "workspace": (await client.workspace(f"{places.environment.name}/team")).model_dump(),
        "registry": (await client.registry(version.registry_id)).model_dump(include={"status", "storage_access"}),
        "hostile": sorted(name for name in (*users, *(each.name for each in models)) if name in (*REFUSED, *ENCODED)),
        "workflows": sorted(
            each.id
            for each in workflows
            if each.resource_id in (version.id, version.model_id, version.registry_id, places.deployment.id)
        ),
    }


def raw(platform: Platform, method: str, target: str, body: Any = None) -> tuple[int, dict[str, str], str]:
    """The answer to a request whose target is sent byte by byte as it is: status, headers, body."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: registry-tui\r\nConnection: close\r\nContent-Length: {len(content)}\r\n"
    )
    head += "Content-Type: application/json\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(platform.home.service_socket))
        connection.sendall(head.encode() + content)
        received = bytearray()
        while data := connection.recv(1 << 16):
            received += data
    first, _, answer = bytes(received).partition(b"\r\n\r\n")
    lines = first.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split(" ")[1]), headers, answer.decode(errors="replace")


def description(platform: Platform) -> dict[str, Any]:
    status, _, text = raw(platform, "GET", f"{API}/openapi.json")
    assert status == 200
    found: dict[str, Any] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return found


def body_of(operation: dict[str, Any]) -> Any:
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    assert schema in BODIES, f"put a body of the schema {schema} into BODIES"
    return BODIES[schema]


async def test_no_route_does_anything_for_a_name_that_leads_elsewhere(
    platform: Platform, client: RegistryClient, places: Places
) -> None:
    before, asked = await state(client, places), 0
    for path, operations in description(platform)["paths"].items():
        for method, operation in operations.items():
            names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"]
            missing = [name for name in names if name not in places.names]
            assert not missing, f"put a real value of {missing} into Places.names"
            needed = "&".join(
                f"{each['name']}={places.names[each['name']]}"
                for each in operation.get("parameters", ())
                if each["in"] == "query" and each["required"]
            )
            body = body_of(operation) if names else None
            for hostile in names:
                for form in RAW:
                    target = path
                    for name in names:
                        value = form if name == hostile else str(places.names[name]).replace("/", "%2F")
                        target = target.replace(f"{{{name}}}", value)
                    target += f"?{needed}" if needed else ""
                    asked += 1
                    status, headers, text = raw(platform, method.upper(), target, body)
                    assert 400 <= status < 500, f"{method} {target} answers {status}: {text[:300]}"
                    assert "location" not in headers
                    assert headers["content-type"] == "application/problem+json", f"{method} {target}: {text[:300]}"
    assert asked > 1000
    assert await state(client, places) == before


async def test_names_in_queries_are_checked_by_the_same_rule(platform: Platform, places: Places) -> None:
    checked = set()
    for path, operations in description(platform)["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                name, schema = parameter["name"], parameter["schema"]
                kinds = [schema, *schema.get("anyOf", ())]
                if parameter["in"] != "query" or not any(
                    kind.get("type") == "string" and "enum" not in kind and "format" not in kind for kind in kinds
                ):
                    continue
                if name in SEARCHED or (path.removeprefix(API), name) in SEARCHED_IN:
                    continue
                checked.add(name)
                for form in (".", "..", "", "%2e%2e", "a%2f..%2fb", "a%00"):
                    target = path.replace("{registry}", str(places.names["registry"]))
                    status, _, text = raw(platform, method.upper(), f"{target}?{name}={form}")
                    assert status == 422, f"{method} {path}?{name}={form} answers {status}: {text[:300]}"
    assert checked == {
        *("environment", "workspace", "project", "registry", "model", "to", "version_id", "node", "resource"),
        "serviceName",
        "servicename",
        # A sum, of hexadecimal digits only.
        "content",
    }


async def test_no_method_of_the_client_reaches_another_resource(client: RegistryClient, places: Places) -> None:
    before, asked = await state(client, places), 0
    for method, parameter in questions():
        if MARKED not in await sent_parts(method, {**arguments(method), parameter: MARKED}):
            continue
        values = {
            name: value if isinstance(value, datetime) else places.names.get(name, value)
            for name, value in arguments(method).items()
        }
        if isinstance(values.get("change"), CollaboratorChange):
            values["change"] = CollaboratorChange(role=Role.VIEWER)
        if "run_ids" in values:
            values["run_ids"] = [places.names["run"]]
        # A call that creates a thing may give it any name that can be in an address.
        for name in REFUSED if (method, parameter) in MAKES else (*REFUSED, *ENCODED):
            asked += 1
            with pytest.raises(RegistryError):
                await getattr(client, method)(**{**values, parameter: name})
                raise AssertionError(f"{method}({parameter}={name!r}) was done")
    assert asked > 1000
    assert await state(client, places) == before


async def test_commands_refuse_names_that_lead_elsewhere(
    platform: Platform, client: RegistryClient, places: Places
) -> None:
    before = await state(client, places)
    model, project = places.served.version.model_name, places.served.project.name
    for arguments_ in (
        ("models", "alias", "delete", model, "..", "--yes"),
        ("models", "delete", "..", "--yes"),
        ("projects", "collaborators", "remove", project, "..", "--yes"),
        ("projects", "collaborators", "remove", project, ".", "--yes"),
    ):
        done = platform.command(*arguments_, check=False)
        assert done.returncode == 1 and "has left" not in done.stdout + done.stderr, done
        assert "'..' as a folder" in done.stderr or "'.' as a folder" in done.stderr, done.stderr
    assert await state(client, places) == before


def test_the_gateway_knows_no_other_spelling_of_a_deployment(platform: Platform, places: Places) -> None:
    key = places.deployment.access_key
    for path in (
        f"/endpoints/{key}/../{key}/ping",
        f"/endpoints/{key}/%2e%2e/ping",
        f"/endpoints/x/..%2f{key}/ping",
        f"/endpoints/..%2fendpoints%2f{key}/ping",
        f"/endpoints//{key}/ping",
        f"/endpoints/{key}/ping/..",
        f"/endpoints/{key}/..%2fping",
        f"/endpoints/{key}//ping",
        f"/endpoints/{key}/",
        f"/endpoints/{key}/invocations/../ping",
        "/endpoints/../health",
        "/./health",
        "/%2e%2e/health",
    ):
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", platform.ports.gateway), timeout=PATIENCE) as connection:
            connection.sendall(head.encode())
            received = b"".join(iter(partial(connection.recv, 1 << 16), b""))
        assert received.split(b" ", 2)[1] == b"404", f"{path}: {received[:300]!r}"
