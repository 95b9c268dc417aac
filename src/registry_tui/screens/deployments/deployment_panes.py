"""The content of a deployment's page: the columns of its tables, its addresses, its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.content import Content

from registry_tui.contracts.counts import counted
from registry_tui.widgets.facts import facts
from registry_tui.widgets.virtual_table import Column
from registry_tui.wording import rollouts
from registry_tui.wording.backends import replicas_of, runs_said, scaled
from registry_tui.wording.words import (
    Cell,
    absolute,
    ago,
    batching,
    build_state,
    duration,
    memory,
    not_numbers,
    own_port,
    percent,
    replica_state,
    revision_state,
)

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment, Revision, Traffic

REPLICAS: tuple[Column[Any], ...] = (
    Column("name", "Replica", lambda row: row.name, 0),
    Column("state", "State", lambda row: replica_state(row.state), 0, min_width=10),
    Column("version", "Version", lambda row: str(row.version), 2, right=True),
    Column("pid", "PID", lambda row: str(row.pid or "–"), 3, right=True),
    Column(
        "memory", "Memory", lambda row: f"{memory(row.memory_bytes)} / {memory(row.memory_limit_bytes)}", 1, right=True
    ),
    Column("requests", "Requests", lambda row: f"{row.requests:,}".replace(",", " "), 1, right=True),
    Column("restarts", "Restarts", lambda row: Cell(str(row.restarts), "warn" if row.restarts else ""), 2, right=True),
    Column("uptime", "Uptime", lambda row: duration(row.uptime_seconds), 3, right=True),
    Column("detail", "Detail", lambda row: Cell(row.detail, "dim"), 4, max_width=60),
)
BUILDS: tuple[Column[Any], ...] = (
    Column("number", "Revision", lambda row: str(row.number), 0, right=True),
    Column("build", "Build", lambda row: build_state(row.build), 0, min_width=10),
    Column("version", "Version", lambda row: str(row.version), 1, right=True),
    Column("environment", "Environment", lambda row: Cell(row.python_environment or "–", "dim"), 1, max_width=20),
    Column("took", "Took", lambda row: duration(row.build_seconds), 2, right=True),
    Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 1),
    Column(
        "error", "Reason", lambda row: Cell(row.error if row.build == "build failed" else "", "bad"), 1, max_width=70
    ),
)
HISTORY: tuple[Column[Any], ...] = (
    Column("number", "Revision", lambda row: str(row.number), 0, right=True),
    Column("state", "State", lambda row: revision_state(row.state), 0, min_width=11),
    Column("version", "Version", lambda row: str(row.version), 0, right=True),
    Column("replicas", "Replicas", replicas_of, 3, right=True),
    Column("memory", "Memory", lambda row: memory(row.memory_bytes), 4, right=True),
    Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 2),
    Column("by", "By", lambda row: row.creator, 3),
    Column(
        "comment", "Comment", lambda row: Cell(row.error or row.comment, "bad" if row.error else "dim"), 1, max_width=70
    ),
)


def rate_words(traffic: Traffic, room: int) -> Content:
    """How many requests come and fail; where half a narrow page has room for it whole, also how many came."""
    parts = [
        (f"{traffic.per_second:.1f} requests/s", "bold"),
        (f"   errors {percent(traffic.error_rate)}", "$error" if traffic.error_rate else "$foreground-muted"),
    ]
    in_all = f"   {traffic.requests} in all"
    if sum(len(text) for text, _ in parts) + len(in_all) <= room:
        parts.append((in_all, "$foreground-muted"))
    return Content.assemble(*parts)


def addresses(found: Deployment, room: int) -> Content:
    """Where callers find it."""
    gateway = found.model_url.removesuffix("/model")
    return _listed(
        [
            ("gateway", gateway),
            ("MLflow", f"POST {found.endpoint_url.removeprefix(gateway)}/invocations"),
            ("documented", 'POST /model  {"accessKey": …, "request": …}'),
            ("access key", f"{found.access_key}   c copies the endpoint"),
            ("own port", own_port(found)),
            ("callers", "Authorization: Bearer <API key>   K makes one" if found.authentication else "need no API key"),
        ],
        12,
        room,
    )


def settings(found: Deployment, revision: Revision, room: int) -> Content:
    """Everything that `e` changes, as it is now."""
    how = rollouts.followed(found.follow_rollout)
    follows = (
        f", following {found.alias}{how}" if found.follow_alias else f", as {found.alias} was" if found.alias else ""
    )
    variables = [
        (f"variable {variable.name}", "(secret)" if variable.secret else variable.value or "")
        for variable in revision.environment
    ]
    return _listed(
        [
            ("name", found.name),
            ("description", found.description or "–"),
            ("model", f"{found.model_name} version {found.version}{follows}"),
            ("registry", found.registry_name or "–"),
            ("project", f"{found.environment_name} / {found.workspace_name} / {found.project_name}"),
            ("runs", runs_said(found.backend)),
            ("authentication", "callers need an API key" if found.authentication else "none"),
            ("replicas", scaled(found.autoscaling) or str(found.replicas_wanted)),
            ("each replica", _each_replica(found)),
            ("batching", batching(found)),
            (
                "NaN, infinities",
                not_numbers(found),
            ),
            *([("model files", found.model_files)] if found.model_files else []),
            ("Python environment", revision.python_environment or "–"),
            *(variables or [("variables", "none")]),
            ("access key", found.access_key),
            ("own port", own_port(found) or "none"),
            ("ID", found.id),
            ("deployed", f"{absolute(found.created_at)} by {found.creator}"),
            ("changed", f"{absolute(revision.created_at)} by {revision.creator}, revision {revision.number}"),
        ],
        20,
        room,
    )


def _each_replica(found: Deployment) -> str:
    parts = [f"{found.cpu:g} CPU", *([counted(found.gpus, "GPU")] if found.gpus else [])]
    return ", ".join([*parts, f"{memory(found.memory_bytes)} of memory at most"])


def _listed(named: list[tuple[str, str]], indent: int, room: int) -> Content:
    return Content.assemble(*facts(named, indent, room))
