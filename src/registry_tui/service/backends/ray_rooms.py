"""Why replicas wait for a place in a Ray cluster: its nodes, and the resources that Serve's replicas take there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry_tui.contracts.counts import counted
from registry_tui.schemas.deployments import GIB

#: Serve's state of replicas that are not there yet.
_STARTING = "STARTING"
_NAMES = ("CPU", "GPU", "memory")


def waiting(details: Mapping[str, Any]) -> int:
    """The number of a Serve deployment's replicas that no node has taken; `details` is the deployment's state."""
    replicas = details.get("replicas", ())
    return sum(each.get("state") == _STARTING and not each.get("node_id") for each in replicas)


def reason(wanted: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]], applications: Mapping[str, Any]) -> str:
    """Why replicas with the actor options `wanted` have no place; empty where one has room, as far as Serve knows."""
    needs = _needs(wanted)
    totals = {str(each["node_id"]): _totals(each) for each in nodes if each.get("state") == "ALIVE"}
    if any(_fits(needs, total) for total in _free(totals, applications).values()):
        return ""
    asked = _said(needs)
    if not totals:
        return f"waits for a node: each replica requests {asked}, and the cluster has no node"
    if any(_fits(needs, total) for total in totals.values()):
        return f"waits for resources of the cluster that other replicas use: each replica requests {asked}"
    most = {name: max(total[name] for total in totals.values()) for name in needs}
    has = "has" if len(totals) == 1 else "have"
    return (
        f"waits for a larger node: each replica requests {asked}, and the {counted(len(totals), 'node')} of the "
        f"cluster {has} at most {_said(most)}"
    )


def _needs(options: Mapping[str, Any]) -> dict[str, float]:
    asked = {"CPU": options.get("num_cpus"), "GPU": options.get("num_gpus"), "memory": options.get("memory")}
    return {name: float(value) for name, value in asked.items() if value}


def _totals(node: Mapping[str, Any]) -> dict[str, float]:
    found = node.get("resources_total") or {}
    return {name: float(found.get(name, 0.0)) for name in _NAMES}


def _free(totals: Mapping[str, Mapping[str, float]], applications: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The resources of each node that no replica of Serve has."""
    free = {node: dict(total) for node, total in totals.items()}
    for application in applications.values():
        for deployment in application.get("deployments", {}).values():
            options = deployment.get("deployment_config", {}).get("ray_actor_options") or {}
            for node in _placed(deployment.get("replicas", ())):
                for name, value in _needs(options).items():
                    if node in free:
                        free[node][name] -= value
    return free


def _placed(replicas: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    return [str(each["node_id"]) for each in replicas if each.get("node_id")]


def _fits(needs: Mapping[str, float], there: Mapping[str, float]) -> bool:
    return all(there[name] >= value for name, value in needs.items())


def _said(resources: Mapping[str, float]) -> str:
    units = {"CPU": "{:g} CPU", "GPU": "{:g} GPU"}
    parts = [
        f"{resources[name] / GIB:.3g} GiB of memory" if name == "memory" else units[name].format(resources[name])
        for name in ("CPU", "memory", "GPU")
        if name in resources
    ]
    return ", ".join(parts)
