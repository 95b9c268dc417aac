"""The commands of requests about deployments and API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from registry_tui.wording import key_limits, rollouts
from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, Options, line, simple, switch


def _variables(variables: Sequence[Mapping[str, Any]]) -> Options:
    """Secret values are read from files: other users of the machine can see a command line."""
    given: list[tuple[str, Any]] = []
    for each in variables:
        if not each["secret"]:
            given.append(("--env", f"{each['name']}={each['value'] or ''}"))
        elif each["value"] is not None:
            given.append(("--secret-env", f"{each['name']}=@{each['name']}.secret"))
    return given


def _serving(body: Body) -> list[tuple[str, Any]]:
    """The options that creating and changing a deployment have in common."""
    return [
        ("--version", body["version"]),
        ("--alias", body["alias"]),
        ("--replicas", body["replicas"] if body["autoscaling"] is None else None),
        *_autoscaling(body["autoscaling"] or {}),
        ("--gpus", body["gpus"]),
        ("--cpu", body["cpu"]),
        ("--memory", body["memory_bytes"]),
        *_variables(body["environment"] or []),
    ]


def _autoscaling(body: Body) -> list[tuple[str, Any]]:
    options = ("--min-replicas", "--max-replicas", "--target-requests")
    return [(option, body.get(option[2:].replace("-", "_"))) for option in options]


def _create_deployment(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--project", body["project"]),
        ("--model", body["model"]),
        *_serving({**body, "gpus": body["gpus"] or None}),
        ("--follow", body["follow_alias"]),
        *rollouts.options(None, body["follow_rollout"]),
        ("--batching", body["batching"] if body["batching"] != "auto" else None),
        *switch("authentication", body["authentication"], usual=True),
        *switch("strict-json", body["strict_json"], usual=False),
        ("--own-port", body["own_port"]),
        ("--description", body["description"] or None),
        ("--comment", body["comment"] or None),
    ]
    return [line("deployments create", [body["name"]], options)]


def _update_deployment(names: Names, query: Body, body: Body) -> list[Line]:
    kept = body["follow_rollout"]
    together = rollouts.in_one_line(body["rollout"], kept)
    options: Options = [
        *_serving(body),
        ("--batching", body["batching"]),
        *switch("follow", body["follow_alias"]),
        *switch("authentication", body["authentication"]),
        *switch("strict-json", body["strict_json"]),
        ("--description", body["description"]),
        *rollouts.options(body["rollout"], kept if together else None),
        ("--comment", body["comment"] or None),
    ]
    scaled = body["comment"] == f"scaled to {body['replicas']}"
    if scaled and all(value is None for key, value in body.items() if key not in ("replicas", "comment")):
        return [line("deployments scale", [*names, body["replicas"]])]
    lines = [line("deployments update", names, options)]
    if not together:
        lines.append(line("deployments update", names, rollouts.options(None, kept)))
    return lines


def _roll_back(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("deployments rollback", names, [("--revision", query.get("revision"))])]


def _delete_deployment(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("deployments delete", names, [("--force", bool(query.get("force"))), ("--yes", True)])]


def _create_key(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [("--expires", body["days"] or body["expires_at"]), *key_limits.options(body["limits"])]
    return [line("keys create", [body["name"]], options)]


def _limit_key(names: Names, query: Body, body: Body) -> list[Line]:
    options = key_limits.options(body)
    return [line("keys limit", names, options if any(value for _, value in options) else [("--none", True)])]


#: Method and address below `/api/v1`, with the command that does the same.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
    ("POST", "deployments", _create_deployment),
    ("PATCH", "deployments/*", _update_deployment),
    ("POST", "deployments/*/stop", simple("deployments stop")),
    ("POST", "deployments/*/restart", simple("deployments restart")),
    ("POST", "deployments/*/rollback", _roll_back),
    ("DELETE", "deployments/*", _delete_deployment),
    ("POST", "keys", _create_key),
    ("PUT", "keys/*/limits", _limit_key),
    ("DELETE", "keys/*", simple("keys revoke", YES)),
)
