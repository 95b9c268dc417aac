"""Served predictions: deployments through the gateway beside `mlflow models serve` and a bare FastAPI app.

    python bench/serving.py [--seconds 3] [--pairs 3] [--only "1 row" "2 000 rows"] [--connections 1 16]

One platform, one replica or worker each, load by wrk: scikit-learn's ElasticNet on the wine data (one row, 2 000 and
100 000 rows as JSON, 2 000 as CSV and in Arrow) and a model that sums a tensor of 1 MiB. All checks are on: API key,
request limits, sums. The sides take turns (`--pairs`), so that other work on the machine meets all of them; ratios are
of medians. Prints requests/s, p50, p99, failures, and the processor's time for a request of all processes of a side,
which stays the same on a busy machine. Then the seconds to a first answer.
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
from budgets import Judge
from serving_sides import Case, Side, bare_fastapi, cases, deployed, mlflow_serve, train

from registry_tui.platform import lifecycle
from registry_tui.platform.paths import Home

CONNECTIONS = (1, 4, 16, 64)


@dataclass(frozen=True)
class Measured:
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    failures: int
    #: Milliseconds of the processor for a request, of all processes of the side.
    work_ms: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--pairs", type=int, default=3, help="how often the sides take turns")
    parser.add_argument("--only", nargs="+", help="measure only these rows; the exit code is then 1, as others lack")
    parser.add_argument("--connections", nargs="+", type=int, default=list(CONNECTIONS))
    parser.add_argument("--batching", default="on", choices=("auto", "on", "off"))
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("bench/serving.py needs wrk (Debian: apt-get install wrk): a Python client is slower than the servers")
    with tempfile.TemporaryDirectory(prefix="rt-bench-") as folder:
        home = Home(Path(folder) / "h")
        try:
            list(lifecycle.up(home))
            return run(home, Path(folder), given)
        finally:
            lifecycle.down(home)


def run(home: Home, folder: Path, given: argparse.Namespace) -> int:
    """Prints all rows; returns the exit code."""
    judge = Judge("serving")
    models = train(home, folder)
    wanted = [case for case in cases(models["Bench"], folder) if given.only is None or case.name in given.only]
    print(f"{'':<34}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'work ms':>10}{'failed':>8}")
    for name, model in models.items():
        own = [case for case in wanted if case.model == name]
        if not own:
            continue
        with ExitStack() as stack:
            # A linear model rounds otherwise for other numbers of rows: `auto` would predict each request alone.
            mine = stack.enter_context(deployed(home, name, "--batching", given.batching))
            theirs = stack.enter_context(mlflow_serve(model, folder))
            bare = stack.enter_context(bare_fastapi(model, folder))
            for case in own:
                for connections in given.connections:
                    if connections <= case.most_connections:
                        compare(judge, case, connections, [mine, theirs, bare], given, folder)
            for side in (mine, theirs, bare):
                print(f"{name}: {side.name}: {side.memory() / 1e6:.0f} MB", flush=True)
            if name == "Bench":
                judge.measured("first answer beside mlflow models serve", cold(mine, theirs, bare))
    if given.only is None:
        made_environments(home, judge)
    return judge.end()


def cold(mine: Side, theirs: Side, bare: Side) -> float:
    """Prints the seconds to the first answers; ours beside those of MLflow's server."""
    print("\nfirst answer, the environment is there")
    for side in (mine, theirs, bare):
        print(f"  {side.name:<32}{side.ready_seconds:12.1f} s")
    return mine.ready_seconds / theirs.ready_seconds


def made_environments(home: Home, judge: Judge) -> None:
    """A first answer in an environment that has to be made, and in the same one when it is kept from before."""
    seconds = []
    for _ in range(2):
        with deployed(home, "Bench", "--version", "2") as side:
            seconds.append(side.ready_seconds)
    print(f"first answer in an environment of its own: made {seconds[0]:.1f} s, kept {seconds[1]:.1f} s")
    judge.measured("first answer in a kept environment beside making it", seconds[1] / seconds[0])


