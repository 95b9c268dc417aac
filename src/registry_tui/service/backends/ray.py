"""Deployments in Ray clusters: one Serve application for each generation of replicas, changed by REST only.

A file of this machine says of each generation in which cluster it runs. What its replicas wrote is fetched into the
logs of this machine, which outlive them.
"""

from __future__ import annotations

import http.client
import io
import json
import logging
import re
import secrets
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import registry_tui
from registry_tui.contracts.carried import SECRET_HEADER, STATUS_PATH, Carried
from registry_tui.contracts.gateway_routes import Replica
from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import write_private
from registry_tui.service.backends.base import Cluster, ReplicaName, ReplicaProcess, Resources
from registry_tui.service.backends.ray_cluster import PREFIX, RayCluster
from registry_tui.service.errors import PartUnavailable
from registry_tui.serving.calls import Calls

logger = logging.getLogger(__name__)

#: The Serve application and the name of its one deployment.
_IMPORT, _DEPLOYMENT = "registry_tui.on_ray.application:application", "replica"
#: What a node gets of this program.
_PARTS = ("__init__.py", "contracts", "on_ray", "serving")
#: Seconds for which what a cluster said is kept, and for which what its replicas said is.
_KEPT, _TOLD_KEPT = 0.5, 1.5
#: Seconds for one replica's answer about itself.
_STATUS_SECONDS = 3.0
#: Requests under way that one replica gets beyond those that its queue takes.
_BEYOND = 32
#: Seconds beyond a request's own time that a replica gets to answer what is under way when it is stopped.
_STOP_SECONDS = 10
#: Serve's states of replicas that answer; the second is of those that get newer addresses just now.
_READY = ("RUNNING", "UPDATING")
#: How a replica that cannot serve says why, in Serve's own message.
_REASON = re.compile(r"registry-tui:(\{.*?\}):registry-tui", re.DOTALL)


@dataclass(frozen=True)
class Generation:
    """What is known of a generation of replicas: its cluster's environment, and how it is reached."""

    environment: str
    address: str
    application: str
    secret: str
    http_port: int
    indexes: tuple[int, ...] = ()

    @property
    def url(self) -> str:
        """Where it answers calls."""
        host = urlsplit(self.address).hostname or ""
        return f"http://{f'[{host}]' if ':' in host else host}:{self.http_port}/{self.application}"


@dataclass(frozen=True)
class Told:
    """What a replica said about itself, and when."""

    index: int
    values: Mapping[str, Any]
    at: float


