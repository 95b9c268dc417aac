"""The command lines equivalent to a request to the service: `registry-tui projects create churn -w default`.

`test_command_lines.py` runs each line through the command line, and compares the request that it sends.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from registry_tui.client.outgoing import Outgoing
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE
from registry_tui.wording import (
    attached_commands,
    drift,
    key_limits,
    promotion_commands,
    request_logs,
    rollouts,
    store_commands,
    webhook_commands,
)
from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, NoCommand, Options, line, simple
from registry_tui.wording.people_commands import COMMANDS as OF_PEOPLE

PROGRAM = "registry-tui"


def command_lines(request: Outgoing) -> list[Line]:
    """The commands (words after `registry-tui`) equivalent to the request. Raises NoCommand."""
    for method, pattern, make in _COMMANDS:
        if method == request.method and (names := _matched(pattern, request.parts)) is not None:
            return make(names, request.query, request.body)
    raise NoCommand("no command does this")


def showing(kind: str, names: Mapping[str, str]) -> Line | None:
    """The command that shows a kind of place (`terminal/commands.py`) with its arguments, by name or ID."""
    known = {name: value for name, value in names.items() if value}
    project, registry = ("--project", known.get("project")), ("--registry", known.get("registry"))
    made: dict[str, Callable[[], Line]] = {
        "registries": lambda: line("registries list"),
        "registry": lambda: line("registries show", [known["registry"]]),
        "projects": lambda: line("projects list"),
        "project": lambda: line("experiments list", (), [project]),
        "experiment": lambda: line("runs list", (), [project, ("--experiment", known["experiment"])]),
        "run": lambda: line("runs show", [known["run"]], [project]),
        "models": lambda: line("models list", (), [registry]),
        "model": lambda: line("models versions", [known["model"]], [registry]),
        "diff": lambda: line("models diff", [known["model"], known["one"], known["other"]], [registry]),
        "signatures": lambda: line("models signature", [known["model"], known["version"]], [registry]),
        "card": lambda: line("models card", [known["model"], known["version"]], [registry]),
        "bom": lambda: line(
            "models bom", [known["model"], known["version"]], [registry, ("--against", known.get("against"))]
        ),
        "uses": lambda: line("models search", (), _uses(known["uses"])),
        "signing_keys": lambda: line("signing keys list", [known["environment"]]),
        "deployments": lambda: line("deployments list", (), [project]),
        "deployment": lambda: line("deployments show", [known["deployment"]]),
        "keys": lambda: line("keys list"),
        "environments": lambda: line("environments list"),
        "policies": lambda: line("ranger policies list", (), [("--service", known["environment"])]),
        "rules": lambda: line("rules history", [known["environment"]]),
        "exceptions": lambda: line("rules exceptions list", [known["registry"]]),
        "attached": lambda: line("attached list"),
        "webhooks": lambda: line("webhooks list"),
        "webhook": lambda: line("webhooks deliveries", [known["webhook"]]),
        "people": lambda: line("users list"),
        "person": lambda: line("users show", [known["user"]]) if "user" in known else line("whoami"),
        "groups": lambda: line("groups list"),
        "group": lambda: line("groups show", [known["group"]]),
        "roles": lambda: line("environments roles list", [known["environment"]]),
        "activity": lambda: line("workflows list"),
        "approvals": lambda: line("approvals list"),
        "workflow": lambda: line("workflows show", [known["workflow"]]),
    }
    if kind == "uses" and not known:
        return None
    return made[kind]() if kind in made else None


def showing_row(kind: str, names: Mapping[str, str], row: Any) -> Line | None:
    """The command that shows the selected row of a kind of list."""
    project, registry = ("--project", names.get("project")), ("--registry", getattr(row, "registry_id", None))
    made: dict[str, Callable[[], Line]] = {
        "registries": lambda: line("registries show", [row.id]),
        "projects": lambda: line("projects show", [row.id]),
        "project": lambda: line("experiments show", [row.id], [project]),
        "experiment": lambda: line("runs show", [row.id], [project]),
        "models": lambda: line("models show", [row.name], [registry]),
        "model": lambda: line("models version", [row.model_name, row.version], [registry]),
        "signing_keys": lambda: line("signing keys show", [row.environment_name, row.fingerprint]),
        "uses": lambda: line("models bom", [row.model_name, row.version], [registry]),
        "deployments": lambda: line("deployments show", [row.id]),
        "environments": lambda: line("environments show", [row.id]),
        "policies": lambda: line("ranger policies show", [row.name], [("--service", row.service)]),
        "rules": lambda: line("rules show", [row.environment_id], [("--number", row.number)]),
        "attached": lambda: line("attached show", [row.workspace_id]),
        "webhooks": lambda: line("webhooks show", [row.id]),
        "people": lambda: line("users show", [row.name]),
        "groups": lambda: line("groups show", [row.name]),
        "group": lambda: line("users show", [row.name]),
        "roles": lambda: line("users show", [row.user]) if row.user else line("groups show", [row.group]),
        "activity": lambda: line("workflows show", [row.id]),
    }
    return made[kind]() if kind in made else None


def as_typed(lines: Sequence[Line], environment: Mapping[str, str] = os.environ) -> str:
    """The commands in shell syntax, on the same platform and as the same user."""
    options: Line = []
    if home := environment.get(ENVIRONMENT_VARIABLE):
        options += ["--data-dir", home]
    if user := environment.get("REGISTRY_TUI_USER"):
        options += ["--user", user]
    return " && ".join(" ".join(map(quoted, (PROGRAM, *options, *line))) for line in lines)


def quoted(word: str) -> str:
    """A word for bash, zsh and ksh, in one line and without control characters."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = "".join(
        {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t"}.get(each)
        or (each if each.isprintable() else "".join(f"\\x{byte:02x}" for byte in each.encode()))
        for each in word
    )
    return f"$'{escaped}'"


