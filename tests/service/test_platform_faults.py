"""A whole platform that is started twice, killed in part and as a whole, robbed of a port, and stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from registry_tui.platform import endings, lifecycle, processes, supervisor
from registry_tui.platform.errors import PortTaken, StillRunning
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import LOOPBACK
from registry_tui.platform.probes import platform_status
from registry_tui.schemas.operations import PartState
from support.platforms import PATIENCE, Platform, clean_environment, wait_for

BUCKET, KEY, BODY = "kept-over-faults", "folder/object", b"acknowledged"


def store(platform: Platform) -> Any:
    key = platform.secrets.object_store_admin
    return boto3.client(
        "s3",
        endpoint_url=platform.ports.s3_endpoint,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        region_name="us-east-1",
    )


def put(platform: Platform) -> None:
    client = store(platform)
    if BUCKET not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)


def assert_kept(platform: Platform) -> None:
    assert store(platform).get_object(Bucket=BUCKET, Key=KEY)["Body"].read() == BODY


def healthy(platform: Platform) -> bool:
    return platform_status(platform.home).healthy


def healthy_status(platform: Platform) -> dict[str, Any] | None:
    """The output of `status` once every part is healthy."""
    status: dict[str, Any] = json.loads(platform.command("status", "--json", check=False).stdout)
    return status if status["healthy"] else None


def pids(platform: Platform) -> dict[str, int]:
    return {part: platform.pid(part) for part in supervisor.PARTS}


def kill_everything(platform: Platform) -> None:
    """A power cut, as far as processes go."""
    left = processes.ours(platform.home)
    assert {"supervisor", *supervisor.PARTS} <= set(left.values())
    # The supervisor first: it would start the parts again.
    for pid in sorted(left, key=lambda pid: left[pid] != "supervisor"):
        with suppress(ProcessLookupError):  # a helper that has just ended
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(processes.alive, left)), what="every process to be gone")


@contextmanager
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with the platform."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=clean_environment()) as process:
        yield process
        assert process.poll() is None, "an innocent process was ended"
        process.kill()


def test_status_asks_each_part_to_do_something(own_platform: Platform) -> None:
    own_platform.up()
    # A probe may take too long on a busy machine.
    status = wait_for(lambda: healthy_status(own_platform), what="every part to be healthy")
    assert [part["name"] for part in status["parts"]] == ["object-store", "mlflow", "service", "gateway"]
    for part in status["parts"]:
        assert part["state"] == "healthy"
        assert part["pid"] == own_platform.pid(part["name"])
        assert part["version"] and part["memory_bytes"] > 10_000_000
        assert part["uptime_seconds"] > 0 and part["probe_ms"] > 0
    assert "put, got and deleted an object" in own_platform.command("status").stdout


def test_starting_twice_changes_nothing(own_platform: Platform) -> None:
    own_platform.up()
    before = pids(own_platform)
    lines = [json.loads(line) for line in own_platform.command("up", "--json").stdout.splitlines()]
    assert lines[-1] == {"done": True, "healthy": True, "error": None, "action": None}
    assert {line["part"] for line in lines[:-1]} == set(supervisor.PARTS)
    assert pids(own_platform) == before
    with pytest.raises(StillRunning):
        list(lifecycle.up(own_platform.home, new_ports=True))


@pytest.mark.parametrize("part", list(supervisor.PARTS))
def test_a_killed_part_comes_back(own_platform: Platform, part: str) -> None:
    own_platform.up()
    put(own_platform)
    others = {name: pid for name, pid in pids(own_platform).items() if name != part}
    killed = own_platform.kill(part)
    wait_for(lambda: own_platform.pid(part) not in (0, killed), what=f"{part} to be started again")
    wait_for(lambda: healthy(own_platform), what=f"{part} to be well again")
    assert_kept(own_platform)
    assert {name: own_platform.pid(name) for name in others} == others


def test_restart_changes_one_part(own_platform: Platform) -> None:
    own_platform.up()
    before = pids(own_platform)
    own_platform.command("restart", "service")
    after = pids(own_platform)
    assert {part for part in before if before[part] != after[part]} == {"service"}


def test_data_outlives_the_end_of_every_process(own_platform: Platform) -> None:
    own_platform.up()
    put(own_platform)
    ports, environments = own_platform.ports, own_platform.ask(lambda client: client.environments())
    kill_everything(own_platform)
    assert own_platform.home.supervisor_socket.exists(), "a stale socket is part of this test"
    with stranger() as innocent:
        # Its PID was given to somebody else meanwhile.
        own_platform.home.supervisor_pid.write_text(f"{innocent.pid}\n")
        own_platform.up()
    assert own_platform.ports == ports
    assert_kept(own_platform)
    assert own_platform.ask(lambda client: client.environments()) == environments


def test_parts_without_their_supervisor_are_replaced(own_platform: Platform) -> None:
    own_platform.up()
    put(own_platform)
    before = pids(own_platform)
    os.kill(supervisor.pid(own_platform.home), signal.SIGKILL)
    wait_for(lambda: supervisor.state(own_platform.home) == "stopped", what="the supervisor to be gone")
    assert all(map(processes.alive, before.values()))
    own_platform.up()
    assert not any(map(processes.alive, before.values()))
    assert_kept(own_platform)


def test_down_leaves_no_process_port_or_socket_and_no_lost_byte(own_platform: Platform) -> None:
    own_platform.up()
    put(own_platform)
    left = set(processes.ours(own_platform.home))
    own_platform.down()
    assert processes.ours(own_platform.home) == {}
    assert not any(map(processes.alive, left))
    numbers = set(asdict(own_platform.ports).values())
    listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    assert not [each for each in listening if each.laddr and each.laddr.port in numbers]
    assert not [path for path in own_platform.home.run.iterdir() if path.is_socket()]
    assert not [path for number in numbers for path in Path("/tmp").glob(f"seaweedfs-*-{number}.sock")]
    assert lifecycle.down(own_platform.home) == []
    status = own_platform.command("status", check=False)
    assert status.returncode == 1 and "stopped" in status.stdout
    own_platform.up()
    assert_kept(own_platform)


def test_two_starts_at_once_make_one_platform(own_platform: Platform) -> None:
    own_platform.down()
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: own_platform.command("up", check=False), range(2)))
    assert [one.returncode for one in both] == [0, 0], [one.stderr for one in both]
    assert list(processes.ours(own_platform.home).values()).count("supervisor") == 1
    wait_for(lambda: healthy(own_platform), what="every part to be healthy")


def test_a_taken_port_is_an_error_and_others_can_be_chosen(own_platform: Platform) -> None:
    own_platform.up()
    put(own_platform)
    own_platform.down()
    taken = own_platform.ports.s3
    with socket.create_server((LOOPBACK, taken)):
        with pytest.raises(PortTaken, match=rf"{taken}.*PID {os.getpid()}"):
            own_platform.up()
        refused = own_platform.command("up", check=False)
        assert refused.returncode == 1
        assert str(taken) in refused.stderr and "--new-ports" in refused.stderr and "Traceback" not in refused.stderr
        own_platform.command("up", "--new-ports")
        assert own_platform.ports.s3 != taken
        assert_kept(own_platform)


def started_again(home: Home) -> bool:
    """Whether the service's process is another one than the one that left the reason."""
    info = supervisor.processes(home)["service"]
    return info.running and not endings.is_ending(home, "service", info.pid)


