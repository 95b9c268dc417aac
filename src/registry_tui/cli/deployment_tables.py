"""Deployments as the command line prints them."""

from __future__ import annotations

from registry_tui.cli import output
from registry_tui.cli.output import Column
from registry_tui.schemas.deployments import Deployment, ReplicaLogFile, ReplicaStatus, Revision
from registry_tui.wording import rollouts, words
from registry_tui.wording.backends import replicas_of, runs, runs_said, scaled

COLUMNS = [
    Column[Deployment]("NAME", lambda each: each.name),
    Column[Deployment]("STATUS", lambda each: each.state),
    Column[Deployment]("MODEL", lambda each: f"{each.model_name} v{each.version}", flexible=True),
    Column[Deployment]("PROJECT", lambda each: each.project_name),
    Column[Deployment]("RUNS", lambda each: runs(each.backend)),
    Column[Deployment]("REPLICAS", lambda each: f"{each.replicas_ready}/{each.replicas_wanted}", right=True),
    Column[Deployment]("MEMORY", lambda each: words.memory(each.memory_used_bytes), right=True),
    Column[Deployment]("REQ/S", lambda each: f"{each.traffic.per_second:.1f}", right=True),
    Column[Deployment]("ERRORS", lambda each: f"{each.traffic.error_rate:.1%}", right=True),
    Column[Deployment]("P95", lambda each: _milliseconds(each.traffic.p95), right=True),
    Column[Deployment]("REASON", lambda each: each.reason, flexible=True),
]
REPLICAS = [
    Column[ReplicaStatus]("REPLICA", lambda each: each.name),
    Column[ReplicaStatus]("STATE", lambda each: each.state),
    Column[ReplicaStatus]("VERSION", lambda each: each.version, right=True),
    Column[ReplicaStatus]("PID", lambda each: each.pid, right=True),
    Column[ReplicaStatus]("MEMORY", lambda each: _memory(each), right=True),
    Column[ReplicaStatus]("REQUESTS", lambda each: each.requests, right=True),
    Column[ReplicaStatus]("RESTARTS", lambda each: each.restarts, right=True),
    Column[ReplicaStatus]("UPTIME", lambda each: _uptime(each.uptime_seconds), right=True),
    Column[ReplicaStatus]("DETAIL", lambda each: each.detail, flexible=True),
]
REVISIONS = [
    Column[Revision]("REVISION", lambda each: each.number, right=True),
    Column[Revision]("STATE", lambda each: each.state),
    Column[Revision]("VERSION", lambda each: each.version, right=True),
    Column[Revision]("REPLICAS", replicas_of, right=True),
    Column[Revision]("MEMORY", lambda each: words.memory(each.memory_bytes), right=True),
    Column[Revision]("BUILD", lambda each: each.build),
    Column[Revision]("ENVIRONMENT", lambda each: each.python_environment),
    Column[Revision]("CREATED", lambda each: each.created_at),
    Column[Revision]("BY", lambda each: each.creator),
    Column[Revision]("COMMENT", lambda each: each.error or each.comment, flexible=True),
]
LOGS = [
    Column[ReplicaLogFile]("REPLICA", lambda each: each.name),
    Column[ReplicaLogFile]("VERSION", lambda each: each.version, right=True),
    Column[ReplicaLogFile]("THERE", lambda each: each.serving),
    Column[ReplicaLogFile]("SIZE", lambda each: words.size(each.size_bytes), right=True),
    Column[ReplicaLogFile]("LAST LINE", lambda each: each.updated_at),
]


def print_one(found: Deployment, as_json: bool) -> None:
    """One deployment's facts."""
    fields: dict[str, object] = {
        "name": found.name,
        "ID": found.id,
        "state": found.state.value + (f": {found.reason}" if found.reason else ""),
        "model": f"{found.model_name} version {found.version}"
        + (f", following alias {found.alias}{rollouts.followed(found.follow_rollout)}" if found.follow_alias else ""),
        "registry": found.registry_name,
        "project": f"{found.workspace_name}/{found.project_name}",
        "runs": runs_said(found.backend),
        "description": found.description,
        "revision": found.revision,
        "replicas": f"{found.replicas_ready} of {found.replicas_wanted} ready" + scaled(found.autoscaling, ", "),
        "CPU": found.cpu,
        "GPUs": found.gpus or None,
        "memory": f"{words.memory(found.memory_used_bytes)} used; {words.memory(found.memory_bytes)} a replica at most",
        "batching": words.batching(found),
        "NaN and infinities": words.not_numbers(found),
        "model files": found.model_files or None,
        "authentication": "callers need an API key" if found.authentication else "none",
        "endpoint": f"{found.endpoint_url}/invocations",
        "documented call": f"{found.model_url} with accessKey {found.access_key}",
        "own port": words.own_port(found) or None,
        "created": f"{output.cell(found.created_at)} by {found.creator}",
        "requests": f"{found.traffic.requests}, {found.traffic.failures} failed; "
        f"{found.traffic.per_second:.1f}/s, p50 {_milliseconds(found.traffic.p50) or '–'}, "
        f"p95 {_milliseconds(found.traffic.p95) or '–'}",
    }
    output.print_one(found, {name: value for name, value in fields.items() if value is not None}, as_json=as_json)


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds * 1000:.0f} ms"


def _uptime(seconds: float | None) -> str | None:
    return None if seconds is None else words.duration(seconds)


def _memory(replica: ReplicaStatus) -> str:
    used = "–" if replica.memory_bytes is None else words.memory(replica.memory_bytes)
    return f"{used} of {words.memory(replica.memory_limit_bytes)}"