def _matched(pattern: str, parts: Sequence[str]) -> tuple[str, ...] | None:
    """The parts that match the stars of a pattern, or None if the address does not match."""
    wanted = pattern.split("/")
    if len(wanted) != len(parts) or any(one not in ("*", two) for one, two in zip(wanted, parts, strict=True)):
        return None
    return tuple(two for one, two in zip(wanted, parts, strict=True) if one == "*")


def _tags(tags: Sequence[Mapping[str, str]]) -> Options:
    if any("=" in each["key"] for each in tags):
        raise NoCommand("a tag's key holds a “=”, which the command line takes for its end")
    return [("--tag", f"{each['key']}={each['value']}") for each in tags]


def _variables(variables: Sequence[Mapping[str, Any]]) -> Options:
    """Secret values are read from files: other users of the machine can see a command line."""
    given: list[tuple[str, Any]] = []
    for each in variables:
        if not each["secret"]:
            given.append(("--env", f"{each['name']}={each['value'] or ''}"))
        elif each["value"] is not None:
            given.append(("--secret-env", f"{each['name']}=@{each['name']}.secret"))
    return given


def _uses(typed: str) -> Options:
    return [("--uses", each.strip()) for each in typed.split(";") if each.strip()]


def _switch(name: str, value: bool | None, usual: bool | None = None) -> Options:
    return [] if value is None or value is usual else [(f"--{'' if value else 'no-'}{name}", True)]


def _create_registry(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--name", body["name"]),
        ("--existing-nfs", body["existing_nfs"]),
        ("--nfs-protocol-version", body["nfs_protocol_version"]),
        *_switch("grant-storage", body["grant_storage_access"], usual=False),
    ]
    return [line("registries create", [body["environment"]], options)]


def _delete_registry(names: Names, query: Body, body: Body) -> list[Line]:
    archives = "--delete-archives" if body["delete_archives"] else "--keep-archives"
    return [line("registries delete", names, [("--force", body["force"]), (archives, True), ("--yes", True)])]


def _register(names: Names, query: Body, body: Body) -> list[Line]:
    path = body["artifact_path"]
    options: Options = [
        ("--project", names[0]),
        ("--name", body["name"]),
        ("--run", body["run_id"]),
        ("--path", "." if path == "" else path),
        ("--logged-model", body["logged_model_id"]),
        ("--source", body["source"]),
        ("--description", body["description"] or None),
        ("--notes", body["notes"] or None),
        *_tags(body["tags"]),
        ("--content", body["content"]),
        ("--visibility", body["visibility"]),
        ("--stage", body["stage"]),
    ]
    return [line("models register", (), options)]


