"""A project that holds one of everything MLflow keeps, and people with and without access to it."""

from __future__ import annotations

import json
import re
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from registry_tui.client.client import RegistryClient
from registry_tui.contracts.permissions import Holder
from registry_tui.platform.secrets import mlflow_password
from registry_tui.schemas.people import EnvironmentRole, RolesChange, UserChange
from registry_tui.schemas.places import CollaboratorChange, Project, Role
from support.platforms import PATIENCE, Platform, unique, wait_for
from support.private_models import MODEL_FILE
from support.registered import object_store

#: Made the things; in the table of doors, `maker` is the contributor.
MAKER = "contributor"
#: Each person's relations to the sealed project and its environment; None: the administrator, who may do everything.
HELD: Mapping[str, set[Holder] | None] = {
    "administrator": None,
    "owner": {Holder.OWNER, Holder.COLLABORATOR},
    MAKER: {Holder.CONTRIBUTOR, Holder.COLLABORATOR, Holder.MODEL_OWNER},
    "viewer": {Holder.VIEWER, Holder.COLLABORATOR},
    # The owner of another project, which registers into the same registry.
    "elsewhere": {Holder.COLLABORATOR},
    "admin of the environment": {Holder.ENVIRONMENT_ADMIN, Holder.ML_ADMIN},
    "user of the environment": {Holder.ENVIRONMENT_USER, Holder.ML_USER},
    "stranger": set(),
    "nobody": set(),
}
INSIDERS = ("administrator", "owner", MAKER, "viewer")
OUTSIDERS = tuple(each for each in HELD if each not in INSIDERS)
TIME = "2026-01-01T00:00:00Z"
#: `artifacts` of an address takes the rest of it.
_PARAMETER = re.compile(r"\{(\w+)\}")
PROMPT = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]


@dataclass(frozen=True)
class Sealed:
    """Everything of the sealed project that a call can name, and the calls of its people and others."""

    platform: Platform
    project: Project
    elsewhere: Project
    people: Mapping[str, str]
    #: Part of every name and value of the things, and of no ID.
    word: str
    values: dict[str, Any]
    http: httpx.Client

    @property
    def workspace(self) -> str:
        return self.project.mlflow_workspace

    def ask(
        self, person: str, method: str, path: str, body: Any = None, *, workspace: str | None = "", **more: Any
    ) -> httpx.Response:
        """One call; in the sealed project unless another workspace, or none, is given."""
        user = self.people.get(person)
        auth = None if user is None else (user, mlflow_password(self.platform.secrets, user))
        chosen = self.workspace if workspace == "" else workspace
        headers = {} if chosen is None else {"X-MLFLOW-WORKSPACE": chosen}
        headers.update(more.pop("headers", {}))
        if body is not None:
            more["params" if method == "GET" else "json"] = body
        return self.http.request(method, f"{self.platform.ports.mlflow_url}{path}", auth=auth, headers=headers, **more)

    def make(self, path: str, body: Any, version: str = "3.0") -> Any:
        """One call of the maker's that must succeed."""
        return self.ask(MAKER, "POST", f"/api/{version}/mlflow/{path}", body).raise_for_status().json()

    def call(self, person: str, method: str, path: str, *, workspace: str | None = "") -> httpx.Response:
        """The call of a route (with `{parameters}`) about the sealed things, with every field that it needs."""
        address = _PARAMETER.sub(lambda found: str(self._value(path, found[1])), path)
        if "mlflow-artifacts/artifacts/" in path or path.endswith("/upload-artifact"):
            params = {"run_uuid": self.values["run_id"], "path": "new.txt"} if "upload" in path else None
            content = None if method == "GET" else b"evil"
            return self.ask(person, method, address, workspace=workspace, params=params, content=content)
        if path == "/v1/traces":
            headers = {"x-mlflow-experiment-id": self.values["experiment_id"], "content-type": "application/x-protobuf"}
            span = spans(f"tr-{uuid.uuid4().hex}")
            return self.ask(person, method, address, workspace=workspace, content=span, headers=headers)
        return self.ask(person, method, address, self.body(method, path), workspace=workspace)

    def body(self, method: str, path: str) -> dict[str, Any]:
        """All fields that may name one of the sealed things, in the words of that route."""
        plain = path.replace("/ajax-api/", "/api/")
        known = {**self.values, **self._of_route(plain)}
        known = {key: value for key, value in known.items() if value is not None}
        if method == "GET":
            return {key: value for key, value in known.items() if not isinstance(value, dict)}
        return known

    def _value(self, path: str, parameter: str) -> Any:
        return self._of_route(path.replace("/ajax-api/", "/api/")).get(parameter, self.values.get(parameter, "x"))

    def _of_route(self, path: str) -> dict[str, Any]:
        for part, fields in _fields(self).items():
            if part in path:
                return fields
        return {}

    def rows(self) -> Counter[str]:
        """Every row of MLflow's two databases, with its table."""
        found: Counter[str] = Counter()
        for path in (self.platform.home.mlflow_database, self.platform.home.mlflow_auth_database):
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
                tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for table in tables:
                    found.update(f"{table}: {row!r}" for row in database.execute(f'SELECT * FROM "{table}"'))
        return found

    def files(self) -> dict[str, str]:
        """Entity tags of the project's artifacts, and of archives, by their keys."""
        bucket = self.platform.ask(lambda client: client.environment(self.project.environment_id)).bucket
        pages = object_store(self.platform).get_paginator("list_objects_v2")
        return {
            entry["Key"]: entry["ETag"]
            for prefix in (f"workspaces/{self.workspace}/", "modelregistry/")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix)
            for entry in page.get("Contents", [])
        }

    def told(self, text: str) -> set[str]:
        """Names and values of the sealed things in a text."""
        return set(re.findall(rf"{self.word}[-\w]*", text))

    def is_about(self, row: str) -> bool:
        """Whether a row belongs to the sealed project or its models: by ID, workspace, or a model's name."""
        ids = [each for each in self.values.values() if isinstance(each, str) and len(each) > 12]
        named = [each for each in ids if self.word not in each]
        model = row.startswith(("registered_model", "model_version")) and self.word in row
        return model or any(each in row for each in (self.workspace, *named))


