"""Facts about versions: a search of 10 000 versions by their components, and `events verify` of 100 000 events.

`python bench/known.py` (about a minute)

Every page of the search has versions of as many models as it has lines, which is the most work: each model is asked
for as the person sees it. The other side of verifying is the same hashes by Python alone, from a file: the program of
an evidence pack.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from budgets import Judge
from servers import compile_project, temporary_folder

from registry_tui.contracts.event_chain import FIELDS, canonical, chained, digest
from registry_tui.platform.paths import Home
from registry_tui.schemas import mlflow_tags
from support.many_models import fill_models
from support.platforms import Platform

PAGE = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
#: The hashes of `contracts/event_chain.py`, computed without it.
ALONE = """
import hashlib, sys
before = sys.argv[2]
for line in open(sys.argv[1]):
    event, _, wanted = line.rstrip("\\n").rpartition(" ")
    digest = hashlib.sha256(event.encode()).hexdigest()
    before = hashlib.sha256(f"{before} {digest}\\n".encode()).hexdigest()
    assert before == wanted
"""


def fill_boms(platform: Platform, registry: str) -> None:
    """Gives every version in MLflow's database a bill of materials: numpy, ten other packages, Python, a data set."""
    asked = (
        "SELECT v.name, v.version, m.value, v.value FROM model_version_tags v JOIN registered_model_tags m "
        "ON m.name = v.name AND m.workspace = v.workspace AND m.key = ? WHERE v.key = ?"
    )
    with closing(sqlite3.connect(platform.home.mlflow_database, timeout=60)) as database:
        rows = database.execute(asked, (mlflow_tags.MODEL_ID, mlflow_tags.VERSION_ID)).fetchall()
    with closing(sqlite3.connect(platform.home.service_database, timeout=60)) as database, database:
        database.executemany(
            "INSERT INTO version_boms (version_id, registry_id, model_id, model_name, version, registered_at, "
            "revision, document, made_at) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?)",
            (
                (id_, registry, model, name, version, _time(number), json.dumps({"components": []}), _time(number))
                for number, (name, version, model, id_) in enumerate(rows)
            ),
        )
        parts = [("package", f"package-{each}", "==1.0") for each in range(10)] + [("dataset", "wine", "d1")]
        database.executemany(
            "INSERT INTO version_components (version_id, kind, name, wanted, known, text) VALUES (?, ?, ?, ?, 1, ?)",
            (
                (row[3], kind, name, wanted, wanted)
                for number, row in enumerate(rows)
                for kind, name, wanted in (
                    *parts,
                    ("package", "numpy", f"=={1 + number % 2}.{number % 500}"),
                    ("python", "python", f"==3.{9 + number % 5}"),
                )
            ),
        )


def _time(number: int) -> str:
    return (START + timedelta(seconds=number)).strftime("%Y-%m-%d %H:%M:%S.%f")


def fill_events(database: Path, events: int, target: Path) -> tuple[int, str]:
    """Adds events with their hashes, also to a file; returns the number and the hash that the last one had before."""
    with closing(sqlite3.connect(database, timeout=60)) as rows, rows, target.open("w") as file:
        rows.execute("BEGIN IMMEDIATE")
        last, before = rows.execute("SELECT head_id, head_hash FROM event_chain").fetchone()
        columns = [each[1] for each in rows.execute("PRAGMA table_info(events)") if each[1] in (*FIELDS, "chain")]
        hash_, made = before, []
        for number in range(last + 1, last + events + 1):
            event = dict.fromkeys(FIELDS) | {
                "id": number,
                "created_at": START + timedelta(seconds=number),
                "actor": "ann",
                "actor_crn": "crn:local:ann",
                "action": "version.register",
                "resource_type": "version",
                "resource_id": f"version-{number}",
                "resource_name": f"wine v{number}",
                "outcome": "succeeded",
                "request_id": f"request-{number}",
                "duration_ms": number % 1000,
                "detail": "from project wine",
            }
            hash_ = chained(hash_, digest(event))
            file.write(f"{canonical(event)} {hash_}\n")
            made.append([{**event, "created_at": _time(number), "chain": hash_}.get(name) for name in columns])
        places = ", ".join("?" * len(columns))
        rows.executemany(f"INSERT INTO events ({', '.join(columns)}) VALUES ({places})", made)
        rows.execute("UPDATE event_chain SET head_id = ?, head_hash = ?", (last + events, hash_))
    return int(last), str(before)


def search(service: httpx.Client, uses: list[str], repeat: int) -> float:
    """Seconds that the slowest of the first pages took."""
    slowest, token = 0.0, None
    for _ in range(repeat):
        params: dict[str, str | int | list[str]] = {"uses": uses, "page_size": PAGE}
        began = time.perf_counter()
        answer = service.get("/api/v1/versions-using", params={**params, **({"page_token": token} if token else {})})
        page = answer.raise_for_status().json()
        slowest = max(slowest, time.perf_counter() - began)
        if len(page["items"]) != PAGE:
            sys.exit(f"a page of {uses} has {len(page['items'])} lines")
        token = page["next_page_token"]
    return slowest


def measure(platform: Platform, folder: Path, versions: int, events: int, repeat: int) -> int:
    """Prints the times of both; returns the exit code."""
    registry = platform.ask(lambda client: client.registry("registry-local"))
    fill_models(platform.home.mlflow_database, versions, 1, workspace=registry.mlflow_workspace)
    fill_boms(platform, registry.id)
    # MLflow analyses a database that has grown only from time to time, and at each start.
    platform.command("restart", "mlflow")
    judge = Judge("known")
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket))
    with httpx.Client(base_url="http://registry-tui", transport=transport, timeout=120) as service:
        for uses in (["numpy<2"], ["numpy<2", "python<3.12", "dataset:wine"]):
            search(service, uses, 1)  # warms up
            slowest = search(service, uses, repeat)
            print(
                f"{' and '.join(uses)} in {versions} versions: the slowest of {repeat} pages {slowest * 1000:.0f} ms",
                flush=True,
            )
            judge.measured("a page of 100 of a search of 10 000 versions", slowest)
        listed = folder / "events"
        _, first = fill_events(platform.home.service_database, events, listed)
        began = time.perf_counter()
        checked, parts = 0, list[float]()
        found: dict[str, Any] = {"next_after": 0}
        while found["next_after"] is not None:
            asked = time.perf_counter()
            answer = service.get("/api/v1/events/verification", params={"after": found["next_after"]})
            found = answer.raise_for_status().json()
            parts.append(time.perf_counter() - asked)
            if found["problem"]:
                sys.exit(f"the chain does not verify: {found['problem']}")
            checked += found["checked"]
        ours = time.perf_counter() - began
    if checked < events:
        sys.exit(f"only {checked} events were looked at")
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", ALONE, str(listed), first], check=True)
    alone = time.perf_counter() - began
    print(
        f"{checked} events verified in {ours:.2f} s (a part in {statistics.median(parts) * 1000:.0f} ms), by Python "
        f"alone from a file in {alone:.2f} s",
        flush=True,
    )
    judge.measured("verifying 100 000 events", ours)
    return judge.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=5, help="pages")
    asked = parser.parse_args()
    compile_project()
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        platform.command("up")
        try:
            return measure(platform, folder, asked.versions, asked.events, asked.repeat)
        finally:
            platform.command("down")


if __name__ == "__main__":
    sys.exit(main())
