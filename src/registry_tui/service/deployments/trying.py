"""Trying a deployment: the request that its form begins with, and one sent past the gateway to a replica."""

from __future__ import annotations

import http.client
import json
import shlex
import time
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from registry_tui.contracts import bounded_yaml
from registry_tui.contracts.bounded_yaml import InvalidYaml
from registry_tui.contracts.permissions import Action
from registry_tui.gateway import paths
from registry_tui.gateway.words import unanswered
from registry_tui.schemas.deployments import DeploymentSuggestion, SuggestedRequest, TestAnswer, TestRequest
from registry_tui.service.backends.base import ReplicaName
from registry_tui.service.core import clusters, ml_model
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import DeploymentRow, EnvironmentBackendRow
from registry_tui.service.deployments import machine, model_requirements
from registry_tui.service.deployments import views as deployment_views
from registry_tui.service.deployments.finding import find_for
from registry_tui.service.errors import InvalidInput, Missing, WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.publishing import gateway as gateway_link
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.stores import archives, bucket_files
from registry_tui.service.stores.bucket_files import Folder, StoreFolder

#: Larger example files are not read into a form.
_MAX_EXAMPLE = 256 * 1024
#: Seconds within which a replica must describe its inputs; otherwise the form is filled without that.
_DESCRIBED_WITHIN = 5.0
#: Bytes of a request that are put into the copied command itself; Linux takes 128 KiB in one argument.
MAX_ARGUMENT = 100_000
#: A value of each of MLflow's column types, for a request made from a signature (`mlflow.types.DataType`).
_VALUES: dict[str, Any] = {
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "string": "text",
    "binary": "dGV4dA==",
    "datetime": "2026-01-01T00:00:00",
    "any": None,
}


def suggest(service: Service, principal: Principal, registry: str, model: str, version: int) -> DeploymentSuggestion:
    """The content of the Deploy form. Raises Missing, WrongState, NotPermitted, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    known = versions.get_version(service, principal, registry, model, version)
    warnings = []
    signature, logged, example, source, requirements = None, "", "", "", list[str]()
    if known.archive_uri is None:
        warnings.append("Its archive is not stored yet")
    else:
        files = place.archive(service, known.model_id, known.id).below(archives.FILES)
        described = _model_file(files)
        signature = _signature(described)
        logged = _logged_example(files)
        example, source = (logged, "the model's input example") if logged else _made_up(signature)
        text = _read(files, "requirements.txt")
        requirements = [line for line in (text or "").splitlines() if line.strip() and not line.startswith("#")]
        if text is None and _read(files, "conda.yaml") is None:
            warnings.append(
                "It states no requirements, so that its environment cannot be built: log it again with log_model"
            )
        if unused := _left_out(files):
            warnings.append(f"Conda's packages are not installed, only pip's are: {', '.join(unused)}")
        if signature is None:
            warnings.append("It has no signature: the columns and types of requests are not checked")
    with service.database.reading() as session:
        free = machine.memory_bytes() - machine.claimed_memory(session)
        backend = clusters.shown(session.get(EnvironmentBackendRow, place.environment_id))
    return DeploymentSuggestion(
        name=_name_of(found.name),
        description=found.description,
        memory_bytes=machine.suggested_memory(known.archive_bytes or 0),
        backend=backend.kind,
        machine_memory_bytes=machine.memory_bytes(),
        free_memory_bytes=max(0, free),
        machine_cpus=machine.cpus(),
        signature=signature,
        example=example,
        example_from=source,
        example_is_logged=bool(logged),
        requirements=requirements,
        warnings=warnings,
        not_servable_reason=known.not_servable_reason,
    )


def example_for(service: Service, principal: Principal, deployment: str) -> DeploymentSuggestion:
    """The same for a deployment's own version. Raises Missing, NotPermitted, PartUnavailable."""
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_TEST)
    # People who may use the project may call the deployment, also if the model itself is private.
    found = suggest(service, replace(principal, administrator=True), row.registry_id, row.model_id, row.version)
    return found.model_copy(update={"requests": _requests(service, row, found.example)})


def _requests(service: Service, row: DeploymentRow, example: str) -> list[SuggestedRequest]:
    """One for each protocol of the endpoint's own description; none while no replica responds."""
    for name in _replicas(row):
        try:
            status, body = service.backends.replicas.ask(name, "GET", "/openapi.json", timeout=_DESCRIBED_WITHIN)
            described = json.loads(body)["paths"] if status == HTTPStatus.OK else {}
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            continue  # another one may respond
        found = []
        for path, operations in described.items():
            asked = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
            text = json.dumps(asked["example"], indent=2) if "example" in asked else ""
            if path == TestRequest.model_fields["path"].default:
                text = text or example
            if text:
                found.append(SuggestedRequest(protocol=operations["post"]["summary"], path=path, body=text))
        return found
    return []


def _replicas(row: DeploymentRow) -> list[ReplicaName]:
    revision = gateway_link.active_revision(row)
    return [] if revision is None else gateway_link.replica_names(row, revision)