def spans(trace_id: str) -> bytes:
    """One span of a trace in OpenTelemetry's protocol."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id = bytes.fromhex(trace_id.removeprefix("tr-")), b"12345678"
    span.name, span.start_time_unix_nano, span.end_time_unix_nano = "span", 1, 2
    return bytes(message.SerializeToString())


def trace(trace_id: str, experiment_id: str, word: str) -> dict[str, Any]:
    """The body of the call that starts a trace."""
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
    info = {"trace_id": trace_id, "trace_location": place, "request_time": TIME, "state": "OK", "tags": {"team": word}}
    return {"trace": {"trace_info": {**info, "request_preview": word}}}


def assessment(trace_id: str, word: str) -> dict[str, Any]:
    """An assessment of a trace."""
    source = {"source_type": "HUMAN", "source_id": "somebody"}
    times = {"create_time": TIME, "last_update_time": TIME}
    return {"assessment_name": word, "trace_id": trace_id, "source": source, "feedback": {"value": word}, **times}


def _fields(sealed: Sealed) -> dict[str, dict[str, Any]]:
    """Fields by a part of the route, the first that fits; they go before the common ones."""
    known, word = sealed.values, sealed.word
    endpoint = {"model_definition_id": known["model_definition_id"], "linkage_type": "PRIMARY", "weight": 1.0}
    search = {"filter": "", "order_by": [], "max_results": 50}
    return {
        "prompt-optimization": {"source_prompt_uri": f"prompts:/{known['prompt']}/1", "config": {}, "tags": []},
        "experiments/get-by-name": {"experiment_name": f"{word}-experiment"},
        "experiments/create": {"name": unique("experiment"), "tags": []},
        "experiments/search": search,
        "experiments/update": {"new_name": f"{word}-changed"},
        "experiments/": {"name": f"{word}-experiment", "key": "team"},
        "runs/create-promptlab-run": _promptlab(known),
        "runs/create": {"tags": []},
        "runs/update": {"status": "FINISHED", "run_name": "changed"},
        "runs/search": search,
        "runs/log-batch": {"metrics": [{"key": "loss", "value": 1, "timestamp": 2, "step": 2}], "tags": []},
        "runs/log-model": {"model_json": json.dumps({"run_id": known["run_id"], "artifact_path": "m", "flavors": {}})},
        "runs/log-inputs": {"datasets": [], "models": []},
        "runs/outputs": {"models": []},
        "runs/log-parameter": {"key": unique("parameter"), "value": "1"},
        "runs/log-metric": {"key": "loss", "value": 2, "timestamp": 3, "step": 3, "model_id": None},
        "runs/": {"key": "team"},
        "presigned-upload-url": {"model_id": None},
        "get-trace-artifact": {"path": None},
        "traces/link-prompts": {"prompt_versions": [{"name": known["prompt"], "version": "1"}]},
        "traces/calculate": {"filter_string1": "trace.status = 'OK'", "filter_string2": "trace.status = 'OK'"},
        "traces/metrics": {
            "view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}],
        },
        "/assessments": {"assessment": assessment(known["trace_id"], word), "update_mask": "feedback"},
        "2.0/mlflow/traces": {
            "timestamp_ms": 5, "status": "OK", "request_metadata": [], "tags": [], "key": "team", "max_results": 5,
        },
        "3.0/mlflow/traces": {
            **trace(f"tr-{uuid.uuid4().hex}", known["experiment_id"], word), "key": "team", "max_results": 5,
        },
        "logged-models/{model_id}/params": {"params": [{"key": unique("key"), "value": "1"}]},
        "logged-models/search": {**search, "order_by": None},
        "logged-models": {"name": "logged", "status": "LOGGED_MODEL_READY", "tag_key": "team",
                          "artifact_file_path": "MLmodel", "artifact_directory_path": ""},
        "mlflow/issues": {"name": word, "description": word, "status": "resolved", "severity": "high",
                          "trace_ids": [known["trace_id"]], "categories": ["x"], "provider": "openai", "model": "x"},
        "label-schemas": {"name": f"{word}-schema", "type": "FEEDBACK", "input": {"text": {}}},
        "datasets/{dataset_id}/tags": {"tags": json.dumps({"team": "evil"}), "key": "team"},
        "datasets/{dataset_id}/records": {"records": json.dumps([{"inputs": {"q": "evil"}}]),
                                          "dataset_record_ids": [known["record_id"]]},
        "datasets/create": {"name": unique("data"), "tags": json.dumps({})},
        "scorers/list": {"experiment_ids": None},
        "scorers/online-config": {"name": f"{word}-scorer", "sample_rate": 0.5},
        "scorers/": {"name": f"{word}-scorer", "serialized_scorer": json.dumps({"name": word})},
        "scorer/invoke": {"serialized_scorer": json.dumps({"name": word})},
        "genai/evaluate": {"serialized_scorers": [json.dumps({"name": word})]},
        "gateway/secrets/create": {"secret_name": unique("secret"), "provider": "openai",
                                   "secret_value": [{"key": "api_key", "value": "sk"}]},
        "gateway/secrets": {"secret_name": f"{word}-secret", "secret_value": [{"key": "api_key", "value": "other"}]},
        "gateway/model-definitions/create": {"name": unique("definition"), "provider": "openai", "model_name": "x"},
        "gateway/model-definitions": {"name": f"{word}-definition", "model_name": "x", "provider": "openai"},
        "gateway/endpoints/create": {"name": unique("endpoint"), "model_configs": [endpoint]},
        "gateway/endpoints/models": {"model_config": endpoint},
        "gateway/endpoints/bindings": {"resource_type": "scorer", "resource_id": "1"},
        "gateway/endpoints/get": {"name": None},
        "gateway/endpoints": {"name": f"{word}-endpoint", "key": "team", "model_configs": [endpoint]},
        "gateway/provider-config": {"provider": "openai"},
        "gateway/budgets": {"budget_policy_id": "b-1"},
        "gateway/guardrails": {"guardrail_id": "g-1", "name": "x"},
        "/gateway/": {"model": f"{word}-endpoint", "endpoint_name": f"{word}-endpoint", "messages": []},
        "gateway-proxy": {"gateway_path": "x"},
        "review-queues/create": {"name": unique("queue"), "queue_type": "CUSTOM", "users": [], "schema_ids": []},
        "review-queues/list": {"item_id": None, "user": None},
        "review-queues/get-by-name": {"name": f"{word}-queue"},
        "review-queues/items": {"status": "COMPLETE", "item_id": known["trace_id"]},
        "review-queues": {"name": f"{word}-renamed", "user": sealed.people[MAKER]},
        "mcp-servers/{name}/versions/{version}": {"name": known["mcp"], "version": "1.0.0", "key": "k", "value": "v",
                                                  "status": "active"},
        "mcp-servers/{name}": {"name": known["mcp"], "version": "1.0.0", "alias": "prod", "key": "k", "value": "v",
                               "server_json": {"name": known["mcp"], "version": "1.0.1", "description": "d"},
                               "endpoint_id": "e", "url": "https://example.org", "server_version": "1.0.0"},
        "mcp-servers": {"name": f"io.sealed/{unique('server')}"},
        "registered-models/create": {"name": known["name"], "tags": []},
        "model-versions/create": {"source": known["source"], "tags": [], "model_id": None},
        "model-versions/search": {"filter": f"name = '{known['name']}'"},
        "registered-models/search": {"filter": f"name = '{known['name']}'"},
        "model-versions/get-artifact": {"path": "MLmodel"},
        "webhooks": {"name": "x", "url": "https://192.0.2.1/x", "events": [{"entity": "PROMPT", "action": "CREATED"}]},
        "users/create": {"username": unique("u"), "password": "x" * 12},
        "users/": {"username": sealed.people[MAKER], "password": "x" * 12, "is_admin": True,
                   "resource_type": "experiment", "resource_id": known["experiment_id"], "permission": "MANAGE"},
        "roles/": {"role_id": 1, "name": "x", "workspace": sealed.workspace, "username": sealed.people["viewer"],
                   "role_permission_id": 1, "resource_type": "experiment", "resource_pattern": "*",
                   "permission": "MANAGE"},
        "mlflow/workspaces": {"name": unique("w"), "workspace_name": sealed.workspace, "description": "changed"},
        "/graphql": {"query": "{ __typename }"},
        "jobs/": {"job_name": "invoke_scorer", "params": {"experiment_id": known["experiment_id"]}},
        "registry-tui/find": {"text": word, "workspaces": [sealed.workspace], "kinds": ["models", "runs"], "limit": 5},
        "mpu/complete": {"parts": [{"part_number": 1, "etag": "x"}], "upload_id": "x", "path": "x", "num_parts": 1},
        "mpu/": {"upload_id": "x", "path": "x", "num_parts": 1},
    }  # fmt: skip


def _promptlab(known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run_name": "x", "prompt_template": "x", "prompt_parameters": [{"key": "a", "value": "b"}], "model_route": "x",
        "model_parameters": [{"key": "a", "value": 1}], "model_input": "x", "model_output": "x", "start_time": "1",
        "model_output_parameters": [{"key": "a", "value": "b"}], "user_id": "x", "mlflow_version": "3", "tags": [],
        "experiment_id": known["experiment_id"],
    }  # fmt: skip


@contextmanager
def sealed_project(platform: Platform) -> Iterator[Sealed]:
    """Makes the project, its people and others, and one of everything in it."""
    project, elsewhere = platform.new_project(), platform.new_project()
    people = {"administrator": platform.exports(project.id)["MLFLOW_TRACKING_USERNAME"]}
    roles = {"owner": Role.ADMIN, MAKER: Role.CONTRIBUTOR, "viewer": Role.VIEWER}

    async def let_in(client: RegistryClient) -> None:
        for person, role in roles.items():
            people[person] = unique(person)
            await client.set_collaborator(project.id, people[person], CollaboratorChange(role=role))
        for person in ("elsewhere", "stranger"):
            people[person] = unique(person)
            await client.set_collaborator(elsewhere.id, people[person], CollaboratorChange(role=Role.ADMIN))
        await client.remove_collaborator(elsewhere.id, people["stranger"])
        for person, held in HELD.items():
            if given := [each for each in EnvironmentRole if Holder(each.value) in (held or ())]:
                people[person] = unique("p")
                await client.put_user(people[person], UserChange())
                await client.set_user_roles(project.environment_id, people[person], RolesChange(roles=given))

    platform.ask(let_in)
    with httpx.Client(timeout=PATIENCE, trust_env=False) as http:
        made = Sealed(platform, project, elsewhere, people, f"sealed{uuid.uuid4().hex[:10]}", {}, http)
        _fill(made)
        yield made


def _fill(sealed: Sealed) -> None:
    make, word, known = sealed.make, sealed.word, sealed.values
    team = [{"key": "team", "value": word}]
    experiment = make("experiments/create", {"name": f"{word}-experiment", "tags": team}, "2.0")["experiment_id"]
    run = make("runs/create", {"experiment_id": experiment, "run_name": f"{word}-run", "tags": team}, "2.0")
    info = run["run"]["info"]
    run_id, folder = info["run_id"], info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    metric = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 1}
    logged = {"run_id": run_id, "metrics": [metric], "params": [{"key": "rate", "value": word}]}
    make("runs/log-batch", logged, "2.0")
    model = make("logged-models", {"experiment_id": experiment, "name": word, "source_run_id": run_id}, "2.0")
    logged_model = model["model"]["info"]
    for place in (f"{folder}/model", logged_model["artifact_uri"].removeprefix("mlflow-artifacts:/")):
        address = f"/api/2.0/mlflow-artifacts/artifacts/{place}/MLmodel"
        content = MODEL_FILE + f"# {word}\n".encode()
        sealed.ask(MAKER, "PUT", address, content=content).raise_for_status()
    ready = {"model_id": logged_model["model_id"], "status": "LOGGED_MODEL_READY"}
    address = f"/api/2.0/mlflow/logged-models/{logged_model['model_id']}"
    sealed.ask(MAKER, "PATCH", address, ready).raise_for_status()
    make("registered-models/create", {"name": f"{word}-model", "description": word}, "2.0")
    source = f"{info['artifact_uri']}/model"
    make("model-versions/create", {"name": f"{word}-model", "source": source, "run_id": run_id}, "2.0")
    stored = {"name": f"{word}-model", "version": "1"}

    def ready_version() -> bool:
        found = sealed.ask(MAKER, "GET", "/api/2.0/mlflow/model-versions/get", stored).json()["model_version"]
        assert found["status"] != "FAILED_REGISTRATION", found
        return bool(found["status"] == "READY")

    wait_for(ready_version, what="the version to be stored", timeout=300)
    make("registered-models/create", {"name": f"{word}-prompt", "tags": PROMPT}, "2.0")
    text = [*PROMPT, {"key": "mlflow.prompt.text", "value": word}]
    make("model-versions/create", {"name": f"{word}-prompt", "source": "prompt-template", "tags": text}, "2.0")
    trace_id = f"tr-{uuid.uuid4().hex}"
    make("traces", trace(trace_id, experiment, word))
    assessed = make(f"traces/{trace_id}/assessments", {"assessment": assessment(trace_id, word)})["assessment"]
    second = make("experiments/create", {"name": f"{word}-second"}, "2.0")["experiment_id"]
    data = {"name": f"{word}-data", "experiment_ids": [experiment, second], "tags": json.dumps({"team": word})}
    dataset_id = make("datasets/create", data)["dataset"]["dataset_id"]
    make(f"datasets/{dataset_id}/records", {"records": json.dumps([{"inputs": {"q": word}}])})
    records = sealed.ask(MAKER, "GET", f"/api/3.0/mlflow/datasets/{dataset_id}/records").json()["records"]
    issue = {"experiment_id": experiment, "name": word, "description": word, "severity": "high"}
    schema = {"experiment_id": experiment, "name": f"{word}-schema", "type": "FEEDBACK", "input": {"text": {}}}
    queue = {
        "experiment_id": experiment,
        "name": f"{word}-queue",
        "queue_type": "CUSTOM",
        "users": [sealed.people[MAKER]],
    }
    secret = {
        "secret_name": f"{word}-secret",
        "secret_value": [{"key": "api_key", "value": word}],
        "provider": "openai",
    }
    secret_id = make("gateway/secrets/create", secret)["secret"]["secret_id"]
    definition = {"name": f"{word}-definition", "secret_id": secret_id, "provider": "openai", "model_name": "x"}
    definition_id = make("gateway/model-definitions/create", definition)["model_definition"]["model_definition_id"]
    config = {"model_definition_id": definition_id, "linkage_type": "PRIMARY", "weight": 1.0}
    endpoint = {"name": f"{word}-endpoint", "model_configs": [config], "experiment_id": experiment}
    scorer = {"experiment_id": experiment, "name": f"{word}-scorer", "serialized_scorer": json.dumps({"name": word})}
    make("mcp-servers", {"name": f"io.sealed/{word}"})
    known.update(
        experiment_id=experiment, experiment_ids=[experiment], second_experiment=second,
        run_id=run_id, run_uuid=run_id, run_ids=[run_id],
        model_id=logged_model["model_id"], name=f"{word}-model", new_name=f"{word}-renamed", prompt=f"{word}-prompt",
        version="1", trace_id=trace_id, request_id=trace_id, trace_ids=[trace_id], request_ids=[trace_id],
        assessment_id=assessed["assessment_id"], dataset_id=dataset_id, record_id=str(_record_id(records)),
        issue_id=make("issues", issue)["issue"]["issue_id"], source=source,
        schema_id=make("label-schemas/create", schema)["label_schema"]["schema_id"],
        queue_id=make("review-queues/create", queue)["review_queue"]["queue_id"],
        secret_id=secret_id, model_definition_id=definition_id, mcp=f"io.sealed/{word}",
        endpoint_id=make("gateway/endpoints/create", endpoint)["endpoint"]["endpoint_id"],
        scorer_ids=[make("scorers/register", scorer)["scorer_id"]], webhook_id="w-1", role_id=1,
        job_id=str(uuid.uuid4()),
        item_type="TRACE", item_ids=[trace_id], alias="champion", stage="Archived", key="team", value="evil",
        description="evil", path="model/MLmodel", artifact_path=f"{folder}/model/MLmodel", metric_key="loss",
        locations=[{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}],
    )  # fmt: skip


def _record_id(records: Any) -> str:
    """Of the first record; MLflow answers them as text."""
    return str((json.loads(records) if isinstance(records, str) else records)[0]["dataset_record_id"])
