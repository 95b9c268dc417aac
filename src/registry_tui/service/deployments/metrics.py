"""Prometheus metrics: the platform's parts and every deployment (prometheus-client's text format, version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.platform.probes import platform_status
from registry_tui.schemas.operations import PartState
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import DeploymentRow, ProjectRow, WorkflowRow
from registry_tui.service.deployments import views as deployment_views
from registry_tui.service.publishing import gateway as gateway_link

_NAMES = ("deployment", "project", "workspace")


def render(service: Service, principal: Principal) -> bytes:
    """All metrics as text. Raises NotPermitted: they name every project's deployments."""
    permissions.require(principal, Action.METRICS_READ)
    registry = CollectorRegistry()
    registry.register(_Platform(service))
    return generate_latest(registry)


class _Platform(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        yield from self._parts()
        yield self._workflows()
        yield from self._deployments()

    def _parts(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("registry_tui_part_up", "Whether a part of the platform does its work", labels=["part"])
        memory = GaugeMetricFamily("registry_tui_part_memory_bytes", "Resident memory of a part", labels=["part"])
        for part in platform_status(self._service.home).parts:
            up.add_metric([part.name], float(part.state is PartState.HEALTHY))
            if part.memory_bytes is not None:
                memory.add_metric([part.name], part.memory_bytes)
        yield up
        yield memory

    def _workflows(self) -> Metric:
        family = GaugeMetricFamily("registry_tui_workflows", "Workflows by kind and status", labels=["kind", "status"])
        query = select(WorkflowRow.kind, WorkflowRow.status, func.count()).group_by(
            WorkflowRow.kind, WorkflowRow.status
        )
        with self._service.database.reading() as session:
            for kind, status, count in session.execute(query):
                family.add_metric([kind, status], count)
        return family

    def _deployments(self) -> Iterator[Metric]:
        query = select(DeploymentRow).options(
            selectinload(DeploymentRow.project).selectinload(ProjectRow.workspace),
            selectinload(DeploymentRow.revisions),
        )
        with self._service.database.reading() as session:
            rows = session.scalars(query.order_by(DeploymentRow.id)).all()
        stats = gateway_link.stats(self._service)
        traffic, limited, logs = stats.get("deployments", {}), stats.get("limited", {}), stats.get("logs", {})
        state = GaugeMetricFamily(
            "registry_tui_deployment_state", "1 for the state that a deployment is in", labels=[*_NAMES, "state"]
        )
        version = GaugeMetricFamily(
            "registry_tui_deployment_version", "Version of the model that serves", labels=[*_NAMES, "model"]
        )
        wanted = GaugeMetricFamily("registry_tui_deployment_replicas_wanted", "Replicas asked for", labels=_NAMES)
        ready = GaugeMetricFamily("registry_tui_deployment_replicas_ready", "Replicas that answer", labels=_NAMES)
        memory = GaugeMetricFamily(
            "registry_tui_replica_memory_bytes", "Resident memory of a replica", labels=[*_NAMES, "replica"]
        )
        restarts = CounterMetricFamily(
            "registry_tui_replica_restarts", "Starts of a replica after the first", labels=[*_NAMES, "replica"]
        )
        requests = CounterMetricFamily(
            "registry_tui_requests", "Requests for predictions by HTTP status", labels=[*_NAMES, "status"]
        )
        retries = CounterMetricFamily(
            "registry_tui_retries", "Requests given to a second replica because the first one died", labels=_NAMES
        )
        latency = HistogramMetricFamily(
            "registry_tui_request_seconds", "Time of a request for predictions in the gateway", labels=_NAMES
        )
        refused = CounterMetricFamily(
            "registry_tui_requests_over_limit",
            "Requests that a limit of their API key refused (rate, day, month)",
            labels=[*_NAMES, "limit"],
        )
        logged = CounterMetricFamily(
            "registry_tui_logged_requests",
            "Requests that the request log kept, and that found no room to wait for it (kept, dropped)",
            labels=[*_NAMES, "outcome"],
        )
        processes = deployment_views.all_processes(self._service, rows)
        for row in rows:
            names = [row.name, row.project.name, row.project.workspace.name]
            state.add_metric([*names, row.state], 1)
            version.add_metric([*names, row.model_name], row.version)
            revision = gateway_link.active_revision(row)
            wanted.add_metric(names, 0 if revision is None else revision.replicas)
            live = processes.get(row.id, [])
            ready.add_metric(names, sum(process.ready for process in live))
            for process in live:
                memory.add_metric([*names, process.name.program], process.memory_bytes or 0)
                restarts.add_metric([*names, process.name.program], max(0, process.starts - 1))
            for limit, count in limited.get(row.id, {}).items():
                refused.add_metric([*names, limit], count)
            for outcome, count in logs.get(row.id, {}).items():
                logged.add_metric([*names, outcome], count)
            counts = traffic.get(row.id)
            if counts is None:
                continue
            for status, count in counts["by_status"].items():
                requests.add_metric([*names, status], count)
            retries.add_metric(names, counts["retries"])
            latency.add_metric(names, _cumulative(counts["histogram"]), counts["seconds_sum"])
        yield from (state, version, wanted, ready, memory, restarts, requests, retries, latency, refused, logged)


def _cumulative(histogram: list[list[float]]) -> list[tuple[str, float]]:
    """Prometheus's buckets: each counts all that were as fast or faster."""
    buckets, total = [], 0.0
    for end, count in histogram:
        total += count
        buckets.append((f"{end:.6g}", total))
    return [*buckets, ("+Inf", total)]