def send(service: Service, principal: Principal, deployment: str, request: TestRequest) -> TestAnswer:
    """Sends a request to a replica, for people who may use the project.

    Raises Missing, NotPermitted, WrongState, InvalidInput for a path that no endpoint has.
    """
    row = find_for(service, principal, deployment, Action.DEPLOYMENT_TEST)
    if paths.method_of(request.path.removeprefix("/")) != "POST" or not request.path.startswith("/"):
        raise InvalidInput(
            f"No endpoint takes requests at the path {request.path[:100]!r}",
            action="Use /invocations, or a path of the endpoint's /openapi.json",
        )
    local = service.backends.replicas
    names = _replicas(row)
    shown = deployment_views.show(service, row.id)
    seconds = service.settings.prediction_seconds
    for name in names:
        began = time.monotonic()
        try:
            status, body = local.ask(
                name, "POST", quote(request.path), request.body.encode(), request.content_type, seconds + 5.0
            )
        except (OSError, http.client.HTTPException):
            continue  # another one may respond
        return TestAnswer(
            status=status,
            seconds=time.monotonic() - began,
            replica=name.program,
            body=body.decode(errors="replace"),
            curl=curl(shown.endpoint_url, request, shown.authentication),
            python=python(shown.endpoint_url, request, shown.authentication, seconds),
        )
    detail, action = unanswered(row.name, row.state, has_replicas=bool(names) and gateway_link.serves(row))
    raise WrongState(f"{detail}. {row.reason}".removesuffix(". "), action=action)


def curl(url: str, request: TestRequest, authentication: bool) -> str:
    """The request as a command line for a shell. A long body is a here-document: arguments are limited."""
    parts = ["curl", "-sS", f"{url}{quote(request.path)}", "-H", f"Content-Type: {request.content_type}"]
    text = shlex.join(parts)
    if authentication:
        text += ' -H "Authorization: Bearer $API_KEY"'
    if len(request.body.encode()) <= MAX_ARGUMENT:
        return f"{text} --data-raw {shlex.quote(request.body)}"
    end = "END"
    while end in request.body:
        end += "_"
    return f"{text} --data-binary @- <<'{end}'\n{request.body}\n{end}"


def python(url: str, request: TestRequest, authentication: bool, seconds: float) -> str:
    """The request as Python code, with the deployment's timeout."""
    lines = ["import httpx"]
    headers: list[str] = [f'"Content-Type": {request.content_type!r}']
    if authentication:
        lines.insert(0, "import os")
        headers.append('"Authorization": f"Bearer {os.environ[\'API_KEY\']}"')
    lines += [
        "",
        "answer = httpx.post(",
        f"    {url + quote(request.path)!r},",
        f"    content={request.body!r},",
        f"    headers={{{', '.join(headers)}}},",
        f"    timeout={seconds:g},",
        ")",
        "print(answer.status_code, answer.text)",
    ]
    return "\n".join(lines)


def _name_of(model: str) -> str:
    """A deployment's name made from the model's."""
    kept = "".join(character if character.isascii() and character.isalnum() else "-" for character in model.lower())
    return "-".join(part for part in kept.split("-") if part)[:63].strip("-") or "model"


def _read(files: Folder, path: str, limit: int = _MAX_EXAMPLE) -> str | None:
    """A small text file of an archive; None when it is missing or has more than `limit` bytes."""
    try:
        if isinstance(files, StoreFolder):
            found = files.store.read(files.key(path), 0, limit + 1)
            return None if len(found) > limit else found.decode(errors="replace")
        with bucket_files.clear_errors(files):
            answer = files.client.get_object(Bucket=files.bucket, Key=files.key(path))
            if answer["ContentLength"] > limit:
                return None
            return str(answer["Body"].read().decode(errors="replace"))
    except (Missing, WrongState):  # no such file
        return None


def _model_file(files: Folder) -> dict[str, Any]:
    try:
        return ml_model.read((_read(files, ml_model.MODEL_FILE, ml_model.MAX_BYTES) or "").encode())
    except InvalidInput:  # the file of an older archive was not checked
        return {}


def _left_out(files: Folder) -> tuple[str, ...]:
    try:
        found = bounded_yaml.load((_read(files, "conda.yaml") or "").encode())
    except InvalidYaml:  # building the environment reports it
        return ()
    return model_requirements.left_out(found) if isinstance(found, dict) else ()


def _signature(described: dict[str, Any]) -> dict[str, Any] | None:
    """The signature of an MLmodel file, its parts decoded."""
    found = described.get("signature")
    if not isinstance(found, dict):
        return None
    decoded = {}
    for part, text in found.items():
        try:
            decoded[str(part)] = json.loads(text) if isinstance(text, str) else text
        except ValueError:
            decoded[str(part)] = text
    return decoded


def _logged_example(files: Folder) -> str:
    """The request, as JSON, that the model was logged with; empty without one."""
    text = _read(files, "serving_input_example.json")
    try:
        return "" if text is None else json.dumps(json.loads(text), indent=2)
    except ValueError:
        return ""


def _made_up(signature: dict[str, Any] | None) -> tuple[str, str]:
    """A request as JSON that fits a signature, and where it comes from."""
    columns = (signature or {}).get("inputs")
    if isinstance(columns, list) and columns and all(isinstance(each, dict) for each in columns):
        if all("name" in each for each in columns):
            row = [_VALUES.get(str(each.get("type"))) for each in columns]
            split = {"columns": [each["name"] for each in columns], "data": [row]}
            return json.dumps({"dataframe_split": split}, indent=2), "the signature, with made-up values"
        if columns[0].get("type") == "tensor":
            shape = columns[0].get("tensor-spec", {}).get("shape", [1])
            return json.dumps({"inputs": _zeros([abs(size) if size else 1 for size in shape])}), "the signature"
    return '{"dataframe_split": {"columns": [], "data": []}}', "nothing: the model has no example and no signature"


def _zeros(shape: list[int]) -> Any:
    if not shape:
        return 0.0
    return [_zeros(shape[1:]) for _ in range(min(shape[0], 64))]
