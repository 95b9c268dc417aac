"""Errors of MLflow's API: always JSON with an `error_code`, a 4xx for client errors, never a traceback."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from boto3.exceptions import Boto3Error, RetriesExceededError, S3UploadFailedError
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from mlflow.exceptions import MlflowException
from mlflow.server import app as flask_app
from mlflow.server.artifact_router import artifact_router
from mlflow.server.otel_api import otel_router

from registry_tui.contracts.mlflow_routes import Location
from registry_tui.mlflow_plugin.store_errors import clear_errors
from registry_tui.schemas.places import Project, Role
from support.platforms import PATIENCE, Platform
from support.raw_mlflow import RawMlflow, contributor, error

MISSING = "0123456789abcdef0123456789abcdef"
#: A value of the right type for each parameter that MLflow knows, which names nothing.
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("run_id", "run_uuid", "source_run_id"), MISSING),
    **dict.fromkeys(("request_id", "trace_id"), f"tr-{MISSING}"),
    **dict.fromkeys(("name", "experiment_name", "new_name", "alias", "key", "value", "metric_key"), "no-such"),
    **dict.fromkeys(("dataset_id", "queue_id", "schema_id", "issue_id", "job_id", "webhook_id"), "no-such"),
    **{"experiment_id": "987654", "model_id": f"m-{MISSING}", "version": "1", "stage": "Production", "path": "x"},
    **{"source": f"runs:/{MISSING}/model", "username": "nobody", "max_results": 5, "timestamp": 1, "step": 0},
    **{"experiment_ids": ["987654"], "run_ids": [MISSING], "trace_ids": [f"tr-{MISSING}"], "assessment_id": "a-1"},
}
JSON = {"content-type": "application/json"}
REQUESTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "missing IDs": {"json": NOTHING},
    "numbers": {"json": dict.fromkeys(NOTHING, 5)},
    "lists": {"json": {name: [{}] for name in NOTHING}},
    "endless digits": {"json": dict.fromkeys(NOTHING, "9" * 300)},
    "a text": {"content": b'"x"', "headers": JSON},
    "a list": {"content": b"[1]", "headers": JSON},
    "broken JSON": {"content": b'{"run_id":', "headers": JSON},
    "not UTF-8": {"content": b'{"run_id": "\xff"}', "headers": JSON},
    "too deep": {"content": b'{"run_id":' + b"[" * 3000 + b"]" * 3000 + b"}", "headers": JSON},
    "another type of content": {"content": json.dumps(NOTHING).encode(), "headers": {"content-type": "text/plain"}},
}
#: They ask other servers, or make a demo's data for a minute.
ELSEWHERE = ("demo/generate", "supported-models", "ui-telemetry", "provider-config")


@pytest.fixture(scope="module")
def place(platform: Platform) -> Project:
    """A project for all cases of this module."""
    return platform.new_project()


@pytest.fixture(scope="module")
def raw(platform: Platform, place: Project) -> RawMlflow:
    """A contributor of it."""
    return contributor(platform, place.id)


@pytest.fixture(scope="module")
def viewer(platform: Platform, place: Project) -> RawMlflow:
    """A viewer of it."""
    return contributor(platform, place.id, role=Role.VIEWER)


def endpoints() -> Iterator[tuple[str, str]]:
    """Path and method of every endpoint of MLflow's REST API, with names that name nothing."""
    rules = {(rule.rule, method) for rule in flask_app.url_map.iter_rules() for method in rule.methods or ()}
    for router in (artifact_router, otel_router):
        rules |= {(re.sub(r"{(\w+).*}", r"<\1>", route.path), m) for route in router.routes for m in route.methods}
    for rule, method in sorted(rules):
        the_same = rule.startswith("/ajax-api") and (rule.replace("/ajax-api", "/api", 1), method) in rules
        if method not in ("HEAD", "OPTIONS") and not the_same and not any(part in rule for part in ELSEWHERE):
            yield re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(NOTHING.get(found[1], "x")), rule), method


@pytest.mark.parametrize("kind", REQUESTS)
def test_no_endpoint_fails_at_what_a_client_sends(raw: RawMlflow, kind: str) -> None:
    wrong, asked = [], 0
    with httpx.Client(auth=raw.auth, timeout=PATIENCE, trust_env=False) as http:
        for path, method in endpoints():
            request = dict(REQUESTS[kind])
            if method == "GET" and "json" in request:
                sent = request.pop("json")
                request["params"] = {name: value if value != [{}] else "x" for name, value in sent.items()}
            answer = http.request(method, f"{raw.uri}{path}", **request)
            asked += 1
            clear = answer.status_code < 400 or {"error_code", "message"} <= answer.json().keys()
            # 501 is MLflow's own word for a way of downloading that a store does not have.
            if answer.status_code in (500, 502, 503) or not clear:
                wrong.append((method, path, answer.status_code, answer.text[:200]))
    assert not wrong and asked > 150


