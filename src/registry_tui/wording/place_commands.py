"""The commands of requests about environments, projects, experiments, runs, registries and the platform."""

from __future__ import annotations

from typing import Any

from registry_tui.wording.command_parts import YES, Body, Line, Make, Names, Options, line, simple, switch, tagged


def _create_registry(names: Names, query: Body, body: Body) -> list[Line]:
    options: Options = [
        ("--name", body["name"]),
        ("--existing-nfs", body["existing_nfs"]),
        ("--nfs-protocol-version", body["nfs_protocol_version"]),
        *switch("grant-storage", body["grant_storage_access"], usual=False),
    ]
    return [line("registries create", [body["environment"]], options)]


def _delete_registry(names: Names, query: Body, body: Body) -> list[Line]:
    archives = "--delete-archives" if body["delete_archives"] else "--keep-archives"
    return [line("registries delete", names, [("--force", body["force"]), (archives, True), ("--yes", True)])]


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
        made.append(line("runs tag", runs, [*tagged(body["set_tags"]), project]))
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


def _rotate_secrets(names: Names, query: Body, body: Body) -> list[Line]:
    return [line("secrets rotate", (), [*(("--kind", kind) for kind in body["kinds"]), ("--yes", True)])]


def _clean_platform(names: Names, query: Body, body: Body) -> list[Line]:
    days = body["older_than_days"]
    return [line("platform clean", (), [("--older-than", f"{days:g}" if days else None), ("--yes", True)])]


#: Method and address below `/api/v1`, with the command that does the same.
COMMANDS: tuple[tuple[str, str, Make], ...] = (
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
    ("POST", "secrets/rotate", _rotate_secrets),
    ("POST", "unused/clean", _clean_platform),
    ("POST", "workflows/*/cancel", simple("workflows cancel")),
    ("POST", "workflows/*/retry", simple("workflows retry")),
)