def _update_model(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--registry", names[0]),
        ("--description", body["description"]),
        ("--visibility", body["visibility"]),
        ("--owner", body["owner"]),
        *_tags(body["set_tags"]),
        *(("--untag", key) for key in body["delete_tags"]),
    ]
    return [line("models update", names[1:], options)]


def _update_version(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--registry", names[0]),
        ("--notes", body["notes"]),
        *_tags(body["set_tags"]),
        *(("--untag", key) for key in body["delete_tags"]),
    ]
    return [line("models update-version", names[1:], options)]


def _delete_models(names: Names, query: Body, body: Body) -> list[Line]:
    keeps = query.get("keep_archives") or query.get("keep_archive")
    options: Options = [("--registry", names[0]), ("--keep-archives", bool(keeps)), ("--yes", True)]
    return [line("models delete", names[1:], options)]


def _set_alias(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models alias set", [*names[1:], query["version"]], [("--registry", names[0])])]


def _set_rules(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [("--comment", body["comment"]), ("--instead-of", body["instead_of"])]
    return [line("rules set", [names[0], body["text"]], options)]


def _set_exception(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [("--reason", body["reason"]), ("--until", body["expires_at"]), ("--registry", names[0])]
    return [line("rules exceptions set", names[1:], options)]


def _delete_exception(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("rules exceptions delete", names[1:], [("--registry", names[0]), ("--yes", True)])]


def _of_model(words: str) -> Make:
    """A command about a model or a version, with its registry as an option."""
    return lambda names, query, body: [line(words, names[1:], [("--registry", names[0])])]


def _delete_alias(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models alias delete", names[1:], [("--registry", names[0]), YES])]


def _scan(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models scan", names[1:], [("--registry", names[0]), ("--again", True)])]


def _sign(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models sign", names[1:], [("--registry", names[0]), ("--signature", body["signature"])])]


def _add_signing_key(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("signing keys add", [*names, body["name"], body["public_key"]])]


def _promote(names: Names, query: Body, body: Body) -> list[Line]:
    given = [
        ("--registry", names[0]),
        ("--to", body["to"]),
        ("--as", body["name"]),
        ("--visibility", body["visibility"]),
    ]
    return [line("models promote", names[1:], given)]


def _bom(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("models bom", names[1:], [("--registry", names[0]), ("--again", True)])]


def _card(names: Names, query: Body, body: Body) -> list[Line]:
    return [
        line(
            "models card",
            names[1:],
            [("--text", body["text"]), ("--instead-of", body["instead_of"]), ("--registry", names[0])],
        )
    ]


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
        *_switch("authentication", body["authentication"], usual=True),
        *_switch("strict-json", body["strict_json"], usual=False),
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
        *_switch("follow", body["follow_alias"]),
        *_switch("authentication", body["authentication"]),
        *_switch("strict-json", body["strict_json"]),
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


def remark(request: Outgoing) -> str:
    """Steps that are needed before the commands; empty if none."""
    body = request.body
    given = body.get("environment") if request.parts[:1] == ("deployments",) else None
    words = []
    if any(each["secret"] and each["value"] is not None for each in given or []):
        words.append("put each secret value into the file NAME.secret first")
    if request.parts[-1:] == ("ranger-source",) and body.get("password"):
        words.append("put the password into the file ranger.secret first")
    if request.parts[:1] == ("attached-servers",) and body:
        words.append(attached_commands.remark(body))
    if request.parts == ("environments",) or request.parts[-1:] in (("backend",), ("store",), ("store-key",)):
        words.append(store_commands.remark(body))
    if given is not None and request.method == "PATCH":
        words.append("a variable that is taken away needs --unset-env NAME")
    return "; ".join(filter(None, words))


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


def _clean_up(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("registries clean-up", names, [("--versions", bool(body["versions"])), ("--yes", True)])]


def _create_in(words: str, option: str, name: str, text: str = "") -> Make:
    """A command that creates a named object inside another."""

    def make(names: Names, query: Body, body: Body) -> list[Line]:
        options: list[tuple[str, Any]] = [(option, body[name] if name else names[0])]
        options += [(f"--{text}", body[text] or None)] if text else []
        return [line(words, [body["name"]], options)]

    return make


def _chosen(words: str, key: str, *options: tuple[str, Any]) -> Make:
    """A command about several runs or experiments of a project."""
    return lambda names, query, body: [line(words, body[key], [("--project", names[0]), *options])]


def _update_runs(names: Names, query: Body, body: Body) -> list[Line]:
    made, runs, project = [], body["run_ids"], ("--project", names[0])
    if body["name"] is not None:
        made.append(line("runs rename", runs, [("--name", body["name"]), project]))
    if body["note"] is not None:
        made.append(line("runs note", runs, [("--text", body["note"]), project]))
    if body["set_tags"]:
        made.append(line("runs tag", runs, [*_tags(body["set_tags"]), project]))
    if body["delete_tags"]:
        made.append(line("runs untag", runs, [*(("--tag", key) for key in body["delete_tags"]), project]))
    return made


def _purge_runs(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--project", names[0]),
        ("--older-than", body["older_than_days"] or None),
        ("--yes", True),
    ]
    return [line("runs purge", body["run_ids"], options)]


def _set_idbroker_mappings(names: Names, query: Body, body: Body) -> list[Line]:
    if body["rangerCloudAccessAuthorizerRole"] or body["baselineRole"]:
        raise NoCommand("roles for RAZ are not set from the command line")
    options: Options = [
        ("--data-access-role", body["dataAccessRole"]),
        ("--ranger-audit-role", body["rangerAuditRole"]),
        *(("--mapping", f"{each['accessorCrn']}={each['role']}") for each in body["mappings"] or []),
        ("--empty", bool(body["setEmptyMappings"])),
    ]
    return [line("idbroker set", [body["environmentName"]], options)]


def _policy(names: Names, query: Body, body: Body) -> list[Line]:
    """Whole policies are given as Ranger's JSON: options only cover the simple ones."""
    from registry_tui.schemas.ranger import RangerPolicy

    text = RangerPolicy.model_validate(body).model_dump_json(by_alias=True, exclude_defaults=True)
    return [line(f"ranger policies {'update' if names else 'create'}", names, [("--file", text)])]


def _ranger_role(names: Names, query: Body, body: Body) -> list[Line]:
    from registry_tui.schemas.ranger import RangerRole

    text = RangerRole.model_validate(body).model_dump_json(by_alias=True, exclude_defaults=True)
    return [line(f"ranger roles {'update' if names else 'create'}", names, [("--file", text)])]


def _rotate_secrets(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("secrets rotate", (), [*(("--kind", kind) for kind in body["kinds"]), ("--yes", True)])]


def _clean_platform(names: Names, query: Body, body: Body) -> list[Line]:
    days = body["older_than_days"]
    return [line("platform clean", (), [("--older-than", f"{days:g}" if days else None), ("--yes", True)])]


def _set_ranger_source(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--url", body["url"]),
        ("--service", body["service"]),
        ("--user", body["user"]),
        # Passwords never appear in a command line.
        ("--password-file", "ranger.secret" if body["password"] else None),
        ("--every", f"{body['every']:g}"),
    ]
    return [line("ranger source set", names, options)]


_RANGER = "service/public/v2/api"
_MODEL = "registries/*/models/*"
_VERSION = f"{_MODEL}/versions/*"
#: Method and address below `/api/v1`, with the command that does the same.
_COMMANDS: tuple[tuple[str, str, Make], ...] = (
    *store_commands.COMMANDS,
    ("DELETE", "environments/*", simple("environments delete", YES)),
    ("POST", "workspaces", _create_in("workspaces create", "--environment", "environment")),
    ("DELETE", "workspaces/*", simple("workspaces delete", YES)),
    ("POST", "projects", _create_in("projects create", "--workspace", "workspace", "description")),
    (
        "DELETE",
        "projects/*",
        lambda names, query, body: [line("projects delete", names, [("--force", bool(query.get("force"))), YES])],
    ),
    (
        "PUT",
        "projects/*/collaborators/*",
        lambda names, query, body: [line("projects collaborators set", [*names, body["role"]])],
    ),
    ("DELETE", "projects/*/collaborators/*", simple("projects collaborators remove", YES)),
    ("POST", "registries", _create_registry),
    ("POST", "registries/*/synchronize", simple("registries synchronize")),
    ("POST", "registries/*/delete", _delete_registry),
    ("PUT", "registries/*/storage-access", simple("registries grant-storage")),
    ("DELETE", "registries/*/storage-access", simple("registries revoke-storage")),
    ("POST", "registries/*/storage/clean-up", _clean_up),
    ("POST", "environments2/setIdBrokerMappings", _set_idbroker_mappings),
    (
        "POST",
        "environments2/deleteIdBrokerMappings",
        lambda names, query, body: [line("idbroker delete", [body["environmentCrn"]], [YES])],
    ),
    (
        "POST",
        "environments2/syncIdBrokerMappings",
        lambda names, query, body: [line("idbroker sync", [body["environmentName"]])],
    ),
    ("POST", "projects/*/experiments", _create_in("experiments create", "--project", "", "note")),
    (
        "PATCH",
        "projects/*/experiments/*",
        lambda names, query, body: [line("experiments rename", [names[1], body["name"]], [("--project", names[0])])],
    ),
    ("POST", "projects/*/experiments/delete", _chosen("experiments delete", "experiment_ids", YES)),
    ("POST", "projects/*/experiments/restore", _chosen("experiments restore", "experiment_ids")),
    ("POST", "projects/*/runs/update", _update_runs),
    ("POST", "projects/*/runs/delete", _chosen("runs delete", "run_ids", YES)),
    ("POST", "projects/*/runs/restore", _chosen("runs restore", "run_ids")),
    ("POST", "projects/*/runs/purge", _purge_runs),
    ("POST", "projects/*/register", _register),
    ("PATCH", _MODEL, _update_model),
    ("DELETE", _MODEL, _delete_models),
    ("PUT", f"{_MODEL}/aliases/*", _set_alias),
    ("DELETE", f"{_MODEL}/aliases/*", _delete_alias),
    ("PATCH", _VERSION, _update_version),
    ("DELETE", _VERSION, _delete_models),
    ("POST", f"{_VERSION}/verify", _of_model("models verify")),
    ("POST", f"{_VERSION}/scan", _scan),
    ("POST", f"{_VERSION}/signatures", _sign),
    ("POST", f"{_VERSION}/promote", _promote),
    ("POST", f"{_VERSION}/bom", _bom),
    ("PUT", f"{_VERSION}/card", _card),
    ("POST", f"{_VERSION}/verification", _of_model("models verify")),
    ("PUT", "environments/*/rules", _set_rules),
    ("POST", "environments/*/signing-keys", _add_signing_key),
    ("POST", "environments/*/signing-keys/rotate", simple("signing keys rotate", YES)),
    ("DELETE", "environments/*/signing-keys/*", simple("signing keys remove", YES)),
    ("PUT", f"{_VERSION}/exceptions/*", _set_exception),
    ("DELETE", f"{_VERSION}/exceptions/*", _delete_exception),
    ("POST", "deployments", _create_deployment),
    ("PATCH", "deployments/*", _update_deployment),
    ("POST", "deployments/*/stop", simple("deployments stop")),
    ("POST", "deployments/*/restart", simple("deployments restart")),
    ("POST", "deployments/*/rollback", _roll_back),
    ("DELETE", "deployments/*", _delete_deployment),
    ("POST", "keys", _create_key),
    ("PUT", "keys/*/limits", _limit_key),
    ("DELETE", "keys/*", simple("keys revoke", YES)),
    ("POST", f"{_RANGER}/policy", _policy),
    ("PUT", f"{_RANGER}/policy/*", _policy),
    ("DELETE", f"{_RANGER}/policy/*", simple("ranger policies delete", YES)),
    ("POST", f"{_RANGER}/roles", _ranger_role),
    ("PUT", f"{_RANGER}/roles/*", _ranger_role),
    ("DELETE", f"{_RANGER}/roles/*", simple("ranger roles delete", YES)),
    ("POST", "secrets/rotate", _rotate_secrets),
    ("POST", "unused/clean", _clean_platform),
    ("PUT", "environments/*/ranger-source", _set_ranger_source),
    ("DELETE", "environments/*/ranger-source", simple("ranger source delete", YES)),
    ("POST", "workflows/*/cancel", simple("workflows cancel")),
    ("POST", "workflows/*/retry", simple("workflows retry")),
    *OF_PEOPLE,
    *attached_commands.COMMANDS,
    *promotion_commands.COMMANDS,
    *webhook_commands.COMMANDS,
    *rollouts.COMMANDS,
    *request_logs.COMMANDS,
    *drift.COMMANDS,
)