@pytest.mark.parametrize(
    ("method", "path", "request_", "says"),
    [
        ("GET", "runs/get", {"params": {"run_id": MISSING}}, f"Run with id={MISSING} not found"),
        ("POST", "runs/update", {"json": {"run_id": MISSING}}, f"Run with id={MISSING} not found"),
        ("POST", "runs/delete", {"json": {"run_id": MISSING}}, f"Run with id={MISSING} not found"),
        ("POST", "runs/log-batch", {"json": {"run_id": MISSING}}, f"Run with id={MISSING} not found"),
        ("GET", "artifacts/list", {"params": {"run_id": MISSING}}, f"Run with id={MISSING} not found"),
        ("GET", "/get-artifact", {"params": {"run_id": MISSING, "path": "x"}}, f"Run with id={MISSING} not found"),
        ("GET", "experiments/get", {"params": {"experiment_id": "987654"}}, "No Experiment with id=987654 exists"),
        ("POST", "experiments/update", {"json": {"experiment_id": "987654", "new_name": "x"}}, "No Experiment with id"),
        ("POST", "runs/create", {"json": {"experiment_id": "987654"}}, "No Experiment with id=987654 exists"),
        ("GET", f"logged-models/m-{MISSING}", {}, f"m-{MISSING}"),
        ("POST", "logged-models", {"json": {"experiment_id": "987654", "name": "m"}}, "No Experiment with id"),
        ("GET", f"traces/tr-{MISSING}/info", {}, f"tr-{MISSING}"),
        ("GET", f"/api/3.0/mlflow/traces/tr-{MISSING}", {}, f"tr-{MISSING}"),
        ("GET", f"/api/3.0/mlflow/datasets/d-{MISSING}", {}, f"d-{MISSING}"),
        ("GET", "registered-models/get", {"params": {"name": "no such"}}, "no such"),
        ("GET", "model-versions/get", {"params": {"name": "no such", "version": "1"}}, "no such"),
    ],
)
def test_a_missing_resource_is_missing_for_who_may_read_there(
    raw: RawMlflow, viewer: RawMlflow, platform: Platform, method: str, path: str, request_: dict[str, Any], says: str
) -> None:
    for who in (raw, viewer):
        answer = who.ask(method, path, **request_)
        assert error(answer) == (404, "RESOURCE_DOES_NOT_EXIST") and says in answer.json()["message"]
    if "no such" in says:
        return  # The projects of an environment share one registry.
    stranger = contributor(platform, "local/default/default").at(raw.uri.removeprefix(platform.ports.mlflow_url))
    assert error(stranger.ask(method, path, **request_)) == (403, "PERMISSION_DENIED")


def test_another_projects_run_is_missing(raw: RawMlflow, platform: Platform, project: Project) -> None:
    theirs = contributor(platform, project.id).ask("POST", "runs/create", json={"experiment_id": "0"})
    asked = {"run_id": theirs.json()["run"]["info"]["run_id"]}
    assert error(raw.ask("GET", "runs/get", params=asked)) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_what_someone_may_not_do_stays_refused(raw: RawMlflow, viewer: RawMlflow) -> None:
    made = raw.ask("POST", "runs/create", json={"experiment_id": "0"}).json()["run"]["info"]
    for path, body in (
        ("runs/delete", {"run_id": made["run_id"]}),
        ("runs/create", {"experiment_id": made["experiment_id"]}),
        ("experiments/create", {"name": "x"}),
        ("registered-models/create", {"name": "x"}),
    ):
        assert error(viewer.ask("POST", path, json=body)) == (403, "PERMISSION_DENIED"), path


@pytest.mark.parametrize(
    "header",
    [
        b"Bearer abc",
        b"Digest username=x",
        b"Basic",
        b"Basic %%%",
        b"Basic " + base64.b64encode(b"no colon"),
        b"Basic " + base64.b64encode(b"\xff\xfe:x"),
        b"Basic " + base64.b64encode(b":no name"),
        b"Basic " + base64.b64encode(b"nobody:x"),
        b"",
        b"\xff\xfe",
    ],
)
def test_credentials_that_cannot_be_read_are_asked_for_again(raw: RawMlflow, header: bytes) -> None:
    for method, path in (("GET", "users/current"), ("POST", "runs/search"), ("GET", "/v1/traces"), ("GET", "/")):
        answer = raw.ask(method, path, auth=None, headers={b"Authorization": header})
        if path != "/v1/traces":
            assert error(answer) == (401, "UNAUTHENTICATED"), (path, answer.text)
            assert answer.headers["www-authenticate"].startswith("Basic")
    artifact = raw.ask("GET", "/api/2.0/mlflow-artifacts/artifacts/1/x", auth=None, headers={b"Authorization": header})
    assert error(artifact) == (401, "UNAUTHENTICATED") and artifact.headers["www-authenticate"].startswith("Basic")
    assert raw.ask("GET", "/health", auth=None, headers={b"Authorization": header}).is_success


