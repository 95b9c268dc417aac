"""Addresses of a Ray cluster's proxies, and why replicas wait for a place there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from registry_tui.platform.paths import Home
from registry_tui.service.backends import ray_proxies, ray_rooms
from registry_tui.service.backends.ray_generations import Generation, Generations

GIB = 1 << 30


def state(*proxies: tuple[str, str], host: str = "0.0.0.0") -> dict[str, Any]:
    return {
        "http_options": {"host": host, "port": 8000},
        "proxies": {str(number): {"node_ip": ip, "status": status} for number, (ip, status) in enumerate(proxies)},
    }


@pytest.mark.parametrize(
    ("details", "address", "hosts"),
    [
        (state(("10.0.0.6", "HEALTHY"), ("10.0.0.5", "HEALTHY")), "http://10.0.0.5:8265", ("10.0.0.5", "10.0.0.6")),
        (state(("10.0.0.5", "HEALTHY"), ("10.0.0.6", "DRAINING")), "http://10.0.0.5:8265", ("10.0.0.5",)),
        (state(("10.0.0.5", "HEALTHY"), ("8.8.8.8", "HEALTHY")), "http://10.0.0.5:8265", ("10.0.0.5",)),
        (state(("169.254.169.254", "HEALTHY"), ("x", "HEALTHY")), "http://10.0.0.5:8265", ()),
        (state(("127.0.0.1", "HEALTHY")), "http://10.0.0.5:8265", ()),
        (state(("127.0.0.2", "HEALTHY")), "http://127.0.0.1:8265", ("127.0.0.2",)),
        (state(("10.0.0.6", "HEALTHY"), host="10.0.0.5"), "http://10.0.0.5:8265", ()),
        ({}, "http://10.0.0.5:8265", ()),
    ],
    ids=["all", "draining", "public", "no-machine", "loopback-of-others", "own-machine", "one-host", "not-started"],
)
def test_calls_go_to_healthy_proxies_at_private_addresses_only(
    details: dict[str, Any], address: str, hosts: tuple[str, ...]
) -> None:
    assert ray_proxies.hosts_of(details, address) == hosts


def test_only_clusters_of_other_machines_listen_at_all_addresses_of_their_nodes() -> None:
    assert ray_proxies.options_for("http://127.0.0.1:8265", 8000) == ("HeadOnly", {"host": "127.0.0.1", "port": 8000})
    assert ray_proxies.options_for("http://10.0.0.5:8265", 1) == ("EveryNode", {"host": "0.0.0.0", "port": 1})
    assert ray_proxies.options_for("http://[fd00::5]:8265", 1) == ("EveryNode", {"host": "::", "port": 1})


def test_a_generation_is_reached_by_the_proxies_that_were_noted_last(tmp_path: Path) -> None:
    generations = Generations(Home(tmp_path))
    known = Generation("e", "http://10.0.0.5:8265", "rt--d--g1", "secret", 8000, (0,))
    generations.note("d", 1, known)
    assert known.urls(generations.hosts(known.address)) == ["http://10.0.0.5:8000/rt--d--g1"]
    generations.note_hosts(known.address, ["10.0.0.6", "fd00::7"])
    found = known.urls(generations.hosts(known.address))
    assert found == ["http://10.0.0.6:8000/rt--d--g1", "http://[fd00::7]:8000/rt--d--g1"]
    assert generations.hosts("http://10.0.0.9:8265") == ()
    assert [each[:2] for each in generations.all()] == [("d", 1)]


def node(name: str, cpu: float, gpu: float = 0, memory: int = 8 * GIB) -> dict[str, Any]:
    return {"node_id": name, "state": "ALIVE", "resources_total": {"CPU": cpu, "GPU": gpu, "memory": memory}}


def used(cpu: float, *nodes: str) -> dict[str, Any]:
    replicas = [{"state": "RUNNING", "node_id": name} for name in nodes]
    config = {"ray_actor_options": {"num_cpus": cpu, "memory": GIB}}
    return {"app": {"deployments": {"replica": {"deployment_config": config, "replicas": replicas}}}}


WANTED = {"num_cpus": 4.0, "memory": 2 * GIB, "num_gpus": 0}


@pytest.mark.parametrize(
    ("wanted", "nodes", "applications", "said"),
    [
        (WANTED, [node("a", 8)], {}, ""),
        (WANTED, [], {}, "the cluster has no node"),
        (WANTED, [{**node("a", 8), "state": "DEAD"}], {}, "the cluster has no node"),
        (
            WANTED,
            [node("a", 2)],
            {},
            "4 CPU, 2 GiB of memory, and the 1 node of the cluster has at most 2 CPU",
        ),
        (
            {**WANTED, "num_gpus": 2},
            [node("a", 8, 1), node("b", 8)],
            {},
            "the 2 nodes of the cluster have at most",
        ),
        ({**WANTED, "num_gpus": 2}, [node("a", 8, 1)], {}, "8 GiB of memory, 1 GPU"),
        (WANTED, [node("a", 8)], used(5, "a"), "that other replicas use: each replica requests 4 CPU"),
        (WANTED, [node("a", 8), node("b", 8)], used(5, "a"), ""),
    ],
    ids=["room", "no-node", "dead", "small", "gpus", "one-gpu", "used", "other-node"],
)
def test_what_replicas_wait_for_is_said(
    wanted: dict[str, Any], nodes: list[dict[str, Any]], applications: dict[str, Any], said: str
) -> None:
    found = ray_rooms.reason(wanted, nodes, applications)
    assert said in found and bool(said) == bool(found)


def test_only_replicas_without_a_node_wait_for_one() -> None:
    replicas = [{"state": "STARTING", "node_id": None}, {"state": "STARTING", "node_id": "a"}, {"state": "RUNNING"}]
    assert ray_rooms.waiting({"replicas": replicas}) == 1