def test_a_part_that_cannot_start_is_told_with_its_log(own_platform: Platform) -> None:
    own_platform.down()
    database = own_platform.home.service_database
    kept = database.with_suffix(".kept")
    shutil.move(database, kept)
    for beside in database.parent.glob(f"{database.name}-*"):
        beside.unlink()
    database.mkdir()
    try:
        failed = own_platform.command("up", "--json", check=False)
        assert failed.returncode == 1
        last = json.loads(failed.stdout.splitlines()[-1])
        assert last["healthy"] is False
        assert "The part service does not start: The database" in last["error"]
        assert str(database) in last["error"] and "registry-tui logs service" in last["action"]

        def states() -> tuple[PartState, ...]:
            found = {part.name: part.state for part in platform_status(own_platform.home).parts}
            return found["object-store"], found["service"]

        wait_for(lambda: states() == (PartState.HEALTHY, PartState.FAILED), what="the states of both")
        wait_for(lambda: started_again(own_platform.home), what="supervisord to start the part again by itself")
    finally:
        database.rmdir()
        shutil.move(kept, database)
    own_platform.up()


def test_interrupted_start_goes_on_at_the_next(own_platform: Platform) -> None:
    own_platform.down()
    process = subprocess.Popen(
        [sys.executable, "-m", "registry_tui", "up"],
        env=own_platform.environment(),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    assert "starting" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    # It ended without waiting for the work it had begun: a finished start exits with 0.
    assert process.returncode == 130, said
    assert "Traceback" not in said
    own_platform.up()
    wait_for(lambda: healthy(own_platform), what="every part to be healthy")


def test_logs_are_shown(own_platform: Platform) -> None:
    own_platform.up()
    for log in (*supervisor.PARTS, "supervisor"):
        shown = own_platform.command("logs", log, "-n", "5").stdout
        assert 1 <= len(shown.splitlines()) <= 5
