"""Calls that are lost while the gateway's processes are killed in turn, under 16 connections.

`python bench/gateway.py` (about a minute)

Callers of one kind open a connection for each call, those of the other kind keep theirs, as HTTP clients do. Both call
a deployment on a platform in a temporary home, and none retries. Calls that a killed process had accepted are lost;
those that wait to be accepted, and later ones, are not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter

import httpx
from budgets import Judge
from servers import temporary_folder

from registry_tui.platform import supervisor
from registry_tui.platform.paths import Home
from support.platforms import Platform, wait_for
from support.served import deploy, register, split


class Callers:
    """Threads that call until the block ends."""

    def __init__(self, url: str, count: int, *, kept: bool) -> None:
        self.outcomes: Counter[str] = Counter()
        self._url, self._kept = url, kept
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def _run(self) -> None:
        content = json.dumps(split(a=[1.0], b=[2.0]))
        headers = {"Content-Type": "application/json"} | ({} if self._kept else {"Connection": "close"})
        with httpx.Client(timeout=60, trust_env=False) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(self._url, content=content, headers=headers)
                    self.outcomes["answered" if answer.status_code == 200 else f"status {answer.status_code}"] += 1
                except httpx.ConnectError:
                    self.outcomes["refused"] += 1
                except httpx.HTTPError as error:
                    self.outcomes[type(error).__name__] += 1

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        wait_for(lambda: self.outcomes["answered"] > 50, what="answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def kill_in_turn(platform: Platform, programs: list[str], kills: int, pause: float) -> None:
    """Kills one process after the other, each once all run."""
    for number in range(kills):
        program = programs[number % len(programs)]
        pid = wait_for(lambda program=program: _running(platform, programs).get(program), what="all to run")  # type: ignore[misc]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: _running(platform, programs).get(program, pid) != pid, what=f"{program} to run again")  # noqa: B023
        time.sleep(pause)


def _running(platform: Platform, programs: list[str]) -> dict[str, int]:
    """The processes, when all answer."""
    known = supervisor.processes(platform.home)
    pids = {program: known[program].pid for program in programs if _answers(platform.home, program)}
    return pids if len(pids) == len(programs) else {}


def _answers(home: Home, program: str) -> bool:
    """Whether a process made the socket on which the service asks it, which it does last."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        return connection.connect_ex(str(home.run / f"{program}.sock")) == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2, help="of the gateway; 1 shows what the second one is for")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two kills")
    asked = parser.parse_args()
    judge = Judge("gateway")
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        platform.command("up", timeout=300)
        try:
            deployment = deploy(platform, register(platform, platform.new_project()))
            programs = supervisor.programs_of("gateway")
            for unwanted in programs[asked.processes :]:
                supervisor.stop_part(platform.home, unwanted)
            programs = programs[: asked.processes]
            for kept in (False, True):
                with Callers(f"{deployment.endpoint_url}/invocations", asked.callers, kept=kept) as callers:
                    kill_in_turn(platform, programs, asked.kills, asked.pause)
                outcomes = callers.outcomes
                lost = outcomes.total() - outcomes["answered"]
                what = "connections that are kept" if kept else "a connection for each call"
                print(
                    f"{what}: {outcomes.total()} calls, {lost} lost in {asked.kills} kills {dict(outcomes)}", flush=True
                )
                judge.measured("new connections refused", outcomes["refused"])
                judge.measured("calls lost, of each caller and kill", lost / asked.callers / asked.kills)
        finally:
            platform.command("down")
    return judge.end()


if __name__ == "__main__":
    sys.exit(main())
