"""Deployments in Ray clusters: one Serve application for each generation of replicas, changed by REST only.

A file on this machine records for each generation the cluster that runs it. The output of its replicas is fetched
into the logs of this machine, which outlive them.
"""

from __future__ import annotations

import http.client
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from registry_tui.contracts.carried import STATUS_PATH, Carried
from registry_tui.contracts.gateway_routes import Replica
from registry_tui.platform.paths import Home
from registry_tui.service.backends import ray_proxies, ray_rooms
from registry_tui.service.backends.base import Cluster, ReplicaName, ReplicaProcess, Resources, Scaling
from registry_tui.service.backends.ray_cluster import PREFIX, RayCluster
from registry_tui.service.backends.ray_generations import Generation, Generations
from registry_tui.service.backends.ray_package import package
from registry_tui.service.backends.ray_words import Told, missing, process_of, reason_of
from registry_tui.service.errors import PartUnavailable, WrongState
from registry_tui.serving.calls import Calls

logger = logging.getLogger(__name__)

#: The Serve application and the name of its one deployment.
_IMPORT, _DEPLOYMENT = "registry_tui.on_ray.application:application", "replica"
#: Seconds for which the state of a cluster is cached, and for which the states of its replicas are.
_KEPT, _TOLD_KEPT = 0.5, 1.5
#: Timeout in seconds of one replica's report.
_STATUS_SECONDS = 3.0
#: Requests under way that one replica gets beyond those that its queue takes.
_BEYOND = 32
#: Seconds beyond a request's own time that a stopping replica gets to answer the requests under way.
_STOP_SECONDS = 10
#: Serve's states of replicas that answer; the second is of those that get newer addresses just now.
_READY = ("RUNNING", "UPDATING")
#: Serve's state of replicas that are not counted any more.
_ENDING = "STOPPING"
#: Seconds for which more, or fewer, requests have to be under way before Serve adds, or removes, replicas.
_UPSCALE_SECONDS, _DOWNSCALE_SECONDS = 10.0, 120.0