class RayReplicas:
    """Replicas in Ray clusters. `cluster_of` knows the cluster of an environment, by its ID; None where it has none."""

    def __init__(self, home: Home, cluster_of: Callable[[str], Cluster | None]) -> None:
        self._home = home
        self._cluster_of = cluster_of
        self._lock = threading.Lock()
        self._details: dict[str, tuple[float, Mapping[str, Any]]] = {}
        #: By application and Serve's ID of the replica.
        self._told: dict[str, dict[str, Told]] = {}
        self._asked: dict[str, float] = {}
        self._failed: dict[str, str] = {}

    # -- what is known -------------------------------------------------------------------------------------

    def _folder(self, deployment: str) -> Path:
        return self._home.serving / "clusters" / deployment

    def _file(self, deployment: str, generation: int) -> Path:
        return self._folder(deployment) / f"{generation}.json"

    def _known(self, deployment: str, generation: int) -> Generation | None:
        try:
            values = json.loads(self._file(deployment, generation).read_text(encoding="utf-8"))
            return Generation(**{**values, "indexes": tuple(values["indexes"])})
        except FileNotFoundError:
            return None

    def _note(self, deployment: str, generation: int, known: Generation) -> None:
        self._folder(deployment).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._file(deployment, generation), json.dumps(asdict(known)))

    def names(self, deployment: str) -> list[ReplicaName]:
        """The replicas that a deployment has in a cluster."""
        found = []
        for path in self._folder(deployment).glob("*.json"):
            known = self._known(deployment, int(path.stem))
            found += [ReplicaName(deployment, int(path.stem), index) for index in (known.indexes if known else ())]
        return sorted(found)

    def has(self, name: ReplicaName) -> bool:
        known = self._known(name.deployment, name.generation)
        return known is not None and name.index in known.indexes

    def secret(self, deployment: str, generation: int) -> str:
        known = self._known(deployment, generation)
        return secrets.token_urlsafe(32) if known is None else known.secret

    def reached(self, names: Iterable[ReplicaName]) -> list[Replica]:
        found: dict[str, Replica] = {}
        for name in names:
            known = self._known(name.deployment, name.generation)
            if known is not None and name.index in known.indexes:
                found[known.application] = Replica(name.program.rpartition("-")[0], known.url, known.secret)
        return list(found.values())

    def check(self, cluster: Cluster) -> str:
        return self._cluster(cluster).check()

    def _cluster(self, cluster: Cluster) -> RayCluster:
        return RayCluster(cluster, self._home.run)

    def _of(self, known: Generation) -> RayCluster:
        """The cluster of a generation, with the token that its environment has now. Raises PartUnavailable."""
        cluster = self._cluster_of(known.environment)
        if cluster is None or cluster.address != known.address:
            raise PartUnavailable(
                f"The Ray cluster at {known.address} is not that of the deployment's environment any more",
                action="Set it again: `registry-tui environments set-backend`",
            )
        return self._cluster(cluster)

    # -- changing ------------------------------------------------------------------------------------------

    def start(self, cluster: Cluster, names: Iterable[ReplicaName], carried: Carried, resources: Resources) -> None:
        wanted = list(names)
        if not wanted:
            return
        deployment, generation = wanted[0].deployment, wanted[0].generation
        application = f"{PREFIX}{deployment}--g{generation}"
        before = self._known(deployment, generation)
        indexes = {name.index for name in wanted} | set(before.indexes if before else ())
        ray = self._cluster(cluster)
        port = (ray.details().get("http_options") or {}).get("port", cluster.http_port)
        known = Generation(
            cluster.environment, cluster.address, application, carried.secret, port, tuple(sorted(indexes))
        )
        package = ray.ensure_package(_package())
        self._note(deployment, generation, known)
        limits = carried.spec.limits

        def add(applications: dict[str, dict[str, Any]]) -> None:
            if (present := applications.get(application)) is not None:
                present["deployments"][0].update(num_replicas=len(indexes), user_config=carried.to_values())
                return
            applications[application] = {
                "name": application,
                "route_prefix": f"/{application}",
                "import_path": _IMPORT,
                "runtime_env": {"working_dir": package},
                "deployments": [
                    {
                        "name": _DEPLOYMENT,
                        "num_replicas": len(indexes),
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
                ],
            }

        ray.change(add)
        self._forget(known)

    def renew(self, deployment: str, generation: int, files: Mapping[str, str]) -> None:
        known = self._known(deployment, generation)
        if known is None:
            return
        ray = self._of(known)
        # Whoever starts again on another node needs it, also after the cluster dropped what nobody used.
        ray.ensure_package(_package())

        def change(applications: dict[str, dict[str, Any]]) -> None:
            if (present := applications.get(known.application)) is not None:
                present["deployments"][0]["user_config"]["files"] = dict(files)

        ray.change(change)

    def remove(self, names: Iterable[ReplicaName]) -> None:
        """Has Serve stop replicas once they have answered what is under way; their logs stay."""
        by_generation: dict[tuple[str, int], set[int]] = {}
        for name in names:
            by_generation.setdefault((name.deployment, name.generation), set()).add(name.index)
        for (deployment, generation), gone in by_generation.items():
            known = self._known(deployment, generation)
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
                self._note(deployment, generation, replace(known, indexes=()))

    def clean_up(self) -> bool:
        """Takes away what clusters kept that did not answer then; whether any of ours is left.

        Raises PartUnavailable.
        """
        kept = self._home.serving / "clusters"
        for path in kept.glob("*/*.json"):
            deployment, generation = path.parent.name, int(path.stem)
            known = self._known(deployment, generation)
            if known is None or known.indexes:
                continue
            cluster = self._cluster_of(known.environment)
            if cluster is None or cluster.address != known.address:
                logger.warning("%s stays in the cluster at %s, whose token is gone", known.application, known.address)
                self._drop(deployment, generation)
            else:
                self._shrink(known, deployment, generation, ())
        return any(kept.glob("*/*.json"))

    def _shrink(self, known: Generation, deployment: str, generation: int, left: tuple[int, ...]) -> None:
        def change(applications: dict[str, dict[str, Any]]) -> None:
            if not left:
                applications.pop(known.application, None)
            elif (present := applications.get(known.application)) is not None:
                present["deployments"][0]["num_replicas"] = len(left)

        self._of(known).change(change)
        if left:
            self._note(deployment, generation, replace(known, indexes=left))
        else:
            self._drop(deployment, generation)
        self._forget(known)

    def _drop(self, deployment: str, generation: int) -> None:
        self._file(deployment, generation).unlink(missing_ok=True)
        with suppress(OSError):  # other generations are there
            self._folder(deployment).rmdir()

    def _forget(self, known: Generation) -> None:
        with self._lock:
            self._details.pop(known.address, None)
            self._asked.pop(known.application, None)
            self._failed.pop(known.application, None)

    # -- looking -------------------------------------------------------------------------------------------

    def look(self, names: Iterable[ReplicaName]) -> list[ReplicaProcess]:
        """How each replica is now."""
        by_generation: dict[tuple[str, int], list[ReplicaName]] = {}
        for name in names:
            by_generation.setdefault((name.deployment, name.generation), []).append(name)
        found = []
        for (deployment, generation), each in by_generation.items():
            known = self._known(deployment, generation)
            if known is None:
                found += [_missing(name) for name in each]
            else:
                found += self._look(known, each)
        return found

    def _look(self, known: Generation, names: Sequence[ReplicaName]) -> list[ReplicaProcess]:
        application = self._seen(known).get("applications", {}).get(known.application, {})
        told = application.get("deployments", {}).get(_DEPLOYMENT, {})
        running = {each["replica_id"]: each for each in told.get("replicas", ()) if each["state"] in _READY}
        if running:
            with suppress(PartUnavailable):
                self._collect(known, names[0].deployment, names[0].generation)
        said = {id_: each for id_, each in self._told.get(known.application, {}).items() if id_ in running}
        by_index: dict[int, tuple[str, Told | None]] = {each.index: (id_, each) for id_, each in said.items()}
        silent = sorted(set(running) - {id_ for id_, _ in by_index.values()})
        for name in names:
            if name.index not in by_index and silent:
                by_index[name.index] = (silent.pop(0), None)
        failed = application.get("status") == "DEPLOY_FAILED"
        reason, lines = _reason(f"{told.get('message', '')}")
        if reason and self._failed.get(known.application) != reason:
            self._failed[known.application] = reason
            self._append(names[0], [line for _, line in lines])
        waits = "" if running or reason else " ".join(f"{told.get('message', '')}".split())[:500]
        return [
            self._process(name, by_index.get(name.index), reason if not running else "", failed=failed, waits=waits)
            for name in names
        ]

    def _process(
        self, name: ReplicaName, found: tuple[str, Told | None] | None, reason: str, *, failed: bool, waits: str
    ) -> ReplicaProcess:
        values: Mapping[str, Any] = {} if found is None or found[1] is None else found[1].values
        state = "RUNNING" if found is not None else "FATAL" if failed else "STARTING"
        return ReplicaProcess(
            name=name,
            state=state,
            pid=values.get("pid"),
            reason=reason or (waits if failed else ""),
            starts=values.get("starts", 0),
            memory_bytes=values.get("memory_bytes"),
            uptime_seconds=values.get("uptime_seconds"),
            ready=found is not None,
            batching=values.get("batching", ""),
            trouble=self.calls(name).trouble or waits,
            over_memory=values.get("over_memory", ""),
        )

    def calls(self, name: ReplicaName) -> Calls:
        """How the calls of a replica's model ended, as it said last."""
        known = self._known(name.deployment, name.generation)
        for told in [] if known is None else self._told.get(known.application, {}).values():
            if told.index == name.index:
                return Calls(**told.values["calls"])
        return Calls()

    def _seen(self, known: Generation) -> Mapping[str, Any]:
        """What the cluster says, asked at most twice a second."""
        with self._lock:
            at, found = self._details.get(known.address, (0.0, {}))
            if time.monotonic() - at > _KEPT:
                found = self._of(known).details()
                self._details[known.address] = (time.monotonic(), found)
            return found

    def _collect(self, known: Generation, deployment: str, generation: int, *, at_once: bool = False) -> None:
        """Asks replicas how they are. Serve chooses who answers, so that it is asked a few times for all of them."""
        moment = time.monotonic()
        with self._lock:
            if not at_once and moment - self._asked.get(known.application, 0.0) < _TOLD_KEPT:
                return
            self._asked[known.application] = moment
            said = self._told.setdefault(known.application, {})
            for _ in range(2 * len(known.indexes)):
                behind = {id_: each.values["lines"][-1][0] for id_, each in said.items() if each.values["lines"]}
                try:
                    status, body = self._request(
                        known, "GET", f"{STATUS_PATH}?behind={_quoted(behind)}", timeout=_STATUS_SECONDS
                    )
                    values = json.loads(body) if status == http.client.OK else None
                except (OSError, http.client.HTTPException, ValueError):
                    return
                if values is None:
                    return
                lines = values["lines"]
                name = ReplicaName(deployment, generation, values["index"])
                self._append(name, [line for _, line in lines])
                before = said.get(values["id"])
                if not lines and before is not None:
                    values["lines"] = before.values["lines"][-1:]
                said[values["id"]] = Told(values["index"], values, time.monotonic())
                if len(said) >= len(known.indexes) and all(each.at >= moment for each in said.values()):
                    return

    def _append(self, name: ReplicaName, lines: Sequence[str]) -> None:
        if not lines:
            return
        path = self._home.deployment_logs / name.deployment / f"{name.generation}-{name.index}.log"
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
        """The answer of a replica of this one's generation. Raises OSError, HTTPException."""
        known = self._known(name.deployment, name.generation)
        if known is None:
            raise ConnectionRefusedError(f"{name.program} is gone")
        return self._request(known, method, path, body, content_type, timeout, trial=trial)

    def _request(
        self,
        known: Generation,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "",
        timeout: float = 60.0,
        *,
        trial: bool = False,
    ) -> tuple[int, bytes]:
        parts = urlsplit(known.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        headers = {SECRET_HEADER: known.secret}
        if content_type:
            headers["Content-Type"] = content_type
        if trial:
            headers["X-Trial"] = "yes"
        try:
            connection.request(method, f"{parts.path}{path}", body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _quoted(behind: Mapping[str, int]) -> str:
    return quote(json.dumps(behind, separators=(",", ":")))


def _missing(name: ReplicaName) -> ReplicaProcess:
    return ReplicaProcess(name, "MISSING", None, "", 0, None, None, ready=False)


def _reason(message: str) -> tuple[str, list[tuple[int, str]]]:
    """What a replica said that could not serve, and the lines of its log."""
    for found in reversed(_REASON.findall(message)):
        with suppress(ValueError, KeyError, TypeError):
            said = json.loads(found)
            return str(said["reason"]), [(int(number), str(line)) for number, line in said["lines"]]
    return "", []


def _package() -> bytes:
    """What nodes get of this program: the same bytes for the same sources."""
    root = Path(registry_tui.__file__).parent
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in _PARTS:
            files = [root / part] if part.endswith(".py") else sorted((root / part).rglob("*.py"))
            for file in files:
                named = zipfile.ZipInfo(f"registry_tui/{file.relative_to(root).as_posix()}")
                named.external_attr = 0o600 << 16
                archive.writestr(named, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()
