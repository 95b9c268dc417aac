"""Every endpoint of MLflow's server, and the rule for its callers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from registry_tui.contracts.permissions import RULES, Action
from support.sealed_project import HELD, MAKER


def _permitted(action: Action) -> tuple[str, ...]:
    """People who may do an action with the sealed project's things, by the product's own table."""
    return tuple(person for person, held in HELD.items() if held is None or RULES[action].allows(held))


#: People who may use an endpoint, by its rule. `search`: everybody signed in, who finds only things they may see.
#: `prompt`: people with a role in a project of the registry. `maker`: MLflow gives things to their maker alone.
MAY = {
    "open": tuple(HELD),
    "signed in": tuple(each for each in HELD if each != "nobody"),
    "search": tuple(each for each in HELD if each != "nobody"),
    "prompt": (*_permitted(Action.TRACKING_READ), "elsewhere"),
    "look": _permitted(Action.TRACKING_READ),
    "change": _permitted(Action.TRACKING_CHANGE),
    "owned": _permitted(Action.MODEL_CHANGE),
    "maker": (MAKER,),
    "closed": (),
}

#: Methods and paths by rule. Paths below `/ajax-api/` that are also below `/api/` are there.
_TABLE = {
    "open": """
        GET /api/3.0/mlflow/server-info
        GET /health
        GET /static-files/{path}
    """,
    "signed in": """
        GET /
        POST /ajax-api/3.0/jobs/
        GET /ajax-api/3.0/mlflow/gateway/provider-config
        GET /ajax-api/3.0/mlflow/gateway/secrets/config
        GET /ajax-api/3.0/mlflow/gateway/supported-models
        GET /ajax-api/3.0/mlflow/gateway/supported-providers
        GET,POST /ajax-api/3.0/mlflow/ui-telemetry
        GET /api/2.0/mlflow/users/current
        GET /api/3.0/mlflow/gateway/budgets/get
        GET /api/3.0/mlflow/gateway/budgets/windows
        GET /api/3.0/mlflow/users/current/permissions
        POST /gateway/openai/v1/responses/compact
        GET /version
    """,
    "search": """
        GET,POST /ajax-api/2.0/mlflow/gateway-proxy
        POST /ajax-api/3.0/jobs/search
        GET,POST /api/2.0/mlflow/experiments/search
        POST /api/2.0/mlflow/logged-models/search
        GET /api/2.0/mlflow/model-versions/search
        GET /api/2.0/mlflow/registered-models/search
        POST /api/2.0/mlflow/runs/search
        GET /api/3.0/mlflow/gateway/budgets/list
        GET /api/3.0/mlflow/gateway/endpoints/list
        GET /api/3.0/mlflow/gateway/model-definitions/list
        GET /api/3.0/mlflow/gateway/secrets/list
        GET /api/3.0/mlflow/mcp-servers
        GET /api/3.0/mlflow/mcp-servers/endpoints
        GET /api/3.0/mlflow/scorers/online-configs
        GET /api/3.0/mlflow/workspaces
        GET /gateway/mlflow/v1/models
        GET,POST /graphql
    """,
    "look": """
        POST /ajax-api/2.0/mlflow/experiments/search-datasets
        GET /ajax-api/2.0/mlflow/get-trace-artifact
        GET /ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files
        GET /ajax-api/2.0/mlflow/metrics/get-history-bulk
        GET /ajax-api/3.0/mlflow/get-trace-artifact
        GET /api/2.0/mlflow-artifacts/artifacts
        GET /api/2.0/mlflow-artifacts/artifacts/{artifact_path}
        GET /api/2.0/mlflow-artifacts/presigned/{artifact_path}
        GET /api/2.0/mlflow/artifacts/list
        POST /api/2.0/mlflow/artifacts/presigned-download-url
        GET /api/2.0/mlflow/experiments/get
        GET /api/2.0/mlflow/experiments/get-by-name
        GET /api/2.0/mlflow/logged-models/{model_id}
        GET /api/2.0/mlflow/logged-models/{model_id}/artifacts/directories
        GET /api/2.0/mlflow/metrics/get-history
        GET /api/2.0/mlflow/metrics/get-history-bulk-interval
        GET /api/2.0/mlflow/model-versions/get
        GET /api/2.0/mlflow/model-versions/get-download-uri
        GET /api/2.0/mlflow/registered-models/alias
        GET /api/2.0/mlflow/registered-models/get
        GET,POST /api/2.0/mlflow/registered-models/get-latest-versions
        GET /api/2.0/mlflow/runs/get
        GET /api/2.0/mlflow/traces
        GET /api/2.0/mlflow/traces/{request_id}/info
        GET,POST /api/3.0/mlflow/datasets/search
        GET /api/3.0/mlflow/datasets/{dataset_id}
        GET /api/3.0/mlflow/datasets/{dataset_id}/experiment-ids
        GET /api/3.0/mlflow/datasets/{dataset_id}/records
        POST /api/3.0/mlflow/issues/search
        GET /api/3.0/mlflow/issues/{issue_id}
        GET /api/3.0/mlflow/label-schemas/get
        GET /api/3.0/mlflow/label-schemas/get-by-name
        GET /api/3.0/mlflow/label-schemas/list
        GET,POST /api/3.0/mlflow/prompt-optimization/jobs/search
        GET /api/3.0/mlflow/review-queues/list
        GET /api/3.0/mlflow/scorers/list
        GET /api/3.0/mlflow/traces/batchGet
        POST /api/3.0/mlflow/traces/batchGetInfos
        POST /api/3.0/mlflow/traces/calculate-filter-correlation
        GET /api/3.0/mlflow/traces/get
        POST /api/3.0/mlflow/traces/metrics
        POST /api/3.0/mlflow/traces/search
        GET /api/3.0/mlflow/traces/{trace_id}
        GET /api/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}
        GET /get-artifact
        GET /model-versions/get-artifact
    """,
    "change": """
        POST /ajax-api/2.0/mlflow/runs/create-promptlab-run
        POST /ajax-api/2.0/mlflow/upload-artifact
        POST /ajax-api/3.0/mlflow/genai/evaluate/invoke
        POST /ajax-api/3.0/mlflow/scorer/invoke
        DELETE,PUT /api/2.0/mlflow-artifacts/artifacts/{artifact_path}
        POST /api/2.0/mlflow-artifacts/mpu/abort/{artifact_path}
        POST /api/2.0/mlflow-artifacts/mpu/complete/{artifact_path}
        POST /api/2.0/mlflow-artifacts/mpu/create/{artifact_path}
        POST /api/2.0/mlflow/artifacts/presigned-upload-url
        POST /api/2.0/mlflow/experiments/create
        POST /api/2.0/mlflow/experiments/delete
        POST /api/2.0/mlflow/experiments/delete-experiment-tag
        POST /api/2.0/mlflow/experiments/restore
        POST /api/2.0/mlflow/experiments/set-experiment-tag
        POST /api/2.0/mlflow/experiments/update
        POST /api/2.0/mlflow/logged-models
        DELETE,PATCH /api/2.0/mlflow/logged-models/{model_id}
        POST /api/2.0/mlflow/logged-models/{model_id}/params
        PATCH /api/2.0/mlflow/logged-models/{model_id}/tags
        DELETE /api/2.0/mlflow/logged-models/{model_id}/tags/{tag_key}
        POST /api/2.0/mlflow/model-versions/create
        POST /api/2.0/mlflow/registered-models/create
        POST /api/2.0/mlflow/runs/create
        POST /api/2.0/mlflow/runs/delete
        POST /api/2.0/mlflow/runs/delete-tag
        POST /api/2.0/mlflow/runs/log-batch
        POST /api/2.0/mlflow/runs/log-inputs
        POST /api/2.0/mlflow/runs/log-metric
        POST /api/2.0/mlflow/runs/log-model
        POST /api/2.0/mlflow/runs/log-parameter
        POST /api/2.0/mlflow/runs/outputs
        POST /api/2.0/mlflow/runs/restore
        POST /api/2.0/mlflow/runs/set-tag
        POST /api/2.0/mlflow/runs/update
        POST /api/2.0/mlflow/traces
        POST /api/2.0/mlflow/traces/delete-traces
        POST /api/2.0/mlflow/traces/link-prompts
        POST /api/2.0/mlflow/traces/link-to-run
        PATCH /api/2.0/mlflow/traces/{request_id}
        DELETE,PATCH /api/2.0/mlflow/traces/{request_id}/tags
        POST /api/3.0/mlflow/datasets/create
        DELETE /api/3.0/mlflow/datasets/{dataset_id}
        POST /api/3.0/mlflow/datasets/{dataset_id}/add-experiments
        DELETE,POST /api/3.0/mlflow/datasets/{dataset_id}/records
        POST /api/3.0/mlflow/datasets/{dataset_id}/remove-experiments
        PATCH /api/3.0/mlflow/datasets/{dataset_id}/tags
        DELETE /api/3.0/mlflow/datasets/{dataset_id}/tags/{key}
        POST /api/3.0/mlflow/gateway/secrets/create
        POST /api/3.0/mlflow/issues
        PATCH /api/3.0/mlflow/issues/{issue_id}
        POST /api/3.0/mlflow/label-schemas/create
        DELETE /api/3.0/mlflow/label-schemas/delete
        PATCH /api/3.0/mlflow/label-schemas/update
        POST /api/3.0/mlflow/mcp-servers
        POST /api/3.0/mlflow/prompt-optimization/jobs
        POST /api/3.0/mlflow/review-queues/create
        POST /api/3.0/mlflow/review-queues/delete
        GET /api/3.0/mlflow/review-queues/get
        GET /api/3.0/mlflow/review-queues/get-by-name
        POST /api/3.0/mlflow/review-queues/get-or-create-user
        POST /api/3.0/mlflow/review-queues/items/add
        GET /api/3.0/mlflow/review-queues/items/list
        POST /api/3.0/mlflow/review-queues/items/remove
        POST /api/3.0/mlflow/review-queues/update
        DELETE /api/3.0/mlflow/scorers/delete
        PUT /api/3.0/mlflow/scorers/online-config
        POST /api/3.0/mlflow/scorers/register
        GET /api/3.0/mlflow/scorers/versions
        POST /api/3.0/mlflow/traces
        POST /api/3.0/mlflow/traces/delete-traces
        POST /api/3.0/mlflow/traces/{trace_id}/assessments
        DELETE,PATCH /api/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}
        DELETE,PATCH /api/3.0/mlflow/traces/{trace_id}/tags
        POST /v1/traces
    """,
    "owned": """
        DELETE /api/2.0/mlflow/model-versions/delete
        DELETE /api/2.0/mlflow/model-versions/delete-tag
        POST /api/2.0/mlflow/model-versions/set-tag
        POST /api/2.0/mlflow/model-versions/transition-stage
        PATCH /api/2.0/mlflow/model-versions/update
        DELETE,POST /api/2.0/mlflow/registered-models/alias
        DELETE /api/2.0/mlflow/registered-models/delete
        DELETE /api/2.0/mlflow/registered-models/delete-tag
        POST /api/2.0/mlflow/registered-models/rename
        POST /api/2.0/mlflow/registered-models/set-tag
        PATCH /api/2.0/mlflow/registered-models/update
    """,
    "maker": """
        POST /ajax-api/3.0/mlflow/issues/invoke
        GET /api/2.0/mlflow/users/get
        POST /api/3.0/mlflow/gateway/endpoints/bindings/create
        DELETE /api/3.0/mlflow/gateway/endpoints/bindings/delete
        GET /api/3.0/mlflow/gateway/endpoints/bindings/list
        POST /api/3.0/mlflow/gateway/endpoints/create
        DELETE /api/3.0/mlflow/gateway/endpoints/delete
        DELETE /api/3.0/mlflow/gateway/endpoints/delete-tag
        GET /api/3.0/mlflow/gateway/endpoints/get
        POST /api/3.0/mlflow/gateway/endpoints/models/attach
        POST /api/3.0/mlflow/gateway/endpoints/models/detach
        POST /api/3.0/mlflow/gateway/endpoints/set-tag
        POST /api/3.0/mlflow/gateway/endpoints/update
        POST /api/3.0/mlflow/gateway/guardrails/add-to-endpoint
        GET /api/3.0/mlflow/gateway/guardrails/list-for-endpoint
        DELETE /api/3.0/mlflow/gateway/guardrails/remove-from-endpoint
        PATCH /api/3.0/mlflow/gateway/guardrails/update-config
        POST /api/3.0/mlflow/gateway/model-definitions/create
        DELETE /api/3.0/mlflow/gateway/model-definitions/delete
        GET /api/3.0/mlflow/gateway/model-definitions/get
        POST /api/3.0/mlflow/gateway/model-definitions/update
        DELETE /api/3.0/mlflow/gateway/secrets/delete
        GET /api/3.0/mlflow/gateway/secrets/get
        POST /api/3.0/mlflow/gateway/secrets/update
        DELETE,GET,PATCH /api/3.0/mlflow/mcp-servers/{name}
        POST /api/3.0/mlflow/mcp-servers/{name}/aliases
        DELETE,GET /api/3.0/mlflow/mcp-servers/{name}/aliases/{alias}
        GET,POST /api/3.0/mlflow/mcp-servers/{name}/endpoints
        DELETE,GET,PATCH /api/3.0/mlflow/mcp-servers/{name}/endpoints/{endpoint_id}
        POST /api/3.0/mlflow/mcp-servers/{name}/tags
        DELETE /api/3.0/mlflow/mcp-servers/{name}/tags/{key}
        GET,POST /api/3.0/mlflow/mcp-servers/{name}/versions
        DELETE,GET,PATCH /api/3.0/mlflow/mcp-servers/{name}/versions/{version}
        POST /api/3.0/mlflow/mcp-servers/{name}/versions/{version}/tags
        DELETE /api/3.0/mlflow/mcp-servers/{name}/versions/{version}/tags/{key}
        POST /api/3.0/mlflow/review-queues/items/set-status
        GET /api/3.0/mlflow/scorers/get
        GET /api/3.0/mlflow/users/permissions/get
        GET /api/3.0/mlflow/users/permissions/list
        GET /api/3.0/mlflow/users/roles/list
        POST /gateway/anthropic/v1/messages
        POST /gateway/gemini/v1beta/models/{endpoint_name}:generateContent
        POST /gateway/gemini/v1beta/models/{endpoint_name}:streamGenerateContent
        POST /gateway/mlflow/v1/chat/completions
        POST /gateway/openai/v1/chat/completions
        POST /gateway/openai/v1/embeddings
        POST /gateway/openai/v1/responses
        POST /gateway/proxy/{endpoint_name}/{path}
        POST /gateway/typesafe/v1/systemone
        POST /gateway/{endpoint_name}/mlflow/invocations
    """,
    "closed": """
        PATCH /ajax-api/3.0/jobs/cancel/{job_id}
        GET /ajax-api/3.0/jobs/{job_id}
        POST /ajax-api/3.0/mlflow/demo/delete
        POST /ajax-api/3.0/mlflow/demo/generate
        PATCH /ajax-api/3.0/mlflow/jobs/cancel/{job_id}
        GET /ajax-api/3.0/mlflow/jobs/{job_id}
        GET /api/2.0/mlflow/get-online-trace-details
        GET /api/2.0/mlflow/registry-tui/deleted-runs
        POST /api/2.0/mlflow/registry-tui/find
        GET /api/2.0/mlflow/registry-tui/metric-curve
        DELETE,PUT /api/2.0/mlflow/registry-tui/project-roles
        POST /api/2.0/mlflow/registry-tui/purge-runs
        POST /api/2.0/mlflow/registry-tui/runs
        POST /api/2.0/mlflow/registry-tui/versions
        GET /api/2.0/mlflow/unified-traces
        POST /api/2.0/mlflow/users/create
        POST /api/2.0/mlflow/users/create-ui
        DELETE /api/2.0/mlflow/users/delete
        GET /api/2.0/mlflow/users/list
        PATCH /api/2.0/mlflow/users/update-admin
        PATCH /api/2.0/mlflow/users/update-password
        GET,POST /api/2.0/mlflow/webhooks
        DELETE,GET,PATCH /api/2.0/mlflow/webhooks/{webhook_id}
        POST /api/2.0/mlflow/webhooks/{webhook_id}/test
        POST /api/2.0mlflow/experiments/search-datasets
        POST /api/3.0/mlflow/gateway/budgets/create
        DELETE /api/3.0/mlflow/gateway/budgets/delete
        POST /api/3.0/mlflow/gateway/budgets/update
        POST /api/3.0/mlflow/gateway/guardrails/create
        DELETE /api/3.0/mlflow/gateway/guardrails/delete
        GET /api/3.0/mlflow/gateway/guardrails/get
        GET /api/3.0/mlflow/gateway/guardrails/list
        DELETE,GET /api/3.0/mlflow/prompt-optimization/jobs/{job_id}
        POST /api/3.0/mlflow/prompt-optimization/jobs/{job_id}/cancel
        POST /api/3.0/mlflow/roles/assign
        POST /api/3.0/mlflow/roles/create
        DELETE /api/3.0/mlflow/roles/delete
        GET /api/3.0/mlflow/roles/get
        GET /api/3.0/mlflow/roles/list
        POST /api/3.0/mlflow/roles/permissions/add
        GET /api/3.0/mlflow/roles/permissions/list
        DELETE /api/3.0/mlflow/roles/permissions/remove
        PATCH /api/3.0/mlflow/roles/permissions/update
        DELETE /api/3.0/mlflow/roles/unassign
        PATCH /api/3.0/mlflow/roles/update
        GET /api/3.0/mlflow/roles/users/list
        POST /api/3.0/mlflow/users/permissions/grant
        POST /api/3.0/mlflow/users/permissions/revoke
        POST /api/3.0/mlflow/workspaces
        DELETE,GET,PATCH /api/3.0/mlflow/workspaces/{workspace_name}
        GET /build/{filename}
        GET /signup
    """,
}

#: Doors that MLflow has from 3.18 on, and rules that it has changed: before, nobody could look at the name and the
#: description of a workspace.
_NEWER = {
    "look": """
        GET /api/3.0/mlflow/workspaces/{workspace_name}
    """,
    "closed": """
        POST /ajax-api/3.0/jobs/
        POST /ajax-api/3.0/mlflow/issues/schedule/state
        GET,POST /api/3.0/mlflow/skills
        POST /api/3.0/mlflow/skills/bulk-register
        DELETE,GET,PATCH /api/3.0/mlflow/skills/{skill}
        POST /api/3.0/mlflow/skills/{skill}/aliases
        DELETE,GET /api/3.0/mlflow/skills/{skill}/aliases/{alias}
        POST /api/3.0/mlflow/skills/{skill}/tags
        DELETE /api/3.0/mlflow/skills/{skill}/tags/{key}
        GET,POST /api/3.0/mlflow/skills/{skill}/versions
        DELETE,GET,PATCH /api/3.0/mlflow/skills/{skill}/versions/{version}
        POST /api/3.0/mlflow/skills/{skill}/versions/{version}/tags
        DELETE /api/3.0/mlflow/skills/{skill}/versions/{version}/tags/{key}
    """,
}
#: How routes name a skill: with an organization, or without.
_SKILLS = ("@{organization}/{name}", "{name}")

#: Done last, so that the calls before them find their things.
_ENDING = ("/remove", "/rename", "/detach", "/remove-experiments")
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>|\{(\w+)(?::\w+)?\}")


@cache
def table() -> dict[tuple[str, str], str]:
    """The rule of each method and path of the installed MLflow."""
    return dict(_rows(_TABLE)) | (dict(_rows(_NEWER)) if find_spec("mlflow.server.skill_registry_api") else {})


def _rows(rules: dict[str, str]) -> Iterator[tuple[tuple[str, str], str]]:
    for rule, text in rules.items():
        for line in filter(None, map(str.strip, text.split("\n"))):
            methods, path = line.split()
            for method, named in product(methods.split(","), _SKILLS if "{skill}" in path else ("",)):
                yield (method, path.replace("{skill}", named)), rule


def plain(path: str) -> str:
    """The path in the table: below `/api/`, where MLflow has its routes for the web page too."""
    below = path.replace("/ajax-api/", "/api/", 1)
    return below if any(below == known for _, known in table()) else path


def in_order(doors: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Endpoints that delete a thing come last, those of parent things after the others."""

    def place(door: tuple[str, str]) -> tuple[Any, ...]:
        method, path = door
        ends = method == "DELETE" or "delete" in path or path.endswith(_ENDING)
        whole = path.endswith(("experiments/delete", "runs/delete", "remove-experiments"))
        holds = path.endswith(("secrets/delete", "definitions/delete"))
        return (ends, whole, -path.count("/"), holds, path, method)

    return sorted(doors, key=place)


