"""Starts the platform and, in turns, a stock `mlflow server`: the time until each answers.

`python bench/start.py` (3 rounds; about a minute)

The platform starts as for a person: `registry-tui up` in a home that was used before (`--fresh` for a new one each
time), with the object store and the service beside MLflow. The stock server has one worker, and a database that is
already made. Both sides are asked every ten milliseconds; bytecode is compiled before.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from budgets import Judge
from servers import (
    compile_project,
    environment,
    free_port,
    process,
    stock_command,
    temporary_folder,
    wait_until_it_answers,
)

from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.platform.ports import load_ports
from registry_tui.platform.secrets import load_secrets

PATIENCE = 120.0


def until(answers: Callable[[], bool], began: float) -> float:
    """Seconds since `began` (`time.perf_counter`) until it answers."""
    while time.perf_counter() - began < PATIENCE:
        try:
            if answers():
                return time.perf_counter() - began
        except (httpx.TransportError, FileNotFoundError):
            pass  # not there yet
        time.sleep(0.01)
    sys.exit("The platform does not start")


def platform_start(home: Home) -> dict[str, float]:
    """Seconds from `registry-tui up` to the service's answer, to MLflow's, and to the end of the command."""
    command = [sys.executable, "-m", "registry_tui", "up"]
    variables = environment({ENVIRONMENT_VARIABLE: str(home.root)})
    began = time.perf_counter()
    up = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = {}
    transport = httpx.HTTPTransport(uds=str(home.service_socket))
    try:
        with httpx.Client(base_url="http://registry-tui", transport=transport, timeout=2) as service:
            seconds["service"] = until(lambda: service.get("/api/v1/user").is_success, began)
        ports, secrets = load_ports(home), load_secrets(home)
        assert ports is not None
        password = (secrets.mlflow_admin_user, secrets.mlflow_admin_password)
        with httpx.Client(base_url=ports.mlflow_url, auth=password, timeout=2) as mlflow:
            search = "/api/2.0/mlflow/experiments/search"
            seconds["mlflow"] = until(lambda: mlflow.post(search, json={"max_results": 1}).is_success, began)
        _, said = up.communicate(timeout=PATIENCE)
        seconds["healthy"] = time.perf_counter() - began
        if up.returncode:
            sys.exit(said)
    finally:
        subprocess.run([*command[:-1], "down"], env=variables, stderr=subprocess.DEVNULL, check=False)
    return seconds


def stock_start(folder: Path) -> float:
    """Seconds until `mlflow server` alone answers."""
    port, log = free_port(), folder / "stock.log"
    began = time.perf_counter()
    with (
        process(stock_command(folder / "stock.db", folder, port), log) as started,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=2) as client,
    ):
        return wait_until_it_answers(client, started, log) - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="a new home in each round")
    asked = parser.parse_args()
    compile_project()
    with temporary_folder() as folder:
        platform_start(Home(folder / "h"))  # makes the home, and fills the disk's cache for both
        stock_start(folder)
        ours, stock = [], []
        for number in range(asked.rounds):
            ours.append(platform_start(Home(folder / (f"h{number}" if asked.fresh else "h"))))
            stock.append(stock_start(folder))
            print(
                f"round {number + 1}: service {ours[-1]['service']:.2f} s, MLflow {ours[-1]['mlflow']:.2f} s, "
                f"all healthy {ours[-1]['healthy']:.2f} s; mlflow server alone {stock[-1]:.2f} s",
                flush=True,
            )
    service = statistics.median(each["service"] for each in ours)
    mlflow = statistics.median(each["mlflow"] for each in ours)
    alone = statistics.median(stock)
    print(f"platform, service answers   {service:6.2f} s")
    print(f"platform, MLflow answers    {mlflow:6.2f} s")
    print(f"mlflow server alone         {alone:6.2f} s")
    print(f"ratio MLflow / alone        {mlflow / alone:6.2f}")
    judge = Judge("start")
    judge.measured("until the service answers", service)
    judge.measured("MLflow beside mlflow server alone", mlflow / alone)
    return judge.end()


if __name__ == "__main__":
    sys.exit(main())