def test_headers_that_are_not_text_are_refused(raw: RawMlflow) -> None:
    for name in (b"Host", b"Origin"):
        answer = raw.ask("GET", "users/current", headers={name: b"\xff\xfe"})
        assert error(answer)[0] == 400, (name, answer.text)
    assert error(raw.at("").ask("GET", "experiments/get", headers={b"X-MLFLOW-WORKSPACE": b"\xff"}))[0] == 400


def test_addresses_and_methods_that_do_not_exist_say_so(raw: RawMlflow) -> None:
    assert error(raw.ask("GET", "no/such/call")) == (404, "ENDPOINT_NOT_FOUND")
    assert error(raw.ask("DELETE", "runs/search")) == (405, "ENDPOINT_NOT_FOUND")
    assert error(raw.ask("GET", "no/such/call", auth=None)) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "source",
    [
        *("models:/", "models:", "models:/x/y/z", "models:/x/", "models:/x@", f"models:/m-{MISSING}"),
        *("models:/no-such/1", "models:/no-such@champion", "models:/no-such/Production", "models:/no-such/latest"),
        *("models://host/x/1", "models:/%2e%2e/1", "runs:/", "runs:", "", "x:y", "mlflow-artifacts:/../../x", "/etc"),
    ],
)
def test_a_source_that_names_no_model_is_the_clients_fault(raw: RawMlflow, source: str) -> None:
    name = f"Sources{abs(hash(source))}"
    raw.ask("POST", "registered-models/create", json={"name": name})
    answer = raw.ask("POST", "model-versions/create", json={"name": name, "source": source})
    status, code = error(answer)
    assert (status, code) in ((400, "INVALID_PARAMETER_VALUE"), (404, "RESOURCE_DOES_NOT_EXIST")), answer.text


@pytest.mark.parametrize("query", [None, 5, "", "{", "query {" * 500, {"a": 1}])
def test_a_graphql_question_that_cannot_be_read_is_refused(raw: RawMlflow, query: Any) -> None:
    assert error(raw.ask("POST", "/graphql", json={"query": query})) == (400, "BAD_REQUEST")
    assert error(raw.ask("GET", "/graphql")) == (400, "BAD_REQUEST")


def test_no_traceback_is_logged_for_what_clients_send(raw: RawMlflow, platform: Platform) -> None:
    log = platform.home.logs / "mlflow.log"

    def logged() -> bytes:
        before = log.stat().st_size
        raw.ask("POST", "runs/search", content=b'"x"', headers=JSON)
        raw.ask("POST", "experiments/search", json={"max_results": [{}], "order_by": 5, "filter": {}})
        raw.ask("GET", "users/current", auth=None, headers={"Authorization": "Bearer abc"})
        raw.ask("GET", "experiments/get", params={"experiment_id": "9" * 300})
        with log.open("rb") as lines:
            lines.seek(before)
            return lines.read()

    # Other tests call the same server meanwhile: the effects of these requests occur every time.
    texts: list[bytes] = []
    while not texts or (b"Traceback" in texts[-1] and len(texts) < 5):
        texts.append(logged())
    assert b"Traceback" not in texts[-1], texts[-1].decode()


def client_error(status: int, code: str) -> ClientError:
    response = {"Error": {"Code": code, "Message": f"{code} it is"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutObject")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "status", "code"),
    [
        (client_error(400, "KeyTooLongError"), 400, "INVALID_PARAMETER_VALUE"),
        (client_error(400, "InvalidArgument"), 400, "INVALID_PARAMETER_VALUE"),
        (client_error(404, "NoSuchKey"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (client_error(404, "NoSuchBucket"), 404, "RESOURCE_DOES_NOT_EXIST"),
        (client_error(403, "AccessDenied"), 403, "PERMISSION_DENIED"),
        (client_error(500, "InternalError"), 503, "TEMPORARILY_UNAVAILABLE"),
        (client_error(503, "SlowDown"), 503, "TEMPORARILY_UNAVAILABLE"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), 503, "TEMPORARILY_UNAVAILABLE"),
        (ParamValidationError(report="Invalid length"), 400, "INVALID_PARAMETER_VALUE"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_object_stores_errors_are_translated_for_reads_and_uploads(
    cause: Exception, status: int, code: str, wrapped: bool
) -> None:
    with pytest.raises(MlflowException) as refused, clear_errors(Location("w", "bucket", "key", writable=True)):
        try:
            raise cause
        except ClientError:
            if wrapped:  # as boto3's transfers do
                raise S3UploadFailedError("Failed to upload key")  # noqa: B904
            raise
    assert (refused.value.get_http_status_code(), refused.value.error_code) == (status, code)


def test_a_download_that_is_given_up_is_the_stores_fault() -> None:
    with pytest.raises(MlflowException) as refused, clear_errors(Location("w", "bucket", "key", writable=True)):
        raise RetriesExceededError(Boto3Error("gone"))
    assert refused.value.error_code == "TEMPORARILY_UNAVAILABLE"