def compare(
    judge: Judge, case: Case, connections: int, sides: list[Side], given: argparse.Namespace, folder: Path
) -> None:
    """Measures all sides in turns, prints and judges the row."""
    asked = [side for side in sides if case.known_to_mlflow or side.name != "mlflow models serve"]
    runs: dict[str, list[Measured]] = {side.name: [] for side in asked}
    for number in range(given.pairs + 1):
        for side in asked:
            found = wrk(side, case, connections, given.seconds if number else 1, folder)
            if number:  # the first one warms
                runs[side.name].append(found)
    print(f"{case.name}, {connections} connection{'s' if connections > 1 else ''}")
    middle = {name: median(found) for name, found in runs.items()}
    for name, found in middle.items():
        print(
            f"  {name:<32}{found.requests_per_second:12.1f}{found.p50_ms:10.1f}{found.p99_ms:10.1f}"
            f"{found.work_ms:10.2f}{found.failures:8d}",
            flush=True,
        )
    mine, bare = middle["registry-tui"], middle["bare FastAPI app"]
    speed, work = mine.requests_per_second / bare.requests_per_second, mine.work_ms / bare.work_ms
    ends = mine.p99_ms / bare.p99_ms
    verdicts = [
        judge.measured("requests/s beside a bare FastAPI app", speed),
        judge.measured("p99 beside a bare FastAPI app", ends),
        judge.measured("failures", sum(found.failures for found in runs["registry-tui"])),
    ]
    told = f"{speed:.2f} × a bare app's requests/s, {ends:.2f} × its p99, {work:.2f} × its work"
    if (theirs := middle.get("mlflow models serve")) is not None:
        beside = mine.requests_per_second / theirs.requests_per_second
        told += f"; {beside:.2f} × MLflow's requests/s, {mine.p99_ms / theirs.p99_ms:.2f} × its p99"
        verdicts.append(judge.measured("p99 beside mlflow models serve", mine.p99_ms / theirs.p99_ms))
        if connections == 16:
            verdicts.append(judge.measured("requests/s beside mlflow models serve, 16 connections", beside))
            if case.name == "1 row":
                verdicts.append(judge.measured("the same, 1 row", beside))
    print(f"  {told}{'' if all(verdicts) else '   OVER'}", flush=True)


def median(found: list[Measured]) -> Measured:
    return Measured(
        statistics.median(each.requests_per_second for each in found),
        statistics.median(each.p50_ms for each in found),
        statistics.median(each.p99_ms for each in found),
        sum(each.failures for each in found),
        statistics.median(each.work_ms for each in found),
    )


def wrk(side: Side, case: Case, connections: int, seconds: int, folder: Path) -> Measured:
    headers = {"Content-Type": case.content_type}
    if side.key:
        headers["Authorization"] = f"Bearer {side.key}"
    began = time.monotonic()
    answer = httpx.post(
        f"{side.url}/invocations", content=case.body.read_bytes(), headers=headers, trust_env=False, timeout=120
    )
    assert answer.status_code == 200 and answer.json()["predictions"], answer.text[:500]
    # Slow calls are measured for as long as several responses take.
    seconds = max(seconds, math.ceil((time.monotonic() - began) * 2 * (connections + 1)))
    script = folder / "wrk.lua"
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items()]
    script.write_text(f'wrk.method = "POST"\n{chr(10).join(lines)}\nwrk.body = io.open("{case.body}"):read("*a")\n')
    arguments = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "--latency", "-s", str(script)]
    before = side.processor_seconds()
    done = subprocess.run(["wrk", *arguments, f"{side.url}/invocations"], capture_output=True, text=True, check=True)
    worked = side.processor_seconds() - before
    text = done.stdout
    failures = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    for numbers in re.findall(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text):
        failures += sum(map(int, numbers))
    rate, count = re.search(r"Requests/sec:\s+([\d.]+)", text), re.search(r"(\d+) requests in", text)
    assert rate is not None and count is not None, text
    return Measured(
        float(rate[1]), percentile(text, 50), percentile(text, 99), failures, worked * 1000 / max(1, int(count[1]))
    )


def percentile(text: str, share: int) -> float:
    found = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s)", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


if __name__ == "__main__":
    sys.exit(main())