class RayReplicas:
    """Replicas in Ray clusters. `cluster_of` knows the cluster of an environment, by its ID; None where it has none."""

    def __init__(self, home: Home, cluster_of: Callable[[str], Cluster | None]) -> None:
        self._run = home.run
        self._logs = home.deployment_logs
        self._generations = Generations(home)
        self._cluster_of = cluster_of
        self._lock = threading.Lock()
        self._details: dict[str, tuple[float, Mapping[str, Any]]] = {}
        #: By application and Serve's ID of the replica.
        self._told: dict[str, dict[str, Told]] = {}
        self._asked: dict[str, float] = {}
        self._failed: dict[str, str] = {}
        #: By application: the number of running replicas that Serve reported last.
        self._counts: dict[str, int] = {}
        #: By application: the time and the result of the last query for the reasons of its waiting replicas.
        self._waiting: dict[str, tuple[float, str]] = {}

    # -- known replicas ------------------------------------------------------------------------------------

    def names(self, deployment: str) -> list[ReplicaName]:
        """The replicas that a deployment has in a cluster; with autoscaling, as many as Serve reported last."""
        return sorted(
            ReplicaName(deployment, number, index)
            for number, known in self._generations.of(deployment)
            for index in self._indexes(known)
        )

    def _indexes(self, known: Generation) -> Iterable[int]:
        if known.scaling is None or not known.indexes:
            return known.indexes
        return range(max(known.scaling.least, self._counts.get(known.application, 0)))

    def has(self, name: ReplicaName) -> bool:
        known = self._generations.known(name.deployment, name.generation)
        if known is None or not known.indexes:
            return False
        # Serve may have removed one since its name was read.
        return known.scaling is not None or name.index in known.indexes

    def secret(self, deployment: str, generation: int) -> str:
        return self._generations.secret(deployment, generation)

    def scaling(self, deployment: str, generation: int) -> Scaling | None:
        known = self._generations.known(deployment, generation)
        return None if known is None else known.scaling

    def reached(self, names: Iterable[ReplicaName]) -> list[Replica]:
        found: dict[str, Replica] = {}
        for name in names:
            known = self._generations.known(name.deployment, name.generation)
            if known is not None and name.index in known.indexes:
                shown = name.program.rpartition("-")[0]
                for url in known.urls(self._generations.hosts(known.address)):
                    found[url] = Replica(shown, url, known.secret)
        return list(found.values())

    def check(self, cluster: Cluster) -> str:
        return self._cluster(cluster).check()

    def _cluster(self, cluster: Cluster) -> RayCluster:
        return RayCluster(cluster, self._run)

    def _of(self, known: Generation) -> RayCluster:
        """The cluster of a generation, with the current token of its environment. Raises PartUnavailable."""
        cluster = self._cluster_of(known.environment)
        if cluster is None or cluster.address != known.address:
            raise PartUnavailable(
                f"The Ray cluster at {known.address} is not that of the deployment's environment any more",
                action="Set it again: `registry-tui environments set-backend`",
            )
        return self._cluster(cluster)

    def _note_hosts(self, address: str, details: Mapping[str, Any]) -> None:
        """Keeps the proxies that are healthy now; the last ones where none is, for callers to try."""
        if hosts := ray_proxies.hosts_of(details, address):
            self._generations.note_hosts(address, hosts)

    # -- changing ------------------------------------------------------------------------------------------

    def start(
        self,
        cluster: Cluster,
        names: Iterable[ReplicaName],
        carried: Carried,
        resources: Resources,
        scaling: Scaling | None = None,
    ) -> None:
        wanted = list(names)
        if not wanted:
            return
        deployment, generation = wanted[0].deployment, wanted[0].generation
        application = f"{PREFIX}{deployment}--g{generation}"
        before = self._generations.known(deployment, generation)
        indexes = {name.index for name in wanted} | set(before.indexes if before else ())
        ray = self._cluster(cluster)
        details = ray.details()
        port = (details.get("http_options") or {}).get("port", cluster.http_port)
        self._note_hosts(cluster.address, details)
        if not self._generations.hosts(cluster.address) and not ray_proxies.is_private(cluster.address):
            raise WrongState(
                f"The Ray cluster at {cluster.address} answers calls at a public address: they would cross the network "
                "readable",
                action="Give its address in a private network: `registry-tui environments set-backend`",
            )
        known = Generation(
            cluster.environment, cluster.address, application, carried.secret, port, tuple(sorted(indexes)), scaling
        )
        uploaded = ray.ensure_package(package())
        self._generations.note(deployment, generation, known)
        limits = carried.spec.limits

        def add(applications: dict[str, dict[str, Any]]) -> None:
            if (present := applications.get(application)) is not None:
                present["deployments"][0].update(user_config=carried.to_values())
                _set_number(present["deployments"][0], len(indexes), scaling)
                return
            settings = {
                "name": _DEPLOYMENT,
                "max_ongoing_requests": limits.queue_length + _BEYOND,
                "health_check_period_s": 2,
                "graceful_shutdown_timeout_s": limits.seconds + _STOP_SECONDS,
                "user_config": carried.to_values(),
                "ray_actor_options": {
                    "num_cpus": resources.cpu,
                    "memory": resources.memory_bytes,
                    "num_gpus": resources.gpus,
                },
            }
            _set_number(settings, len(indexes), scaling)
            applications[application] = {
                "name": application,
                "route_prefix": f"/{application}",
                "import_path": _IMPORT,
                "runtime_env": {"working_dir": uploaded},
                "deployments": [settings],
            }

        ray.change(add)
        self._forget(known)

    def rescale(self, deployment: str, generation: int, replicas: int, scaling: Scaling | None) -> None:
        known = self._generations.known(deployment, generation)
        if known is None:
            return
        # The number is stored before it is requested: after a failure in between, the stored number is the requested
        # one.
        known = replace(known, indexes=tuple(range(replicas)), scaling=scaling)
        self._generations.note(deployment, generation, known)

        def change(applications: dict[str, dict[str, Any]]) -> None:
            if (present := applications.get(known.application)) is not None:
                _set_number(present["deployments"][0], replicas, scaling)

        self._of(known).change(change)
        self._forget(known)

    def renew(self, deployment: str, generation: int, files: Mapping[str, str]) -> None:
        known = self._generations.known(deployment, generation)
        if known is None:
            return
        ray = self._of(known)
        # A replica that restarts on another node needs it, also after the cluster dropped unused packages.
        ray.ensure_package(package())

        def change(applications: dict[str, dict[str, Any]]) -> None:
            if (present := applications.get(known.application)) is not None:
                present["deployments"][0]["user_config"]["files"] = dict(files)

        ray.change(change)

    def remove(self, names: Iterable[ReplicaName]) -> None:
        """Has Serve stop replicas once they have answered the requests under way; their logs stay."""
        by_generation: dict[tuple[str, int], set[int]] = {}
        for name in names:
            by_generation.setdefault((name.deployment, name.generation), set()).add(name.index)
        for (deployment, generation), gone in by_generation.items():
            known = self._generations.known(deployment, generation)
            if known is None:
                continue
            with suppress(PartUnavailable):
                self._collect(known, deployment, generation, at_once=True)
            left = tuple(each for each in known.indexes if each not in gone)
            try:
                self._shrink(known, deployment, generation, left)
            except PartUnavailable as error:
                if left:
                    raise
                # A cluster that is gone must not keep a deployment from being stopped or deleted.
                logger.warning("%s is taken away later: %s", known.application, error.detail)
                self._generations.note(deployment, generation, replace(known, indexes=()))

    def clean_up(self) -> bool:
        """Removes the applications of clusters that did not respond before; whether some of ours are left.

        Raises PartUnavailable.
        """
        for deployment, generation, known in list(self._generations.all()):
            if known.indexes:
                continue
            cluster = self._cluster_of(known.environment)
            if cluster is None or cluster.address != known.address:
                logger.warning("%s stays in the cluster at %s, whose token is gone", known.application, known.address)
                self._generations.drop(deployment, generation)
            else:
                self._shrink(known, deployment, generation, ())
        return any(True for _ in self._generations.all())

    def _shrink(self, known: Generation, deployment: str, generation: int, left: tuple[int, ...]) -> None:
        def change(applications: dict[str, dict[str, Any]]) -> None:
            if not left:
                applications.pop(known.application, None)
            elif (present := applications.get(known.application)) is not None:
                _set_number(present["deployments"][0], len(left), known.scaling)

        self._of(known).change(change)
        if left:
            self._generations.note(deployment, generation, replace(known, indexes=left))
        else:
            self._generations.drop(deployment, generation)
            self._counts.pop(known.application, None)
            self._waiting.pop(known.application, None)
        self._forget(known)

    def _forget(self, known: Generation) -> None:
        with self._lock:
            self._details.pop(known.address, None)
            self._asked.pop(known.application, None)
            self._failed.pop(known.application, None)

    # -- looking -------------------------------------------------------------------------------------------

    def look(self, names: Iterable[ReplicaName]) -> list[ReplicaProcess]:
        """The current state of each replica."""
        by_generation: dict[tuple[str, int], list[ReplicaName]] = {}
        for name in names:
            by_generation.setdefault((name.deployment, name.generation), []).append(name)
        found = []
        for (deployment, generation), each in by_generation.items():
            known = self._generations.known(deployment, generation)
            if known is None:
                found += [missing(name) for name in each]
            else:
                found += self._look(known, each)
        return found

    def _look(self, known: Generation, names: Sequence[ReplicaName]) -> list[ReplicaProcess]:
        application = self._seen(known).get("applications", {}).get(known.application, {})
        details = application.get("deployments", {}).get(_DEPLOYMENT, {})
        self._counts[known.application] = sum(each["state"] != _ENDING for each in details.get("replicas", ()))
        running = {each["replica_id"]: each for each in details.get("replicas", ()) if each["state"] in _READY}
        if running:
            with suppress(PartUnavailable):
                self._collect(known, names[0].deployment, names[0].generation)
        reports = {id_: each for id_, each in self._told.get(known.application, {}).items() if id_ in running}
        by_index: dict[int, tuple[str, Told | None]] = {each.index: (id_, each) for id_, each in reports.items()}
        there = {name.index for name in names}
        # Replicas that have not reported yet, and those that Serve has not renumbered since others went.
        spare: list[tuple[str, Told | None]] = [by_index[index] for index in sorted(by_index.keys() - there)]
        spare += [(id_, None) for id_ in sorted(running.keys() - reports.keys())]
        for name in names:
            if name.index not in by_index and spare:
                by_index[name.index] = spare.pop(0)
        failed = application.get("status") == "DEPLOY_FAILED"
        reason, lines = reason_of(f"{details.get('message', '')}")
        if reason and self._failed.get(known.application) != reason:
            self._failed[known.application] = reason
            self._append(names[0], [line for _, line in lines])
        waits = "" if reason or len(running) >= len(names) else self._waits(known, details)
        return [
            process_of(
                name,
                by_index.get(name.index),
                self.calls(name),
                reason if not running else "",
                failed=failed,
                waits=waits,
            )
            for name in names
        ]

    def calls(self, name: ReplicaName) -> Calls:
        """The outcomes of the calls of a replica's model, as it reported last."""
        known = self._generations.known(name.deployment, name.generation)
        for report in [] if known is None else self._told.get(known.application, {}).values():
            if report.index == name.index:
                return Calls(**report.values["calls"])
        return Calls()

    def _seen(self, known: Generation) -> Mapping[str, Any]:
        """The details of the cluster, requested at most twice a second."""
        with self._lock:
            at, found = self._details.get(known.address, (0.0, {}))
            if time.monotonic() - at > _KEPT:
                found = self._of(known).details()
                self._details[known.address] = (time.monotonic(), found)
                self._note_hosts(known.address, found)
            return found

    def _waits(self, known: Generation, details: Mapping[str, Any]) -> str:
        """The reason why replicas of a generation wait: missing resources, or Serve's message."""
        at, found = self._waiting.get(known.application, (0.0, ""))
        if not ray_rooms.waiting(details):
            found = ""
        elif time.monotonic() - at > _TOLD_KEPT:
            with suppress(PartUnavailable):
                seen, options = self._seen(known), details.get("deployment_config", {}).get("ray_actor_options") or {}
                found = ray_rooms.reason(options, self._of(known).nodes(), seen.get("applications", {}))
                self._waiting[known.application] = (time.monotonic(), found)
        if found:
            return found
        return " ".join(f"{details.get('message', '')}".split())[:500]

    def _collect(self, known: Generation, deployment: str, generation: int, *, at_once: bool = False) -> None:
        """Requests the states of replicas. Serve chooses the replica that answers, so this takes a few requests for
        all.
        """
        moment = time.monotonic()
        with self._lock:
            if not at_once and moment - self._asked.get(known.application, 0.0) < _TOLD_KEPT:
                return
            self._asked[known.application] = moment
            reports = self._told.setdefault(known.application, {})
            expected = max(len(known.indexes), self._counts.get(known.application, 0))
            for _ in range(2 * expected):
                behind = {id_: each.values["lines"][-1][0] for id_, each in reports.items() if each.values["lines"]}
                try:
                    path = f"{STATUS_PATH}?behind={_quoted(behind)}"
                    hosts = self._generations.hosts(known.address)
                    status, body = known.ask("GET", path, timeout=_STATUS_SECONDS, hosts=hosts)
                    values = json.loads(body) if status == http.client.OK else None
                except (OSError, http.client.HTTPException, ValueError):
                    return
                if values is None:
                    return
                lines = values["lines"]
                name = ReplicaName(deployment, generation, values["index"])
                self._append(name, [line for _, line in lines])
                before = reports.get(values["id"])
                if not lines and before is not None:
                    values["lines"] = before.values["lines"][-1:]
                reports[values["id"]] = Told(values["index"], values, time.monotonic())
                if len(reports) >= expected and all(each.at >= moment for each in reports.values()):
                    return

    def _append(self, name: ReplicaName, lines: Sequence[str]) -> None:
        if not lines:
            return
        path = self._logs / name.deployment / f"{name.generation}-{name.index}.log"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as log:
            log.write("".join(f"{line}\n" for line in lines))

    def ask(
        self,
        name: ReplicaName,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "",
        timeout: float = 60.0,
        *,
        trial: bool = False,
    ) -> tuple[int, bytes]:
        """The response of a replica of this one's generation. Raises OSError, HTTPException."""
        known = self._generations.known(name.deployment, name.generation)
        if known is None:
            raise ConnectionRefusedError(f"{name.program} is gone")
        hosts = self._generations.hosts(known.address)
        return known.ask(method, path, body, content_type, timeout, hosts=hosts, trial=trial)


def _set_number(settings: dict[str, Any], replicas: int, scaling: Scaling | None) -> None:
    """Sets Serve's number of replicas, or its autoscaling; Serve applies either without restarting any."""
    for other in ("num_replicas", "autoscaling_config"):
        settings.pop(other, None)
    if scaling is None:
        settings["num_replicas"] = replicas
    else:
        settings["autoscaling_config"] = {
            "min_replicas": scaling.least,
            "max_replicas": scaling.most,
            "target_ongoing_requests": scaling.requests,
            "upscale_delay_s": _UPSCALE_SECONDS,
            "downscale_delay_s": _DOWNSCALE_SECONDS,
        }


def _quoted(behind: Mapping[str, int]) -> str:
    return quote(json.dumps(behind, separators=(",", ":")))