def routes_of(root: Path) -> list[tuple[str, str]]:
    """Method and path of every route of the MLflow server of a home, with parameters as `{name}`.

    It builds the application again as the server does; call it in a process of its own.
    """
    from registry_tui.mlflow_plugin import launch
    from registry_tui.platform.paths import Home

    app: Any = launch.prepared(Home(root))[0]
    # MLflow reads its environment while it is imported.
    from mlflow.server import app as flask_app

    while not hasattr(app, "routes"):
        app = next(value for name, value in vars(app).items() if name in ("app", "_app"))
    found = {(method, path) for method, path in _native(app.routes)}
    found |= {(method, rule.rule) for rule in flask_app.url_map.iter_rules() for method in rule.methods or ()}
    named = {(method, _PARAMETER.sub(lambda each: f"{{{each[1] or each[2]}}}", path)) for method, path in found}
    return sorted(each for each in named if each[0] not in ("HEAD", "OPTIONS"))


def _native(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Routes that FastAPI serves itself; Flask's app is mounted behind them and has no methods."""
    for route in routes:
        # FastAPI keeps an included router as one entry.
        inner = route.effective_route_contexts() if hasattr(route, "effective_route_contexts") else [route]
        for each in inner:
            for method in getattr(each, "methods", None) or ():
                yield method, each.path
